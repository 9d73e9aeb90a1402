"""Feedback as JSON lines."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from rag.chat import feedback
from rag.chat.conversation import MAX_TURNS, Turn, answered, from_stored, to_stored
from rag.chat.feedback import FeedbackFile
from rag.settings import Settings
from tests.chat.library import SmallBackend
from tests.chat.test_conversation import talked


def test_a_vote_holds_all_that_is_needed_to_ask_again(tmp_path: Path) -> None:
    """Question, history, documents, answer, offsets, scores, versions and settings stand in one line."""
    backend = SmallBackend()
    chosen = (backend.documents()[0].id,)
    asked = talked(backend, "Who built the harbour?", "How high was the harbour toll?", documents=chosen)
    conversation = replace(asked, documents=(backend.documents()[1].id,))
    path = tmp_path / "feedback.jsonl"
    FeedbackFile(path, Settings()).write(conversation, 1, conversation.turns[1], False, " too\nshort ")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["id"] == f"{conversation.id}:1"
    assert (record["vote"], record["note"]) == ("down", "too\nshort")
    assert (record["question"], record["history"]) == ("How high was the harbour toll?", ["Who built the harbour?"])
    assert record["documents"] == list(chosen), "what was asked, not what is chosen when the vote is cast"
    quote = record["citations"][0]
    document = backend.document(quote["document"])
    assert document is not None
    assert document.text[quote["start"] : quote["end"]] == quote["quote"]
    assert record["passages"][0]["fused"] > 0
    assert (record["index_version"], record["encoder"]) == (backend.version, backend.encoder_id)
    assert record["settings"]["answer_threshold"] == Settings().answer_threshold
    assert "cache_dir" not in record["settings"]


def test_an_answer_keeps_its_id_where_others_before_it_go(tmp_path: Path) -> None:
    """Refusals are not stored and a long conversation drops its oldest turns, so positions move; ids do not."""
    backend = SmallBackend()
    file = FeedbackFile(tmp_path / "f", Settings())
    refused = talked(backend, "Who built the harbour?").with_turn(Turn("b", notice="too long"))
    question = "How high was the harbour toll?"
    asked = refused.with_turn(Turn(question, pending=True)).with_last(answered(question, backend.ask(question)))
    restored = from_stored(backend, json.loads(json.dumps(to_stored(asked))))
    longer = restored
    for number in range(MAX_TURNS - 1):
        longer = longer.with_turn(Turn(str(number), "said"))
    for conversation, position in ((asked, 2), (restored, 1), (longer, 0)):
        assert conversation.turns[position].question == question
        file.write(conversation, position, conversation.turns[position], True, "")
    records = [json.loads(line) for line in (tmp_path / "f").read_text(encoding="utf-8").splitlines()]
    assert [record["id"] for record in records] == [f"{asked.id}:2"] * 3
    assert [record["history"] for record in records] == [["Who built the harbour?"]] * 2 + [[]]
    assert [turn.ordinal for turn in longer.turns] == list(range(2, MAX_TURNS + 2))


@pytest.mark.parametrize(
    ("encoder", "written"),
    [
        ("{folder}/models/minilm", "minilm"),
        ("{folder}/gone/minilm/", "minilm"),
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_where_an_encoder_is_kept_is_not_written(tmp_path: Path, encoder: str, written: str) -> None:
    """Of an encoder in a folder the name alone tells which one answered; a name of the hub stays whole."""
    (tmp_path / "models" / "minilm").mkdir(parents=True)
    conversation = talked(SmallBackend(), "Who built the harbour?")
    settings = Settings(encoder=encoder.format(folder=tmp_path))
    FeedbackFile(tmp_path / "f", settings).write(conversation, 0, conversation.turns[0], True, "")
    line = (tmp_path / "f").read_text(encoding="utf-8")
    assert json.loads(line)["settings"]["encoder"] == written
    assert str(tmp_path) not in line


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """What people ask is nobody else's business."""
    conversation = talked(SmallBackend(), "Who built the harbour?")
    FeedbackFile(tmp_path / "f", Settings()).write(conversation, 0, conversation.turns[0], True, "")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_the_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor cannot fill the disk with votes."""
    conversation = talked(SmallBackend(), "Who built the harbour?")
    file = FeedbackFile(tmp_path / "f", Settings())
    file.write(conversation, 0, conversation.turns[0], True, "")
    size = (tmp_path / "f").stat().st_size
    monkeypatch.setattr(feedback, "MAX_FILE_BYTES", size + 100)
    with pytest.raises(OSError, match="is full"):
        file.write(conversation, 0, conversation.turns[0], True, "")
    assert (tmp_path / "f").stat().st_size == size
