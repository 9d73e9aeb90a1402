"""CSV and TSV: one paragraph a row. Columns of questions and answers stand by themselves, others with their names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from rag.errors import LoadError
from rag.loaders.content import Content, Writer, clean, one_line
from rag.records import AnchorKind
from rag.texts import decode

_PLAIN = frozenset("question questions q prompt answer answers a response text content passage body".split())
"""Columns whose name says nothing that the text in them does not."""
_MAX_ROWS = 500_000
_FIELD_CHARACTERS = 4 * 2**20
_OPENED = re.compile(r'(?<![^\t\r\n])"')
_QUOTED = re.compile(r'(?<![^\t\r\n])"(?:[^"]++|"")*+"(?![^\t\r\n])')
"""A field between quotation marks, with those in it doubled."""


def load_csv(data: bytes) -> Content:
    """Rows separated by commas, semicolons or tabs, whichever the first line has most of; it names the columns."""
    text = decode(data)
    first = text.partition("\n")[0]
    return _load(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count)))


def load_tsv(data: bytes) -> Content:
    """Rows separated by tabs. The format has no quoting, but some programs quote: where every field that begins with a
    quotation mark also ends with one, they are read so."""
    text = decode(data)
    lines = io.StringIO(text, newline="")
    if len(_OPENED.findall(text)) == len(_QUOTED.findall(text)):
        return _load(csv.reader(lines, delimiter="\t"))
    return _load(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _load(rows: Iterable[list[str]]) -> Content:
    csv.field_size_limit(_FIELD_CHARACTERS)
    writer = Writer()
    names: list[str] = []
    try:
        for number, row in enumerate(rows, 1):
            if number > _MAX_ROWS:
                raise LoadError(f"has more than {_MAX_ROWS:,} rows")
            if number == 1:
                names = [one_line(name) for name in row]
                continue
            cells = [(name, clean(cell).strip()) for name, cell in zip([*names, *[""] * len(row)], row, strict=False)]
            if any(cell for _, cell in cells):
                writer.end_lines(2)
                writer.anchor(AnchorKind.PAGE, f"row {number}")
                for name, cell in cells:
                    if cell:
                        writer.end_lines(1)
                        writer.write(cell if not name or name.lower() in _PLAIN else f"{name}: {cell}")
    except csv.Error as error:
        raise LoadError(f"is no table of separated values ({error})") from error
    if not writer.length:
        raise LoadError("has a line of column names and no row below it, or no rows at all")
    return Content(writer.text(), tuple(writer.anchors))
