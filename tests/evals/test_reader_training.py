"""Training goes on from a reader of a lower rank as if nothing had changed."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load, save_file

from evals.reader.averaging import averaged
from evals.reader.training import RANK, train


def test_a_reader_of_lower_rank_is_gone_on_from_unchanged(tmp_path: Path) -> None:
    """Before its first step the new reader adds to every layer what the old one did; the new columns can learn."""
    shipped = load(resources.files("rag").joinpath("reader.safetensors").read_bytes())
    thin = averaged([shipped], rank=8)
    save_file(thin, tmp_path / "thin.safetensors")
    reader, seen = train([], seed=1, minutes=1, start=tmp_path / "thin.safetensors")
    assert seen == 0
    weights = dict(reader.named_parameters())
    layers = [name.removesuffix(".down") for name in thin if name.endswith(".down")]
    assert len(layers) == 36
    for layer in layers:
        down, up = weights[f"{layer}.down"].detach(), weights[f"{layer}.up"].detach()
        assert down.shape[0] == RANK
        old = thin[f"{layer}.up"].astype(np.float32) @ thin[f"{layer}.down"].astype(np.float32)
        assert np.allclose((up @ down).numpy(), old, atol=1e-4)
        assert torch.count_nonzero(down[8:]) > 0
