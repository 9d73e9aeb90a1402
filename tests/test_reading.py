"""Reading: what the reader is given, and what is made of what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto
from safetensors.numpy import load, save
from tokenizers import Tokenizer

from evals.reader import training
from rag.adapting import adapted, graph, open_reader, reader_for, unpacked
from rag.assistant import Assistant
from rag.encoding import HashingEncoder, OnnxEncoder
from rag.errors import EncoderError
from rag.exporting import bundled_folder
from rag.reading import (
    A_SEARCH,
    MAX_TOKENS,
    ONE_THING,
    QUESTION_TOKENS,
    SEVERAL_THINGS,
    WINDOW,
    Extent,
    Pair,
    Reader,
    _windows,
    _worth_reading,
    pair,
    reading_of,
    reread,
)
from rag.settings import Settings

PROBES = (
    ("When did the bridge open?", "The harbour is deep. The bridge opened in 1932 after eight years of work."),
    ("When did the bridge close?", "The harbour is deep. The bridge opened in 1932 after eight years of work."),
    ("why are budgets stretched", "um so the budgets are stretched because the provinces took on debt " * 6),
    ("数字经济", "naïveté — ação, Ελλάδα"),
)


@pytest.fixture(scope="module")
def reader(real_settings: Settings) -> Reader:
    return open_reader(real_settings.cache_dir)


@pytest.fixture(scope="module")
def tokenizer(reader: Reader) -> Tokenizer:
    return reader.tokenizer


@given(question=st.text(max_size=300), text=st.text(max_size=2000))
def test_a_pair_fits_the_model_and_its_tokens_are_stretches_of_the_text(
    tokenizer: Tokenizer, question: str, text: str
) -> None:
    read = pair(tokenizer, question, text)
    assert len(read.ids) == len(read.types) <= MAX_TOKENS
    assert sum(read.types) == len(read.spans)
    assert all(0 <= start <= end <= len(text) for start, end in read.spans)
    assert [read.types[read.first + i] for i in range(len(read.spans))] == [1] * len(read.spans)


def test_a_question_after_a_long_one_is_read_whole(tokenizer: Tokenizer) -> None:
    earlier, question = "What did the province say about its budget? " * 12, "And how much of it did Tianjin pay?"
    read = pair(tokenizer, f"{earlier} {question}", "A text.")
    asked = [i for i, kind in zip(read.ids, read.types, strict=True) if kind == 0][1:-2]
    own = tokenizer.encode(question, add_special_tokens=False).ids
    assert asked[-len(own) :] == own
    assert len(asked) <= QUESTION_TOKENS


@given(texts=st.lists(st.text(max_size=400), min_size=1, max_size=3))
def test_all_that_is_likely_adds_up_to_one(reader: Reader, texts: list[str]) -> None:
    for reading in reader.read("what is growing?", texts):
        assert float(reading.weights.sum()) + reading.nowhere == pytest.approx(1.0)
        assert reading.within(0, 1 << 20) == pytest.approx(float(reading.weights.sum()))
        assert reading.within(0, 0) == 0.0


def test_a_text_is_read_nearly_alike_alone_and_beside_longer_ones(reader: Reader) -> None:
    """Not exactly: numbers of 8 bits are scaled for a batch as a whole."""
    short, long = "The bridge opened in 1932.", "Sydney lies on the coast. " * 20
    (alone,) = reader.read("When did the bridge open?", [short])
    beside = reader.read("When did the bridge open?", [long, short])[1]
    assert np.allclose(alone.weights, beside.weights, atol=0.05)


def test_the_answer_is_found_where_it_stands(reader: Reader) -> None:
    text = "The harbour is deep. The bridge opened in 1932 after eight years. Ferries still run every day."
    (reading,) = reader.read("When did the bridge open?", [text])
    sentences = [(0, 20), (21, 65), (66, len(text))]
    assert max(sentences, key=lambda s: reading.within(*s)) == (21, 65)
    assert reading.nowhere < 0.5


@pytest.mark.parametrize(
    "question",
    ["Who painted the ceiling of the chapel?", "What does the railway company earn?", "How old is the president?"],
)
def test_a_text_on_something_else_answers_nowhere(reader: Reader, question: str) -> None:
    (reading,) = reader.read(question, ["The harbour is deep. The bridge opened in 1932 after eight years."])
    assert reading.nowhere > 0.5


def test_rereading_keeps_every_passage_and_segment_and_sorts_by_the_new_scores(
    assistant: Assistant, reader: Reader
) -> None:
    found = assistant.retrieve("How long is the Asia Direct Cable?")
    query, _ = assistant.consider("How long is the Asia Direct Cable?")
    again = reread(reader, query, found, ONE_THING, k=len(found.passages))
    assert sorted((p.document.id, p.start, p.end) for p in again.passages) == sorted(
        (p.document.id, p.start, p.end) for p in found.passages
    )
    assert [p.rank for p in again.passages] == list(range(1, len(found.passages) + 1))
    assert [p.score for p in again.passages] == sorted((p.score for p in again.passages), reverse=True)
    for passage, inside in zip(again.passages, again.inside, strict=True):
        assert inside[0].span.start == passage.start
        assert inside[-1].span.end == passage.end
        assert passage.score == max(segment.score for segment in inside)
    few = reread(reader, query, found, ONE_THING, k=2)
    assert few.passages == again.passages[:2]
    assert few.inside == again.inside[:2]
    kept = reread(reader, query, found, ONE_THING, k=len(found.passages), least=0.5)
    assert [p.start for p in kept.passages] == [
        p.start for p in again.passages if p.score >= 0.5 * again.passages[0].score
    ]
    best = max((segment for inside in again.inside for segment in inside), key=lambda segment: segment.read)
    text = next(p.document.text for p, i in zip(again.passages, again.inside, strict=True) if best in i)
    assert "9,400" in text[best.span.start : best.span.end]


def test_every_segment_is_read_once_within_the_window(assistant: Assistant) -> None:
    def covered(segments: Iterator[tuple[int, int]]) -> list[int]:
        return [i for first, last in segments for i in range(first, last + 1)]

    for inside in assistant.retrieve("digital economy").inside:
        assert covered(_windows(inside)) == list(range(len(inside)))
        assert all(
            first == last or inside[last].span.end - inside[first].span.start <= WINDOW
            for first, last in _windows(inside)
        )


@pytest.mark.parametrize("extent", [ONE_THING, SEVERAL_THINGS, A_SEARCH])
def test_the_best_windows_are_read_and_no_more_than_there_is_time_for(assistant: Assistant, extent: Extent) -> None:
    inside = assistant.retrieve("digital economy of the provinces", 20).inside
    read = _worth_reading(inside, extent)
    assert len(read) == extent.windows < sum(len(list(_windows(segments))) for segments in inside)
    scores = [max(segment.score for segment in inside[p][first : last + 1]) for p, first, last in read]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == max(segment.score for segments in inside for segment in segments)
    assert _worth_reading([], extent) == []


def test_the_graph_gives_what_the_layers_gave_in_training() -> None:
    """With whole weights all but exactly; with weights of 8 bits nearly; and not without what was trained."""
    trained = resources.files("rag").joinpath("reader.safetensors").read_bytes()
    base = (bundled_folder() / "model.safetensors").read_bytes()
    layers = training.Reader().eval()
    layers.go_on_from(unpacked(load(trained)))
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    whole, short, bare = (
        _opened(graph(adapted(base, added), bits=bits))
        for added, bits in ((trained, 32), (trained, 8), (_head_alone(trained), 32))
    )
    for question, text in PROBES:
        read = pair(tokenizer, question, text)
        with torch.no_grad():
            logits = layers(torch.tensor([read.ids]), torch.tensor([read.types]))[0].numpy()
        assert _disagreement(read, logits, _run(whole, read)) < 1e-4
        assert _disagreement(read, logits, _run(short, read)) < 0.1 < _disagreement(read, logits, _run(bare, read))


def _opened(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, read: Pair) -> NDArray[np.float32]:
    (logits,) = session.run(["logits"], {"input_ids": np.array([read.ids]), "token_type_ids": np.array([read.types])})
    row: NDArray[np.float32] = logits[0]
    return row


def _disagreement(read: Pair, logits: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Largest difference between two likelihoods."""
    one, other = (reading_of(read, np.asarray(rows, dtype=np.float64)) for rows in (logits, others))
    return max(abs(one.nowhere - other.nowhere), float(abs(one.weights - other.weights).max()))


