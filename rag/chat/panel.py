"""The side panel: a document from end to end with the quotes of an answer marked by their offsets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.chat.escaping import escape, one_line
from rag.chat.places import Place
from rag.chat.texts import Texts
from rag.location import line_at, location
from rag.records import Anchor, AnchorKind, Document

WINDOW_CHARACTERS = 400_000
"""Of a longer document only this much around the place is sent; links lead to the parts before and after."""
_WRAPPED = range(40, 131)
"""Lengths of the lines of a text that was wrapped by hand; such lines are joined so that they fit any screen."""
_LINE_END = re.compile(r"\r\n?|\n")
_ITEM = re.compile(r"\s|[-*•#|>+]|\d+[.)]")
"""How a line begins that is not joined to the one before."""


@dataclass(frozen=True, slots=True)
class View:
    """What the panel shows."""

    document: Document
    current: Place | None = None
    """The quote to highlight and to scroll to; None to read from `offset`."""
    others: tuple[Place, ...] = ()
    """The quotes of the same answer, in order, `current` among them."""
    offset: int = 0


def source_view(view: View, texts: Texts) -> str:
    """The panel with a document in it."""
    document, current = view.document, view.current
    here = [p for p in view.others if p.document.id == document.id] or ([current] if current else [])
    start, end = _window(view)
    body = "".join(_blocks(document, start, end, here, current, texts))
    if start > 0:
        earlier = _part_before(document.text, start)
        body = f'<a class="part" href="#read/{document.id}.{earlier}">{escape(texts.earlier_part)}</a>{body}'
    if end < len(document.text):
        body += f'<a class="part" href="#read/{document.id}.{end}">{escape(texts.later_part)}</a>'
    return (
        f"{_head(view, texts)}"
        f'<div class="panel-main"><div class="panel-body" tabindex="0" role="region" '
        f'aria-label="{escape(texts.document_text)}">'
        f'<article lang="{escape(document.source.language)}">{body}</article></div>'
        f"{_rail(document, here, current, texts)}</div>"
    )


def message_view(heading: str, text: str, texts: Texts, role: str = "alert") -> str:
    """The panel with one message in it."""
    message = f'<div class="panel-message" role="{role}" tabindex="-1"><p>{escape(text)}</p></div>'
    return head(heading, "", texts) + message


def empty_view(texts: Texts) -> str:
    """The panel before anything is opened."""
    return (
        '<div class="panel-empty"><span class="quote-mark" aria-hidden="true">❝</span>'
        f"<h2>{escape(texts.panel_empty_heading)}</h2><p>{escape(texts.panel_empty)}</p></div>"
    )


def head(title: str, meta: str, texts: Texts, more: str = "") -> str:
    """The head of the panel. Its key tells the page's script that new content is there, even if it is the same."""
    return (
        f'<div class="panel-head" data-view="{secrets.token_hex(4)}"><div class="panel-title">'
        f'<h2>{escape(one_line(title))}</h2><p class="meta">{escape(meta)}</p></div>'
        f'<button type="button" class="icon close" data-do="close" aria-label="{escape(texts.close)}"></button>'
        f"{more}</div>"
    )


def _head(view: View, texts: Texts) -> str:
    document, current = view.document, view.current
    source = document.source
    known = [source.kind, source.publisher or source.event, source.date, document.path]
    meta = " · ".join(one_line(part) for part in known if part)
    if current is None:
        return head(document.title, meta, texts)
    refs = [place.ref for place in view.others] or [current.ref]
    index = refs.index(current.ref) if current.ref in refs else 0
    said = escape(texts.quote_of.format(number=index + 1, count=len(refs)))
    steps = (
        f'<span class="step">{_step(refs, index - 1, "previous", texts.previous_quote)}<span>{said}</span>'
        f"{_step(refs, index + 1, 'next', texts.next_quote)}</span>"
    )
    copying = "".join(
        f'<a class="tool {name}" role="button" href="#{do}/{current.ref}" title="{escape(label)}" '
        f'aria-label="{escape(label)}"></a>'
        for name, do, label in (("copy", "copy", texts.copy_quote), ("more", "copyas", texts.copy_as))
    )
    where = escape(location(document, current.start, current.end))
    steps = f'<div class="steps"><span class="where">{where}</span>{steps if len(refs) > 1 else ""}{copying}</div>'
    return head(document.title, meta, texts, steps)


def _step(refs: Sequence[str], index: int, name: str, label: str) -> str:
    inside = 0 <= index < len(refs)
    target = f'data-do="step" data-ref="{refs[index]}"' if inside else "disabled"
    return f'<button type="button" class="icon {name}" {target} aria-label="{escape(label)}"></button>'


