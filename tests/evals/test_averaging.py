"""Averaging readers: the mean of what they have learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from evals.reader.averaging import averaged, main
from evals.reader.history import History, Round
from rag.adapting import packed, unpacked

MATRIX, BIAS = "encoder.layer.0.output.dense.weight", "encoder.layer.0.output.dense.bias"


def _reader(seed: int) -> dict[str, NDArray[np.float32]]:
    chance = np.random.default_rng(seed)
    return {
        MATRIX: chance.normal(size=(8, 12)).astype(np.float32),
        BIAS: chance.normal(size=8).astype(np.float32),
    }


def test_the_average_is_the_mean_of_every_weight() -> None:
    one, other = _reader(1), _reader(2)
    mean = averaged([one, other])
    assert mean.keys() == one.keys()
    for name in mean:
        assert np.allclose(mean[name], (one[name] + other[name]) / 2)


def test_the_command_writes_the_average_and_what_it_is_of(tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.safetensors" for seed in (0, 1)]
    rounds = [Round("2026-11-22", f"seed {seed}", 700, 9, {}) for seed in (0, 1)]
    for seed, file in enumerate(files):
        save_file(packed(_reader(seed)), file)
        History().then(rounds[seed]).write(file)
    assert main([*map(str, files), "--out", str(tmp_path / "mean.safetensors")]) == 0
    assert History.read(tmp_path / "mean.safetensors") == History(tuple(rounds), (1, 2))
    mean = unpacked(load_file(tmp_path / "mean.safetensors"))
    for name, array in averaged([_reader(0), _reader(1)]).items():
        assert np.abs(mean[name] - array).max() < 0.05


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.safetensors"), "--out", str(tmp_path / "mean.safetensors")])
    assert "none.json is missing" in capsys.readouterr().err
