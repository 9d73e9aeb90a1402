"""PDF: the text layer by PDFium, page by page, without the headers and footers that every page repeats."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pypdfium2
import pypdfium2.raw as pdfium

from rag.errors import LoadError
from rag.loaders.content import Content, Pages, Writer, clean, one_line
from rag.records import AnchorKind, Source

MAX_PAGES = 20_000
_MARGIN = 0.12
"""Share of a page's height, at its top and at its bottom, in which headers and footers stand."""
_GAP = 1.6
"""Step from one line to the next, in heights of a line, that sets a header apart from the text."""
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st", "\u00a0": " "}
)
_HYPHENS = "-\u2010\u00ad\ufffe\x02"
"""What stands at the end of a line where a word is broken; the last three only ever mean that."""
_SURE_HYPHENS = "\u00ad\ufffe\x02"
_ROMAN = re.compile(r"(?=[ivxlc])(x[cl]|l?x{0,3})(i[xv]|v?i{0,3})\Z")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TITLE_OF_A_PROGRAM = re.compile(
    r"^(microsoft \w+ - |untitled|slide \d|document\d*$)|\.(docx?|pptx?|indd|tex|dvi|pdf)$", re.I
)
_DAMAGED = (pypdfium2.PdfiumError, UnicodeDecodeError)
"""What is raised for a part of a file that cannot be made sense of."""


@dataclass(slots=True)
class _Line:
    text: str
    top: float = 0.0
    """Of the first character, in points from the page's lower edge, as PDF counts."""
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0
    """Of the last character."""

    @property
    def key(self) -> str:
        """The text as it would stand on another page: each number as "#"."""
        text = one_line(self.text).lower()
        return "#" if _ROMAN.match(text) else re.sub(r"\d+", "#", text)


@dataclass(slots=True)
class _Page:
    number: int
    """From 1."""
    printed: str = ""
    lines: list[_Line] = field(default_factory=list)
    placed: bool = False
    """True where the lines' places are known."""
    height: float = 0.0
    picture: bool = False
    failed: str = ""
    left_out: list[str] = field(default_factory=list)

    def margins(self) -> list[list[_Line]]:
        """The block of lines at the upper edge and the one at the lower edge, where they stand apart in the margins."""
        if not self.placed:
            return [self.lines[:1], self.lines[-1:]] if len(self.lines) > 2 else []
        ordered = sorted(self.lines, key=lambda line: -line.top)
        low, high = _MARGIN * self.height, (1 - _MARGIN) * self.height
        upper, lower = _edge(ordered), _edge(ordered[::-1])
        return [
            *([upper] if upper and all(line.bottom >= high for line in upper) else []),
            *([lower] if lower and all(line.top <= low for line in lower) else []),
        ]


def _edge(lines: Sequence[_Line]) -> list[_Line]:
    """The first lines of a page, seen from one of its edges, up to a gap; none where there is no gap."""
    for i, (line, following) in enumerate(pairwise(lines), 1):
        if abs(line.top - following.top) > _GAP * (line.top - line.bottom):
            return list(lines[:i])
    return []


