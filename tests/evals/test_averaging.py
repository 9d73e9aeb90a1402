"""Averaging readers: the mean of what they add, as thin matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from evals.reader.averaging import Weights, averaged, main
from evals.reader.history import History, Round


def _reader(seed: int, rank: int) -> dict[str, NDArray[np.float16]]:
    chance = np.random.default_rng(seed)
    return {
        "layer.down": chance.normal(size=(rank, 12)).astype(np.float16),
        "layer.up": chance.normal(size=(8, rank)).astype(np.float16),
        "head.bias": chance.normal(size=2).astype(np.float16),
    }


def _product(reader: Weights) -> NDArray[np.float64]:
    product: NDArray[np.float64] = reader["layer.up"].astype(np.float64) @ reader["layer.down"].astype(np.float64)
    return product


def test_the_average_adds_the_mean_of_what_two_readers_add() -> None:
    one, other = _reader(1, 2), _reader(2, 2)
    mean = averaged([one, other], rank=4)
    assert np.allclose(_product(mean), (_product(one) + _product(other)) / 2, atol=0.02)
    assert np.allclose(mean["head.bias"], (one["head.bias"] + other["head.bias"]) / 2, atol=0.002)
    assert mean["layer.down"].shape == (4, 12)


def test_of_too_many_dimensions_the_largest_are_kept() -> None:
    """By the theorem of Eckart and Young what is lost is the length of the singular values that are left out."""
    readers = [_reader(seed, 3) for seed in range(2)]
    exact = (_product(readers[0]) + _product(readers[1])) / 2
    lost = np.linalg.norm(exact - _product(averaged(readers, rank=2)))
    assert np.isclose(lost, np.linalg.norm(np.linalg.svd(exact)[1][2:]), rtol=0.01)


def test_one_reader_is_its_own_average() -> None:
    reader = _reader(3, 2)
    assert np.allclose(_product(averaged([reader], rank=2)), _product(reader), atol=0.02)


def test_the_command_writes_the_average_and_what_it_is_of(tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.safetensors" for seed in (1, 2)]
    rounds = [Round("2026-11-22", f"seed {seed}", 2, 700, 9, {}) for seed in (1, 2)]
    for seed, file in enumerate(files):
        save_file(_reader(seed, 2), file)
        History().then(rounds[seed]).write(file)
    assert main([*map(str, files), "--out", str(tmp_path / "mean.safetensors")]) == 0
    assert History.read(tmp_path / "mean.safetensors") == History(tuple(rounds), (1, 2))
    exact = (_product(_reader(0, 2)) + _product(_reader(1, 2))) / 2
    assert np.allclose(_product(load_file(tmp_path / "mean.safetensors")), exact, atol=0.02)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.safetensors"), "--out", str(tmp_path / "mean.safetensors")])
    assert "none.json is missing" in capsys.readouterr().err
