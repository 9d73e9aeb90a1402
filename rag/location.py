"""Where a stretch of a document is, as a person would look for it."""

from __future__ import annotations

import bisect
import re

from rag.records import AnchorKind, Document

_LINE_END = re.compile(r"\r\n|\r|\n")
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
    ends = [match.end() for match in _LINE_END.finditer(document.text)]
    first, last = (bisect.bisect_right(ends, offset) + 1 for offset in (start, end - 1))
    parts.append(f"line {first}" if first == last else f"lines {first}–{last}")
    line_start = ends[first - 2] if first > 1 else 0
    line_end = ends[first - 1] if first <= len(ends) else len(document.text)
    if line_end - line_start > _LONG_LINE:
        parts.append(_share(document, start))
    return ", ".join(parts)


def _share(document: Document, start: int) -> str:
    return f"{100 * start // max(1, len(document.text))} % of the way through"


def _label_at(document: Document, kind: AnchorKind, offset: int) -> str:
    """Label of the last anchor of a kind at or before the offset; empty where there is none."""
    anchors = [anchor for anchor in document.anchors if anchor.kind is kind]
    at = bisect.bisect_right([anchor.start for anchor in anchors], offset)
    return anchors[at - 1].label if at else ""
