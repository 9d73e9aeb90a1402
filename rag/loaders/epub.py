"""EPUB: the chapters in reading order, with their headings and, where the book marks them, printed pages."""

from __future__ import annotations

import posixpath

from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from rag.errors import LoadError
from rag.loaders.content import Content, Pages, Writer, one_line
from rag.loaders.html import decode_html, from_xml, write_html
from rag.loaders.package import Package, resolve
from rag.records import Source

_CONTAINER = "META-INF/container.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NAMED = 5
"""Parts named in a note."""
_PAGE_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def load_epub(data: bytes) -> Content:
    """The text of a book. Raises LoadError for one that is damaged or locked by its seller."""
    package = Package(data, "EPUB")
    rootfile = next(package.xml(_CONTAINER).iter("{*}rootfile"), None)
    opf = rootfile.get("full-path", "") if rootfile is not None else ""
    book = package.xml(opf)
    items = {item.get("id", ""): item for item in book.iter(f"{_OPF}item")}
    chapters = [items[i] for ref in book.iter(f"{_OPF}itemref") if (i := ref.get("idref", "")) in items]
    locked = _locked(package)
    writer = Writer()
    dropped: list[str] = []
    empty: list[str] = []
    for number, item in enumerate(chapters, 1):
        part = resolve(posixpath.dirname(opf), item.get("href", ""))
        if item.get("media-type") not in _PAGE_TYPES or "nav" in item.get("properties", "").split():
            continue
        if part in locked:
            raise LoadError("is locked by its seller (DRM)")
        try:
            parser = LexborHTMLParser(from_xml(decode_html(package.read(part))))
        except LoadError as error:
            dropped.append(f"part {number} of the book {error}")
            continue
        writer.end_lines(2)
        before = writer.length
        if parser.body is not None:
            write_html(writer, parser.body)
        if writer.length == before:
            empty.append(part)
    source = Source(
        title=_first(book, "title"),
        publisher=_first(book, "publisher"),
        authors=tuple(text for e in list(book.iter(f"{_DC}creator"))[:20] if (text := one_line(e.text or "")[:100])),
        date=_first(book, "date")[:10],
        language=_first(book, "language")[:35],
    )
    # A note and no loss: most often it is the cover.
    named = ", ".join(empty[:_NAMED]) + (", …" if len(empty) > _NAMED else "")
    notes = (f"parts of the book without text: {len(empty)} ({one_line(named)})",) if empty else ()
    return Content(writer.text(), tuple(writer.anchors), source, Pages(dropped=tuple(dropped)), notes)


def _first(book: etree._Element, name: str) -> str:
    return next((text for e in book.iter(f"{_DC}{name}") if (text := one_line(e.text or "")[:300])), "")


def _locked(package: Package) -> set[str]:
    """Parts that are encrypted. Fonts often are, harmlessly."""
    if "META-INF/encryption.xml" not in package:
        return set()
    listed = package.xml("META-INF/encryption.xml").iter("{*}CipherReference")
    return {resolve("", reference.get("URI", "")) for reference in listed}