def _rail(document: Document, places: Sequence[Place], current: Place | None, texts: Texts) -> str:
    """Where in the document one is: a mark for every quote, at its share of the text."""
    marks = ""
    for place in places:
        percent = 100 * place.start / max(1, len(document.text))
        chosen = current is not None and place.ref == current.ref
        name = texts.percent.format(percent=round(percent))
        marks += (
            f'<button type="button" class="mark{" on" if chosen else ""}" data-do="step" data-ref="{place.ref}" '
            f'style="top:{percent:.2f}%" title="{escape(name)}" aria-label="{escape(name)}"></button>'
        )
    label = escape(texts.rail_label)
    return f'<div class="rail" role="group" aria-label="{label}"><span class="thumb"></span>{marks}</div>'


def _window(view: View) -> tuple[int, int]:
    """The part of a long document to send, cut at line ends where there are some."""
    text, start = view.document.text, view.offset
    if len(text) <= WINDOW_CHARACTERS:
        return 0, len(text)
    if view.current is not None:  # with what leads to it
        start = max(0, min(view.current.start - WINDOW_CHARACTERS // 4, len(text) - WINDOW_CHARACTERS))
        start = text.rfind("\n", max(0, start - 2000), start) + 1 or start
    return start, _part_end(text, start)


def _part_end(text: str, start: int) -> int:
    end = min(len(text), start + WINDOW_CHARACTERS)
    return text.find("\n", end, end + 2000) + 1 or end


def _part_before(text: str, start: int) -> int:
    """Where the part before begins. Parts are the same whichever way one comes, so that nothing between is skipped."""
    before = 0
    while (end := _part_end(text, before)) < start:
        before = end
    return before


def _blocks(
    document: Document, start: int, end: int, places: Sequence[Place], current: Place | None, texts: Texts
) -> Iterator[str]:
    """The text as paragraphs, each with the number of its first line, cut where a heading, page or speaker begins."""
    text = document.text
    anchors: dict[int, list[Anchor]] = {}
    for anchor in document.anchors:
        anchors.setdefault(anchor.start, []).append(anchor)
    line, counted = line_at(text, start), start
    for low, high in _paragraphs(text, start, end):
        cuts = sorted({low, high, *(at for at in anchors if low < at < high)})
        for piece in pairwise(cuts):
            words = text[piece[0] : piece[1]]
            line, counted = line_at(text, piece[0], counted, line), piece[0]
            begins = anchors.get(piece[0], [])
            for anchor in begins:
                if anchor.label and anchor.kind is not AnchorKind.HEADING:
                    yield f'<p class="anchor {anchor.kind}">{escape(one_line(anchor.label))}</p>'
            if words.strip():
                names = "para" + (" joined" if _LINE_END.search(words.strip("\r\n")) else "")
                names += " heading" if any(a.kind is AnchorKind.HEADING for a in begins) else ""
                yield (
                    f'<div class="{names}"><span class="line" aria-hidden="true" '
                    f'title="{escape(texts.line.format(number=line))}">{line}</span>'
                    f"<p>{_marked(text, *piece, places, current)}</p></div>"
                )


def _paragraphs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Stretches of one line each; the lines of a paragraph that was wrapped by hand are one stretch."""
    first = position = start
    previous = 0
    while position < end:
        found = _LINE_END.search(text, position, end)
        stop = found.end() if found else end
        line = text[position:stop]
        size = len(line.strip())
        if first < position and (previous not in _WRAPPED or size >= _WRAPPED.stop or not size or _ITEM.match(line)):
            yield first, position
            first = position
        if size == 0:
            first = stop
        previous, position = size, stop
    if first < end:
        yield first, end


def _marked(text: str, start: int, end: int, places: Sequence[Place], current: Place | None) -> str:
    """The stretch escaped, with the parts of it that are quoted marked; a quote that is current wins over others."""
    edges = sorted({start, end, *(min(max(e, start), end) for p in places for e in (p.start, p.end))})
    html: list[str] = []
    for low, high in pairwise(edges):
        inside = [p for p in places if p.start <= low and high <= p.end]
        words = escape(text[low:high])
        if not inside:
            html.append(words)
            continue
        now = current is not None and any(p.ref == current.ref for p in inside)
        first = ' tabindex="-1"' if now and current is not None and low == current.start else ""
        html.append(f'<mark class="{"now" if now else "other"}"{first}>{words}</mark>')
    return "".join(html)
