"""Where a stretch of a document is, as a person would look for it."""

from __future__ import annotations

import bisect

from rag.records import AnchorKind, Document

_LONG_LINE = 400
"""Characters; in longer lines a line number does not find a quote, so the share of the way through is given too."""

_WITH_LINES = (".txt", ".text", ".md", ".markdown")
"""Files whose lines a person can count; in all others the lines are ours."""


def location(document: Document, start: int, end: int) -> str:
    """Page, time, section, speaker, and the line: what the document has of them, the most helpful first.

    A stretch that goes on into another page is given with both.
    """
    parts: list[str] = []
    for kind in (AnchorKind.PAGE, AnchorKind.TIME, AnchorKind.HEADING, AnchorKind.SPEAKER):
        label = _label_at(document, kind, start)
        if label and kind is AnchorKind.HEADING:
            parts.append(f"section {label}")
        elif label and kind is AnchorKind.PAGE and (to := _label_at(document, kind, end - 1)) not in (label, ""):
            parts.append(f"{label} – {to}")
        elif label:
            parts.append(label)
    if any(anchor.kind in (AnchorKind.PAGE, AnchorKind.TIME) for anchor in document.anchors):
        return ", ".join(parts)
    if not document.path.lower().endswith(_WITH_LINES):
        return ", ".join([*parts, _share(document, start)])
    first, last = line_at(document.text, start), line_at(document.text, end - 1)
    parts.append(f"line {first}" if first == last else f"lines {first}–{last}")
    if _line_length(document.text, start) > _LONG_LINE:
        parts.append(_share(document, start))
    return ", ".join(parts)


def line_at(text: str, offset: int, counted: int = 0, line: int = 1) -> int:
    """Number of the line at an offset, from 1: one more than the line ends (LF, CR LF or CR) wholly before it.

    Where `line` is known to be the number at an earlier offset `counted`, only what follows that is read.
    """
    if offset == counted:
        return line
    inside = text[max(0, offset - 1) : offset + 1] == "\r\n"  # between the two characters of one line end
    ends = text.count("\n", counted, offset) + text.count("\r", counted, offset)
    return line + ends - text.count("\r\n", counted, offset) - inside


def _line_length(text: str, offset: int) -> int:
    """Characters of the line at an offset."""
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    return min(end if (end := text.find(mark, offset)) >= 0 else len(text) for mark in "\r\n") - start


def _share(document: Document, start: int) -> str:
    return f"{100 * start // max(1, len(document.text))} % of the way through"


def _label_at(document: Document, kind: AnchorKind, offset: int) -> str:
    """Label of the last anchor of a kind at or before the offset; empty where there is none."""
    anchors = [anchor for anchor in document.anchors if anchor.kind is kind]
    at = bisect.bisect_right([anchor.start for anchor in anchors], offset)
    return anchors[at - 1].label if at else ""
