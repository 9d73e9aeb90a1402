"""The edge where text becomes markup."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from rag.chat.escaping import escape, escape_markdown
from tests.chat.library import MARKUP


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_escaped_text_reads_as_the_text(text: str) -> None:
    """A browser shows escaped text as exactly the text."""
    assert html.unescape(escape(text)) == text


@given(st.text())
def test_escaped_text_has_no_active_character(text: str) -> None:
    """Nothing is left that HTML, Markdown, LaTeX or a template string would act on."""
    rest = escape(text).replace("&#", "")
    assert not set(rest) & set("<>\"'`$&{}[]()*_\\\n\r!|~:@=")


def test_hostile_text_is_only_text() -> None:
    """No tag, template or link of a hostile text survives."""
    assert "<" not in escape(MARKUP)
    assert "${" not in escape(MARKUP)
    assert "javascript:" not in escape(MARKUP)


def test_control_characters_are_replaced() -> None:
    """NUL, escape and lone surrogates become the replacement character."""
    assert escape("a\x00\x1b\ud800b") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


def test_markdown_is_escaped() -> None:
    """Exported Markdown shows hostile text literally, on one line."""
    escaped = escape_markdown(f"1. {MARKUP}\n\n# heading")
    assert "<" not in escaped
    assert "\n" not in escaped
    assert "![" not in escaped
    assert escaped.startswith("1\\. ")
