"""DOCX: the running text with its headings, tables, notes and text boxes; nothing that was deleted with tracking on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from rag.errors import LoadError
from rag.loaders.content import Content, Writer, clean, one_line
from rag.loaders.package import Package, core_properties
from rag.records import AnchorKind, Source

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)
_GONE = {f"{_W}{name}" for name in ("del", "moveFrom", "rPr", "pPr", "sdtPr", "instrText", "delText", "delInstrText")}
_GONE.add(_FALLBACK)  # the same text box once more, for older programs
_NOTES = {f"{_W}footnoteReference": "footnotes", f"{_W}endnoteReference": "endnotes"}


@dataclass(slots=True)
class _Styles:
    """What the styles say of headings."""

    levels: dict[str, int] = field(default_factory=dict)
    """Style id to heading level, from 1; the title of the document is 0."""
    numbering: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Style id to list id and level, from 0."""


@dataclass(slots=True)
class _Numbers:
    """Counts the numbered headings."""

    patterns: dict[tuple[str, int], str]
    """List id and level to a pattern such as "%1.%2"."""
    counts: dict[str, list[int]] = field(default_factory=dict)

    def next(self, list_id: str, level: int) -> str:
        pattern = self.patterns.get((list_id, level), "")
        counts = self.counts.setdefault(list_id, [0] * 9)
        counts[level] += 1
        counts[level + 1 :] = [0] * (8 - level)
        return re.sub(r"%([1-9])", lambda m: str(max(1, counts[int(m[1]) - 1])), pattern).rstrip(".")


def load_docx(data: bytes) -> Content:
    """The text of a Word document in reading order."""
    package = Package(data, "DOCX")
    main = next((r.target for r in package.relations("").values() if r.kind == "officeDocument"), "word/document.xml")
    root = _xml(package, main)
    relations = {relation.kind: relation.target for relation in package.relations(main).values()}
    styles = _styles(package, relations.get("styles", ""))
    numbers = _Numbers(_patterns(package, relations.get("numbering", "")))
    notes = {kind: _notes(package, relations.get(kind, "")) for kind in ("footnotes", "endnotes")}
    title, authors, language = core_properties(package)
    writer = Writer()
    body = root.find(f"{_W}body")
    if body is None:
        raise LoadError("is no DOCX or is damaged: it has no body")
    for row, paragraphs in _blocks(body):
        if row:
            _row(writer, paragraphs, notes)
            continue
        for paragraph in paragraphs:
            found = _paragraph(writer, paragraph, styles, numbers, notes)
            title = title or found
    return Content(writer.text(), tuple(writer.anchors), Source(title=title, authors=authors, language=language))


def _paragraph(
    writer: Writer,
    paragraph: etree._Element,
    styles: _Styles,
    numbers: _Numbers,
    notes: dict[str, dict[str, str]],
) -> str:
    """Write a paragraph and the notes it refers to. Returns its text where it is the document's title."""
    text, references, boxes = _text(paragraph)
    style = _value(paragraph.find(f"{_W}pPr/{_W}pStyle"))
    level = _level(paragraph, style, styles)
    text = clean(text).strip()
    if text and level:
        numbered = _numbered(paragraph, style, styles)
        number = numbers.next(*numbered) if numbered else ""
        text = f"{number} {one_line(text)}".strip()
        writer.end_lines(2)
        writer.anchor(AnchorKind.HEADING, text)
        writer.paragraph(text)
    elif text and paragraph.find(f"{_W}pPr/{_W}numPr") is not None:
        writer.end_lines(1)
        writer.write(f"- {text}")
        writer.end_lines(1)
    else:
        writer.paragraph(text)
    _attached(writer, references, boxes, notes)
    return one_line(text) if level == 0 else ""


def _row(writer: Writer, paragraphs: list[etree._Element], notes: dict[str, dict[str, str]]) -> None:
    """Write a row of a table as a line, then what is attached to it."""
    read = [_text(paragraph) for paragraph in paragraphs]
    writer.end_lines(1)
    writer.write(" | ".join(text for raw, _, _ in read if (text := one_line(clean(raw)))))
    writer.end_lines(1)
    for _, references, boxes in read:
        _attached(writer, references, boxes, notes)


def _attached(
    writer: Writer, references: list[tuple[str, str]], boxes: list[etree._Element], notes: dict[str, dict[str, str]]
) -> None:
    """Write the notes that were referred to, and the text boxes."""
    for kind, note in references:
        writer.paragraph(notes[kind].get(note, ""))
    for box in boxes:
        for row, paragraphs in _blocks(box):
            if row:
                _row(writer, paragraphs, notes)
                continue
            for paragraph in paragraphs:
                text, inner_references, inner_boxes = _text(paragraph)
                writer.paragraph(clean(text).strip())
                _attached(writer, inner_references, inner_boxes, notes)


