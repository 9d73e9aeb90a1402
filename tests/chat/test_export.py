"""Exported conversations."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from rag.chat.conversation import answered, from_stored, to_stored
from rag.chat.export import to_html, to_markdown
from rag.chat.texts import ENGLISH
from tests.chat.library import MARKUP, SmallBackend
from tests.chat.test_conversation import talked


def test_markdown_has_questions_quotes_places_and_references() -> None:
    """The file holds all that is needed to cite from it."""
    text = to_markdown(talked(SmallBackend(), "Who built the harbour?"), "apa", ENGLISH)
    assert "## Who built the harbour?" in text
    assert "> 1\\. “The harbour of Norby was built in 1874" in text
    assert "Lind, E. (2019, May 4). The Harbour of Norby. Norby Gazette." in text.replace("\\", "")
    assert f"from index version {SmallBackend.version}" in text.replace("\\", "")


@pytest.mark.parametrize("write", [to_markdown, to_html])
def test_the_index_versions_are_those_of_the_answers(write: Callable[..., str]) -> None:
    """Quotes are of the version that answered, or that a stored conversation was opened with, not of today's."""
    backend = SmallBackend()
    backend.version = "first"
    stored = to_stored(talked(backend, "Who built the harbour?"))
    backend.version = "second"
    opened = from_stored(backend, stored)
    backend.version = "third"
    again = "Why did the fishermen strike about the harbour toll?"
    both = opened.with_turn(answered(again, backend.ask(again)))
    backend.version = "fourth"
    assert "from index version second, third." in write(both, "plain", ENGLISH).replace("\\", "").replace("&#44;", ",")


def test_hostile_text_is_literal_in_both_formats() -> None:
    """Tags, images, links and scripts of a question or a document are plain text in the export."""
    conversation = talked(SmallBackend(), f"What does the lorikeet say? {MARKUP}")
    markdown = to_markdown(conversation, "plain", ENGLISH)
    assert "<" not in markdown.replace("&lt;", "")
    assert "![" not in markdown
    assert "](" not in markdown

    class Tags(HTMLParser):
        seen: set[str] = set()  # noqa: RUF012  # one parser

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.add(tag)
            assert all(not name.startswith("on") and name not in ("href", "src") for name, _ in attrs)

    parser = Tags()
    parser.feed(to_html(conversation, "plain", ENGLISH))
    assert not parser.seen & {"script", "img", "a", "iframe"}
    assert "&#60;script" in to_html(conversation, "plain", ENGLISH)


@pytest.mark.parametrize("write", [to_markdown, to_html])
def test_an_abstention_is_exported_as_one(write: Callable[..., str]) -> None:
    """That the documents do not answer is part of the record."""
    conversation = talked(SmallBackend(), "What is quantum chromodynamics?")
    assert "The documents do not answer this" in write(conversation, "plain", ENGLISH)