def load_pdf(data: bytes) -> Content:
    """The text of every page. Raises LoadError for a file that is encrypted, damaged, or has no text at all."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise LoadError("is encrypted with a password; save a copy without one") from error
        raise LoadError("is no PDF or is damaged beyond reading") from error
    try:
        count = len(document)
        if count > MAX_PAGES:
            raise LoadError(f"has {count:,} pages; {MAX_PAGES:,} are read. Split it")
        pages = [_read_page(document, number) for number in range(1, count + 1)]
        outline = _outline(document)
        source = _source(document)
    finally:
        document.close()
    return _content(pages, outline, source)


def _content(pages: Sequence[_Page], outline: Sequence[tuple[int, str]], source: Source) -> Content:
    pictures = [page.number for page in pages if page.picture and not page.lines]
    if not any(page.lines for page in pages):
        if pictures:
            raise LoadError(
                f"is a scan: none of its {len(pages)} pages has text. Make a copy with text, such as by: ocrmypdf"
            )
        raise LoadError(f"has no text on any of its {len(pages)} pages")
    repeated = _leave_out_repeated(pages)
    _infer_printed(pages)
    words = Counter(w.lower() for page in pages for line in page.lines for w in _WORD.findall(line.text))
    writer = Writer()
    for page in pages:
        if not page.lines:
            continue
        headings = {title for number, title in outline if number == page.number}
        writer.end_lines(2)
        writer.anchor(AnchorKind.PAGE, _label(page))
        _write_page(writer, page, headings, words)
    dropped = [f"p. {page.number} {page.failed}" for page in pages if page.failed]
    dropped += [f"p. {number} is a picture without text" for number in pictures]
    notes = [f"left out what {repeated} pages repeat at top or bottom"] if repeated else []
    empty = sum(not page.lines and not page.picture and not page.failed for page in pages)
    return Content(writer.text(), tuple(writer.anchors), source, Pages(len(pages), empty, tuple(dropped)), tuple(notes))


def _read_page(document: pypdfium2.PdfDocument, number: int) -> _Page:
    page = _Page(number)
    try:
        opened = document[number - 1]
    except pypdfium2.PdfiumError:
        page.failed = "cannot be read"
        return page
    with suppress(*_DAMAGED):
        page.printed = clean(document.get_page_label(number - 1)).strip()
    try:
        page.height = opened.get_height()
        layer = opened.get_textpage()
        raw = layer.get_text_range()
        page.placed = len(raw) == layer.count_chars()
        page.lines = _lines(layer, raw, page.placed)
        if not page.lines:
            kinds = (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_SHADING)
            page.picture = next(opened.get_objects(filter=kinds, max_depth=4), None) is not None
    except _DAMAGED:
        page.failed = "cannot be read"
    finally:
        opened.close()
    return page


def _lines(layer: pypdfium2.PdfTextPage, raw: str, placed: bool) -> list[_Line]:
    """The lines of a page, those that hold something. A raised or lowered piece of a line is part of it."""
    lines: list[_Line] = []
    for match in re.finditer(r"[^\r\n]+", raw):
        text = match[0]
        content = text.strip()
        if not clean(content).strip():
            continue
        line = _Line(text)
        if placed:
            first = match.start() + len(text) - len(text.lstrip())
            line.left, line.bottom, _, line.top = layer.get_charbox(first, loose=True)
            line.right = layer.get_charbox(first + len(content) - 1, loose=True)[2]
            before = lines[-1] if lines else None
            shared = min(line.top, before.top) - max(line.bottom, before.bottom) if before else 0.0
            height = min(line.top - line.bottom, before.top - before.bottom) if before else 0.0
            if before and height > 0 and shared > 0.4 * height and line.left >= before.right - 1:
                before.text += text  # a footnote's mark, or what follows it
                before.right = line.right
                continue
        lines.append(line)
    return lines


def _leave_out_repeated(pages: Sequence[_Page]) -> int:
    """Take headers and footers out of the pages. Returns the number of pages that had one."""
    anywhere: Counter[str] = Counter()
    at_place: Counter[tuple[str, int]] = Counter()
    for page in pages:
        margin = [line for block in page.margins() for line in block]
        anywhere.update({line.key for line in margin})
        at_place.update({(line.key, round(line.top / 3)) for line in margin})
    with_text = sum(bool(page.lines) for page in pages)
    enough = max(2, math.ceil(0.4 * with_text))
    touched = 0
    for page in pages:
        repeated: list[_Line] = []
        for block in page.margins():  # as a whole or not at all: a line of the text may repeat by chance
            if all(anywhere[x.key] >= enough or at_place[x.key, round(x.top / 3)] >= 3 for x in block):
                repeated.extend(block)
        if repeated and len(repeated) < len(page.lines):  # a page that is nothing else keeps what it has
            page.left_out = [one_line(line.text) for line in repeated]
            page.lines = [line for line in page.lines if line not in repeated]
            touched += 1
    return touched


def _infer_printed(pages: Sequence[_Page]) -> None:
    """Where the file names no page labels, take the numbers that its pages print, if they count as the pages do."""
    if any(page.printed for page in pages):
        return
    seen = [(page, text, value) for page in pages for text in page.left_out if (value := _value(text)) is not None]
    offsets = Counter(value - page.number for page, _, value in seen)
    for offset, count in offsets.most_common():
        if count < 2:
            break
        for page, text, value in seen:
            if value - page.number == offset and not page.printed:
                page.printed = text


def _value(text: str) -> int | None:
    """The number a text is, arabic or roman."""
    if re.fullmatch(r"\d{1,5}", text):
        return int(text)
    if _ROMAN.match(text.lower()) is None:
        return None
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[c] for c in text.lower()]
    return sum(-v if any(v < after for after in values[i + 1 :]) else v for i, v in enumerate(values))


def _label(page: _Page) -> str:
    printed = page.printed
    return f"p. {page.number}" + (f" (printed {printed})" if printed and printed != str(page.number) else "")


def _write_page(writer: Writer, page: _Page, headings: set[str], words: Counter[str]) -> None:
    """The page's lines, a blank line where a paragraph ends, and words that a line end broke made whole."""
    leading = _leading(page.lines)
    before: _Line | None = None
    carried = ""  # the first part of a broken word
    for i, line in enumerate(page.lines):
        if before is not None and not carried:
            writer.end_lines(2 if page.placed and leading and before.top - line.top > leading else 1)
        text = carried + line.text.strip()
        carried = ""
        following = page.lines[i + 1].text.strip() if i + 1 < len(page.lines) else ""
        if (joined := _broken(text, following, words)) is not None:
            cut = len(text) - len(text.split()[-1])
            text, carried = text[:cut], joined
        heading = one_line(clean(text))
        if heading in headings:
            writer.anchor(AnchorKind.HEADING, heading)
        writer.write(clean(text.translate(_LIGATURES)).strip() + (" " if carried and text.strip() else ""))
        before = line


