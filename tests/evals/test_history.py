"""How a reader came to be is told beside it, by whatever made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.reader.history import History, Round, merged
from evals.reader.training import TARGET
from rag.errors import UserError


def _round(seed: int) -> Round:
    return Round("2026-11-22", f"python -m evals.reader.training --seed {seed}", 700, 9, {"written": 12})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    history = History((_round(1), _round(2)), (1, 2))
    history.write(tmp_path / "reader.safetensors")
    assert History.read(tmp_path / "reader.safetensors") == history


def test_a_round_goes_on_from_those_before() -> None:
    assert History((_round(1), _round(2)), (1, 2)).then(_round(3)) == History((_round(1), _round(2), _round(3)), (3,))


def test_an_average_tells_a_shared_round_once_and_which_ones_it_is_of() -> None:
    """1, then 2 and 3 that both went on from 1, then 4 from 3: the average of the second and the fourth."""
    second = History().then(_round(1)).then(_round(2))
    fourth = History().then(_round(1)).then(_round(3)).then(_round(4))
    assert merged([second, fourth]) == History((_round(1), _round(2), _round(3), _round(4)), (2, 4))


def test_a_reader_of_which_nothing_is_told_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reader\.json is missing"):
        History.read(tmp_path / "reader.safetensors")


def test_the_shipped_reader_tells_how_it_came_to_be() -> None:
    history = History.read(TARGET)
    assert history.average_of
    for number in history.average_of:
        assert 0 < history.rounds[number - 1].examples_seen <= sum(history.rounds[number - 1].sets.values())