def _head_alone(trained: bytes) -> bytes:
    return save({name: tensor for name, tensor in load(trained).items() if name.startswith("head.")})


def test_the_graph_is_written_once_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    first = open_reader(tmp_path)
    second = open_reader(tmp_path)
    question, texts = "When did the bridge open?", ["The bridge opened in 1932."]
    assert first.read(question, texts)[0].nowhere == second.read(question, texts)[0].nowhere
    (folder,) = (tmp_path / "encoders").iterdir()
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(EncoderError, match="Delete that folder"):
        open_reader(tmp_path)


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EncoderError, match="cache_dir"):
        open_reader(tmp_path / "file")


def test_the_reader_goes_with_the_bundled_encoder_alone_and_is_used_where_it_is_wanted(
    real_encoder: OnnxEncoder, real_settings: Settings
) -> None:
    wanted = replace(real_settings, reader=True)
    assert reader_for(real_encoder, wanted) is not None
    assert reader_for(HashingEncoder(), wanted) is None
    assert reader_for(real_encoder, replace(wanted, reader=False)) is None


def test_an_answer_that_was_read_quotes_exactly_and_is_surer_of_what_is_there(
    real_index_dir: Path, real_settings: Settings
) -> None:
    with Assistant.open(real_index_dir, replace(real_settings, reader=True)) as reading:
        answer = reading.ask("How many 5G base stations does Tianjin have?")
        other = reading.ask("Who won the football World Cup in 1998?")
    (citation,) = answer.citations
    quote = citation.quote
    assert "73,000 5G base stations" in quote.document.text[quote.start : quote.end]
    assert "read" in answer.timings_ms
    assert other.abstained
    assert answer.confidence > 0.5 > other.confidence