def _leading(lines: Sequence[_Line]) -> float:
    """The step from line to line above which a paragraph ends: a quarter more than is usual on the page, in points."""
    steps = sorted(a.top - b.top for a, b in pairwise(lines) if a.top > b.top)
    return 1.25 * steps[(len(steps) - 1) // 2] if steps else 0.0


def _broken(text: str, following: str, words: Counter[str]) -> str | None:
    """The first part of a word that the line end breaks, as it goes on in the next line; None where none is broken.

    A hyphen stays where the document writes the word with one elsewhere.
    """
    if len(text) < 2 or text[-1] not in _HYPHENS or not text[-2].isalpha() or not following[:1].islower():
        return None
    first = text.split()[-1]
    stem = first.rstrip(_HYPHENS)
    tail = re.match(r"[^\W\d_]+", following)
    if text[-1] in _SURE_HYPHENS or tail is None:
        return stem
    head = re.search(r"[^\W\d_]+(?:-[^\W\d_]+)*\Z", stem)
    start = head[0].lower() if head else stem.lower()
    whole, hyphened = start + tail[0].lower(), f"{start}-{tail[0].lower()}"
    return f"{stem}-" if words[hyphened] > words[whole] else stem


def _outline(document: pypdfium2.PdfDocument) -> list[tuple[int, str]]:
    """Page number, from 1, and title of each bookmark."""
    found: list[tuple[int, str]] = []
    try:
        for mark in document.get_toc(max_depth=8):
            target = mark.get_dest()
            index = target.get_index() if target else None
            if index is not None:
                found.append((index + 1, one_line(clean(mark.get_title()))))
            if len(found) >= 10_000:
                break
    except _DAMAGED:
        pass  # a damaged outline costs the headings, not the text
    return found


def _source(document: pypdfium2.PdfDocument) -> Source:
    described = {"Title": "", "Author": ""}
    for key in described:
        with suppress(*_DAMAGED):
            described[key] = one_line(clean(document.get_metadata_value(key)))
    title, author = described.values()
    return Source(
        title="" if _TITLE_OF_A_PROGRAM.search(title) else title[:300],
        authors=tuple(part for name in re.split(r"[;,]", author)[:20] if (part := name.strip()[:100])),
    )
