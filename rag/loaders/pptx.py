"""PPTX: slide by slide, the title first, then every shape and table, then what the speaker's notes say."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rag.errors import LoadError
from rag.loaders.content import Content, Pages, Writer, clean, one_line
from rag.loaders.package import Package, core_properties
from rag.records import AnchorKind, Source

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("sldNum", "dt", "ftr", "hdr")
"""Placeholders that repeat on every slide: number, date, footer and header."""


def load_pptx(data: bytes) -> Content:
    """The text of a presentation. A slide that is hidden is kept, and said to be."""
    package = Package(data, "PPTX")
    main = next(
        (r.target for r in package.relations("").values() if r.kind == "officeDocument"), "ppt/presentation.xml"
    )
    relations = package.relations(main)
    writer = Writer()
    empty = 0
    dropped: list[str] = []
    title, authors, language = core_properties(package)
    slides = [entry.get(f"{_R}id", "") for entry in package.xml(main).iter(f"{_P}sldId")]
    for number, relation_id in enumerate(slides, 1):
        try:
            if relation_id not in relations:
                raise LoadError("is missing")
            part = relations[relation_id].target
            slide = package.xml(part)
        except LoadError as error:
            dropped.append(f"slide {number} {error}")
            continue
        label = f"slide {number}" + (" (hidden)" if slide.get("show") == "0" else "")
        before = writer.length
        writer.end_lines(2)
        writer.anchor(AnchorKind.PAGE, label)
        first_title = _write_slide(writer, slide)
        title = title or first_title
        if writer.length == before:
            pictures = next(slide.iter(f"{_P}pic"), None) is not None
            empty += not pictures
            if pictures:
                dropped.append(f"slide {number} is a picture without text")
        try:
            for relation in package.relations(part).values():
                if relation.kind == "notesSlide" and relation.target in package:
                    notes = package.xml(relation.target)
                    writer.anchor(AnchorKind.PAGE, f"{label}, notes")
                    for shape in _shapes(notes):
                        if _placeholder(shape) == "body":
                            _write_shape(writer, shape)
        except LoadError as error:
            dropped.append(f"the notes page of slide {number} {error}")
    pages = Pages(len(slides), empty, tuple(dropped))
    return Content(writer.text(), tuple(writer.anchors), Source(title=title, authors=authors, language=language), pages)


def _write_slide(writer: Writer, slide: etree._Element) -> str:
    """Write a slide's text. Returns its title."""
    shapes = list(_shapes(slide))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    title = one_line(" ".join(_lines(titles[0]))) if titles else ""
    writer.anchor(AnchorKind.HEADING, title)  # a slide without a title ends the section of the one before
    writer.paragraph(title)
    for shape in shapes:
        if shape not in titles[:1] and _placeholder(shape) not in _FURNITURE:
            _write_shape(writer, shape)
    return title


def _shapes(slide: etree._Element) -> Iterator[etree._Element]:
    """Shapes with text, and frames with tables, however deep in groups, in the order of the slide."""
    stack = [iter(slide)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in (f"{_P}sp", f"{_P}graphicFrame", f"{_P}cxnSp"):
            yield element
        elif element.tag != _FALLBACK:
            stack.append(iter(element))


def _write_shape(writer: Writer, shape: etree._Element) -> None:
    rows = list(shape.iter(f"{_A}tr"))
    if rows:
        writer.end_lines(2)
        for row in rows:
            cells = [one_line(" ".join(_lines(cell))) for cell in row.iter(f"{_A}tc")]
            writer.end_lines(1)
            writer.write(" | ".join(cell for cell in cells if cell))
        writer.end_lines(2)
        return
    writer.end_lines(2)
    for line in _lines(shape):
        writer.end_lines(1)
        writer.write(line)
    writer.end_lines(2)


def _lines(shape: etree._Element) -> list[str]:
    """The paragraphs of a shape, those that hold something."""
    found = []
    for paragraph in shape.iter(f"{_A}p"):
        pieces = paragraph.iter(f"{_A}t", f"{_A}br", f"{_A}tab")
        parts = [piece.text or "" if piece.tag == f"{_A}t" else " " for piece in pieces]
        if line := one_line(clean("".join(parts))):
            found.append(line)
    return found


def _placeholder(shape: etree._Element) -> str:
    """What a placeholder is for; empty for any other shape."""
    mark = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return "" if mark is None else mark.get("type", "obj")
