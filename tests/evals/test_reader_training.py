"""Training goes on from a reader as it was, and what learns is what is kept."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save_file
from tokenizers import Tokenizer

from evals.reader import training
from evals.reader.data import Example
from evals.reader.training import Reader, Row, rows, tensors, train
from rag.adapting import packed, unpacked
from rag.exporting import bundled_folder
from rag.reading import Pair


def test_a_reader_is_gone_on_from_unchanged(tmp_path: Path) -> None:
    """Before its first step the new reader has every weight of the old one."""
    shipped = load(resources.files("rag").joinpath("reader.safetensors").read_bytes())
    save_file(shipped, tmp_path / "start.safetensors")
    reader, seen = train([], seed=1, minutes=1, rate=1e-4, start=tmp_path / "start.safetensors")
    assert seen == 0
    weights = unpacked(shipped)
    assert reader.trained().keys() == weights.keys()
    for name, array in reader.trained().items():
        assert np.array_equal(array, weights[name])
    again = packed(reader.trained())
    assert all(np.array_equal(again[name], shipped[name]) for name in shipped if shipped[name].dtype == np.int8)


def test_a_round_changes_the_layers_and_the_head_and_leaves_the_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_TOKENS", 64)  # several steps: the first has a rate of 0
    before = {name: value.clone() for name, value in Reader().state_dict().items()}
    row = Row(Pair((101, 2054, 102, 7592, 2088, 102), (0, 0, 0, 1, 1, 0), ((0, 5), (6, 11)), 3), ((3, 4),))
    reader, seen = train([row] * 64, seed=1, minutes=1, rate=1e-4)
    assert seen == 64
    changed = {name for name, value in reader.state_dict().items() if not value.equal(before[name])}
    assert changed == {f"bert.{n}" if n.startswith("encoder.") else n for n in reader.trained()}


def test_several_answers_are_equally_likely_and_none_is_the_first_token() -> None:
    """Two answers: half of a start and half of an end each; without an answer all of both on [CLS]."""
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    text = "Roads are poor and loans are dear."
    both = Example("Why?", text, ((0, 14), (19, 33)), "set")
    none = Example("Who?", text, (), "set")
    ids, _, likely = tensors(rows([both, none], tokenizer))
    tokens = [tokenizer.id_to_token(int(i)) for i in ids[0]]
    assert [(tokens[i], likely[0, i].tolist()) for i in likely[0].sum(dim=1).nonzero().flatten()] == [
        ("roads", [0.5, 0.0]),
        ("poor", [0.0, 0.5]),
        ("loans", [0.5, 0.0]),
        ("dear", [0.0, 0.5]),
    ]
    assert likely[1].nonzero().tolist() == [[0, 0], [0, 1]]
    assert torch.equal(likely.sum(dim=1), torch.ones(2, 2))
