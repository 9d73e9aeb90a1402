"""Exported conversations."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from rag.chat.export import to_html, to_markdown
from rag.chat.texts import ENGLISH
from tests.chat.library import MARKUP, SmallBackend
from tests.chat.test_conversation import talked


def test_markdown_has_questions_quotes_places_and_references() -> None:
    """The file holds all that is needed to cite from it."""
    text = to_markdown(talked(SmallBackend(), "Who built the harbour?"), "v1", "apa", ENGLISH)
    assert "## Who built the harbour?" in text
    assert "> 1\\. “The harbour of Norby was built in 1874" in text
    assert "Lind, E. (2019, May 4). The Harbour of Norby. Norby Gazette." in text.replace("\\", "")
    assert "index version v1" in text


def test_hostile_text_is_literal_in_both_formats() -> None:
    """Tags, images, links and scripts of a question or a document are plain text in the export."""
    conversation = talked(SmallBackend(), f"What does the lorikeet say? {MARKUP}")
    markdown = to_markdown(conversation, "v1", "plain", ENGLISH)
    assert "<" not in markdown.replace("&lt;", "")
    assert "![" not in markdown
    assert "](" not in markdown

    class Tags(HTMLParser):
        seen: set[str] = set()  # noqa: RUF012  # one parser

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.add(tag)
            assert all(not name.startswith("on") and name not in ("href", "src") for name, _ in attrs)

    parser = Tags()
    parser.feed(to_html(conversation, "v1", "plain", ENGLISH))
    assert not parser.seen & {"script", "img", "a", "iframe"}
    assert "&#60;script" in to_html(conversation, "v1", "plain", ENGLISH)


@pytest.mark.parametrize("write", [to_markdown, to_html])
def test_an_abstention_is_exported_as_one(write: object) -> None:
    """That the documents do not answer is part of the record."""
    conversation = talked(SmallBackend(), "What is quantum chromodynamics?")
    assert callable(write)
    assert "The documents do not answer this" in write(conversation, "v1", "plain", ENGLISH)
