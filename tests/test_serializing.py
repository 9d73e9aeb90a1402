"""The JSON of programs: shapes that are refused name the shape that is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.assistant import Assistant
from rag.errors import QuestionError
from rag.serializing import answer_json, document_json, passage_json, read_batch


def test_answers_survive_json(assistant: Assistant) -> None:
    """An answer is plain JSON: what is read back equals what was written, and offsets fit the quotes."""
    answer = assistant.ask("What hurdles do provincial governments face?")
    described = answer_json(answer)
    assert json.loads(json.dumps(described)) == described
    for citation, shown in zip(answer.citations, json.loads(json.dumps(described))["citations"], strict=True):
        text = citation.quote.document.text
        assert shown["quote"] == text[shown["start"] : shown["end"]]
        assert shown["document"] == document_json(citation.quote.document)
    assert described["passages"] == [passage_json(passage) for passage in answer.passages]


@given(st.text(), st.lists(st.text(), max_size=4))
def test_batch_lines_are_read_as_written(question: str, history: list[str]) -> None:
    """Any question and history come back from their JSON; a history may be left out."""
    assert read_batch(json.dumps({"question": question, "history": history})) == (question, history)
    assert read_batch(json.dumps({"question": question, "more": 1})) == (question, [])


@pytest.mark.parametrize(
    "line",
    [
        *("", "x", "null", "3", '"question"', "[]", "{}", '{"question": null}', '{"question": ["x"]}', "[" * 100_000),
        *('{"question": "x", "history": "y"}', '{"question": "x", "history": [1]}'),
        '{"question": "x", "history": null}',
    ],
    ids=lambda line: line[:30],
)
def test_other_lines_are_refused_with_the_shape(line: str) -> None:
    """A line that is no question is refused, and told what one looks like."""
    with pytest.raises(QuestionError, match=r'write \{"question": "…", "history"'):
        read_batch(line)
