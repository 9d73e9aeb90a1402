"""Encoders: the exported one against sentence-transformers itself, batches, and the fake."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.encoding import TOKENS_PER_BATCH, EncoderCard, HashingEncoder, OnnxEncoder, batches
from rag.errors import EncoderError
from rag.exporting import BUNDLED, _export_key

CARD = EncoderCard("model", "0" * 64, 3, 256)


def test_id_changes_with_anything_that_changes_vectors() -> None:
    """Name, weights, dimension, limit and prompts all show in the id, and equal cards have equal ids."""
    others = [
        EncoderCard("other", "0" * 64, 3, 256),
        EncoderCard("model", "1" * 64, 3, 256),
        EncoderCard("model", "0" * 64, 4, 256),
        EncoderCard("model", "0" * 64, 3, 255),
        EncoderCard("model", "0" * 64, 3, 256, query_prompt="query: "),
        EncoderCard("model", "0" * 64, 3, 256, document_prompt="query: "),
    ]
    assert len({card.id for card in (CARD, *others)}) == 7
    assert CARD.id == EncoderCard("model", "0" * 64, 3, 256).id
    assert CARD.id.startswith("model@")


@given(st.lists(st.integers(0, 5000), max_size=200))
def test_batches_hold_every_row_once_by_length(lengths: list[int]) -> None:
    """Each row is in one batch, longest first, and a batch is within the limit once padded, or a single row."""
    found = list(batches(lengths))
    rows = [row for batch in found for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    assert all(
        len(batch) == 1 or len(batch) * max(1, *(lengths[row] for row in batch)) <= TOKENS_PER_BATCH for batch in found
    )


def test_vectors_have_length_one(real_encoder: OnnxEncoder) -> None:
    """Documents and questions are float32 rows of length 1, so that a product is a cosine."""
    vectors = real_encoder.encode_documents(["a", "", "The harbour of Norby.", "数字经济", "x" * 5000])
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(real_encoder.encode_query("harbour?")), 1, atol=1e-5)
    assert real_encoder.encode_documents([]).shape == (0, 384)


def test_rows_come_in_the_order_given(real_encoder: OnnxEncoder) -> None:
    """Sorting by length inside is not seen outside: each row is its text's vector, alone or among others."""
    texts = ["long " * 100, "short", "of middling length, as it were", "", "long " * 300]
    together = real_encoder.encode_documents(texts)
    alone = np.concatenate([real_encoder.encode_documents([text]) for text in texts])
    np.testing.assert_allclose(np.sum(together * alone, axis=1), 1, atol=1e-5)


def test_progress_counts_every_text(real_encoder: OnnxEncoder) -> None:
    """Progress adds up to the number of texts."""
    seen: list[int] = []
    real_encoder.encode_documents([f"text {'word ' * i}" for i in range(30)], seen.append)
    assert sum(seen) == 30


def test_tokens_are_counted_beyond_the_limit(real_encoder: OnnxEncoder) -> None:
    """Counting is not cut off where reading is; the two special tokens count."""
    assert real_encoder.card.max_tokens == 256
    assert real_encoder.count_tokens("") == 2
    assert real_encoder.count_tokens("harbour " * 1000) == 1002


def test_what_lies_beyond_the_limit_is_not_read(real_encoder: OnnxEncoder) -> None:
    """The first 256 tokens alone decide the vector: an encoder that read more would see "herring"."""
    a, b = real_encoder.encode_documents(["toll " * 254, "toll " * 254 + "herring " * 50])
    np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\udfffb", "\ufeff", "\u202e", "<|endoftext|>", "[CLS][SEP][MASK]"])
def test_any_text_is_encoded(real_encoder: OnnxEncoder, text: str) -> None:
    """NUL, half a surrogate pair, marks and special-token text are encoded, never an error."""
    for encoder in (real_encoder, HashingEncoder()):
        assert np.isfinite(encoder.encode_query(text)).all()
        assert encoder.count_tokens(text) >= 1


@pytest.mark.parametrize("letter", ["x", "数"])
def test_a_long_text_without_a_space_takes_no_more_than_its_length(real_encoder: OnnxEncoder, letter: str) -> None:
    """Ten times as long takes about ten times as much work, and not a hundred times, as it would one by one."""

    def work(length: int) -> float:
        rounds = []
        for _ in range(3):
            started = time.thread_time()
            real_encoder.count_tokens(letter * length)
            rounds.append(time.thread_time() - started)
        return min(rounds)

    assert work(200_000) < 40 * max(work(20_000), 1e-3)


def _damage(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


def _drop_card(folder: Path) -> None:
    described = json.loads((folder / "encoder.json").read_text())
    del described["card"]
    (folder / "encoder.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: _damage(folder, "model.onnx"),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "encoder.json").write_text("{"),
        lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0", "model"'),
        lambda folder: (folder / "tokenizer.json").unlink(),
        _drop_card,
    ],
    ids=["flipped model", "no model", "cut description", "cut tokenizer", "no tokenizer", "no card"],
)
def test_damaged_export_is_refused_with_the_remedy(
    real_encoder: OnnxEncoder, cache_dir: Path, tmp_path: Path, harm: object
) -> None:
    """An export with a changed, cut or missing file is not used; the message names the folder to delete."""
    folder = tmp_path / "export"
    shutil.copytree(cache_dir / "encoders" / _export_key(BUNDLED), folder)
    assert callable(harm)
    harm(folder)
    with pytest.raises(EncoderError, match=r"The exported model in .*export .*Delete that folder; it is made again"):
        OnnxEncoder(folder)


def _cosine(encoder: HashingEncoder, texts: Sequence[str]) -> float:
    a, b = encoder.encode_documents(texts)
    return float(a @ b)


def test_fake_is_deterministic_and_knows_shared_words() -> None:
    """The fake gives equal vectors for equal words, high cosines for shared ones, and counts what it encodes."""
    encoder = HashingEncoder()
    same, other = _cosine(encoder, ["the toll of Norby", "Toll of: the norby!"]), _cosine(encoder, ["toll", "herring"])
    assert same > 0.999 > 0.5 > abs(other)
    np.testing.assert_array_equal(HashingEncoder().encode_query("toll"), encoder.encode_query("toll"))
    assert encoder.encoded == 4
