"""Which loader reads which format, and which of them run in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from rag.loaders.content import Content

Load = Callable[[bytes], Content]

ISOLATED = {
    ".pdf": "pdf:load_pdf",
    ".docx": "docx:load_docx",
    ".pptx": "pptx:load_pptx",
    ".epub": "epub:load_epub",
    ".html": "html:load_html",
    ".htm": "html:load_html",
    ".xhtml": "html:load_xhtml",
}
"""Formats that only a large library reads, by file name ending: read by a process with limits. Module and function."""
DIRECT = {
    ".vtt": "subtitles:load_vtt",
    ".srt": "subtitles:load_srt",
    ".csv": "tables:load_csv",
    ".tsv": "tables:load_tsv",
}
"""Formats that a few lines of Python read from the text."""


def loader(suffix: str) -> Load:
    """The loader for a file name ending, imported now. Raises KeyError for an ending that none reads."""
    module, _, function = {**ISOLATED, **DIRECT}[suffix].partition(":")
    return cast(Load, getattr(import_module(f"rag.loaders.{module}"), function))
