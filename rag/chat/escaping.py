"""The one edge where untrusted text becomes markup: documents, titles, file names, questions, stored conversations."""

from __future__ import annotations

import re

_ACTIVE = "\\`*_{}[]()<>#+!|~$&\"'=:@"
"""Characters that HTML, Markdown, LaTeX delimiters or template strings give a meaning to."""
_ENTITIES = {ord(c): f"&#{ord(c)};" for c in _ACTIVE}
# A blank line would end the HTML block that a chat message is, and Markdown would read what follows.
_ENTITIES |= {ord("\n"): "&#10;", ord("\r"): "&#13;", ord("\t"): "&#9;"}
# Control characters are not allowed in HTML; U+2028 and U+2029 end a line in a script.
_ENTITIES |= dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
_ENTITIES |= {0x2028: "&#8232;", 0x2029: "&#8233;"}
_ENTITIES |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$=:@^-])")
_LINE_START = re.compile(r"^(\s*\d+)([.)])", re.MULTILINE)


def escape(text: str) -> str:
    """Plain text as HTML that shows exactly that text, inside an element or a quoted attribute.

    Safe as well where Markdown, LaTeX or a template string would be read from the result: every character
    that they give a meaning to becomes a numeric entity.
    """
    return text.translate(_ENTITIES)


def escape_markdown(text: str) -> str:
    """Plain text as Markdown that renders as exactly that text, on one line."""
    flat = " ".join(text.split())
    flat = _MARKDOWN.sub(r"\\\1", flat).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINE_START.sub(r"\1\\\2", flat)


def one_line(text: str) -> str:
    """The text with every run of white space as one space, for labels and references."""
    return " ".join(text.split())