def _blocks(parent: etree._Element) -> Iterator[tuple[bool, list[etree._Element]]]:
    """Paragraphs one by one (False), and table rows as the paragraphs in them (True), in order, however deep."""
    stack = [iter(parent)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag == f"{_W}p":
            yield False, [element]
        elif element.tag == f"{_W}tr":
            yield True, [paragraph for _, inside in _blocks(element) for paragraph in inside]
        elif isinstance(element.tag, str) and element.tag not in _GONE:
            stack.append(iter(element))


def _text(paragraph: etree._Element) -> tuple[str, list[tuple[str, str]], list[etree._Element]]:
    """A paragraph's own text, its references to notes, and the text boxes that hang on it."""
    parts: list[str] = []
    references: list[tuple[str, str]] = []
    boxes: list[etree._Element] = []
    stack = [iter(paragraph)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
            continue
        tag = element.tag
        if not isinstance(tag, str) or tag in _GONE:
            continue
        if tag == f"{_W}t":
            parts.append(element.text or "")
        elif tag in (f"{_W}tab", f"{_W}ptab"):
            parts.append("\t")
        elif tag in (f"{_W}br", f"{_W}cr"):
            parts.append("\n")
        elif tag == f"{_W}noBreakHyphen":
            parts.append("-")
        elif tag in _NOTES:
            references.append((_NOTES[tag], element.get(f"{_W}id", "")))
        elif tag == f"{_W}txbxContent":
            boxes.append(element)
        else:
            stack.append(iter(element))
    return "".join(parts), references, boxes


def _level(paragraph: etree._Element, style: str, styles: _Styles) -> int | None:
    """Heading level, from 1; 0 for the title; None for running text."""
    outline = _value(paragraph.find(f"{_W}pPr/{_W}outlineLvl"))
    if outline.isascii() and outline.isdigit() and int(outline) < 9:
        return int(outline) + 1
    return styles.levels.get(style)


def _numbered(paragraph: etree._Element, style: str, styles: _Styles) -> tuple[str, int] | None:
    own = paragraph.find(f"{_W}pPr/{_W}numPr")
    return _list_level(own) if own is not None else styles.numbering.get(style)


def _list_level(element: etree._Element | None) -> tuple[str, int] | None:
    if element is None:
        return None
    list_id, level = _value(element.find(f"{_W}numId")), _value(element.find(f"{_W}ilvl")) or "0"
    if not list_id or list_id == "0" or level not in "012345678":
        return None
    return list_id, int(level)


def _styles(package: Package, name: str) -> _Styles:
    styles = _Styles()
    if name not in package:
        return styles
    for style in _xml(package, name).iter(f"{_W}style"):
        style_id = style.get(f"{_W}styleId", "")
        called = _value(style.find(f"{_W}name"))
        outline = _value(style.find(f"{_W}pPr/{_W}outlineLvl"))
        if match := _HEADING.match(called):
            styles.levels[style_id] = int(match[1])
        elif outline.isascii() and outline.isdigit() and int(outline) < 9:
            styles.levels[style_id] = int(outline) + 1
        elif called.lower() == "title":
            styles.levels[style_id] = 0
        numbered = _list_level(style.find(f"{_W}pPr/{_W}numPr"))
        if numbered:
            level = styles.levels.get(style_id)
            explicit = style.find(f"{_W}pPr/{_W}numPr/{_W}ilvl") is not None
            styles.numbering[style_id] = (numbered[0], numbered[1] if explicit or not level else level - 1)
    return styles


def _patterns(package: Package, name: str) -> dict[tuple[str, int], str]:
    """The pattern of each decimal level of each list."""
    if name not in package:
        return {}
    root = _xml(package, name)
    abstract: dict[str, dict[int, str]] = {}
    for definition in root.iter(f"{_W}abstractNum"):
        levels = {}
        for level in definition.iter(f"{_W}lvl"):
            index = level.get(f"{_W}ilvl", "")
            if index in list("012345678") and _value(level.find(f"{_W}numFmt")) == "decimal":
                levels[int(index)] = _value(level.find(f"{_W}lvlText"))[:50]
        abstract[definition.get(f"{_W}abstractNumId", "")] = levels
    found = {}
    for number in root.iter(f"{_W}num"):
        for level_index, pattern in abstract.get(_value(number.find(f"{_W}abstractNumId")), {}).items():
            found[number.get(f"{_W}numId", ""), level_index] = pattern
    return found


def _notes(package: Package, name: str) -> dict[str, str]:
    """Text of each footnote or endnote by id."""
    if name not in package:
        return {}
    found = {}
    for note in _xml(package, name):
        if note.get(f"{_W}type") in (None, "normal"):
            text = " ".join(_text(paragraph)[0] for paragraph in note.iter(f"{_W}p"))
            found[note.get(f"{_W}id", "")] = one_line(clean(text))
    return found


def _value(element: etree._Element | None) -> str:
    return "" if element is None else element.get(f"{_W}val", "")


def _xml(package: Package, name: str) -> etree._Element:
    """A part, with the names of the strict variant of the format as those of the usual one."""
    root = package.xml(name)
    if isinstance(root.tag, str) and root.tag.startswith(_STRICT):
        for element in root.iter(f"{_STRICT}*"):
            element.tag = _W + etree.QName(element).localname
            for key, value in list(element.attrib.items()):
                if str(key).startswith(_STRICT):
                    element.set(_W + str(key)[len(_STRICT) :], value)
    return root
