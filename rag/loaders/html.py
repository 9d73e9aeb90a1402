"""HTML: the main text as a reader sees it, with headings; menus, scripts and the controls of forms left out."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.errors import LoadError
from rag.loaders.content import Content, Writer, clean, one_line
from rag.records import AnchorKind, Source
from rag.texts import decode

_SKIPPED = frozenset(
    """
    script style noscript template nav aside button select textarea input svg canvas iframe object embed
    video audio map dialog menu head datalist annotation annotation-xml
    """.split()
)
"""Not `form`: some servers put a whole page into one."""
_SKIPPED_ROLES = frozenset(
    "navigation banner contentinfo complementary search menu menubar dialog alert doc-toc doc-backlink".split()
)
_SKIPPED_NAMES = frozenset(
    """
    nav navbar main-nav site-nav nav-menu main-menu site-menu sidebar left-sidebar right-sidebar
    breadcrumb breadcrumbs toc table-of-contents cookie-banner cookie-notice cookie-consent share-buttons social-share
    skip-link site-header site-footer
    """.split()
)
"""Whole classes and ids of what stands beside the text. A part of one says nothing: see "no-sidebar"."""
_SKIPPED_LISTS = _SKIPPED_NAMES | {"menu", "share", "sharing"}
"""Of lists: any other element so named may be the menu of an inn, or a section with that heading."""
_FRAME = ("header", "footer")
"""Furniture of a page, but a part of the text inside an article."""
_BLOCKS = frozenset(
    """
    address article blockquote body caption center dd details div dl dt fieldset figcaption figure footer form header
    hgroup hr html legend main ol p pre section summary table ul
    """.split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MIN_MAIN_SHARE = 0.25
"""A marked main part with less than this share of the page's text is not believed."""
_CHARSET = re.compile(rb"<(?:meta[^>]{0,200}charset|\?xml[^>]{0,100}encoding)\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]+)", re.I)
_PLAIN = rb"""<a title='\u0061+AGE-.xn--mnchen-3ya.'>"""
"""ASCII in which the codecs that are not ASCII, such as UTF-16 and UTF-7, and those of escapes read something else."""
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SELF_CLOSED = re.compile(r"""<([a-z][^\s<>/"']*+)((?:[^<>"'/]|/(?!>)|"[^"<]*"|'[^'<]*')*+)/>""", re.I)
"""An empty element as XML writes it. Attributes hold no `<` there, so no match runs past the next one."""
_DATES = ("article:published_time", "citation_publication_date", "dc.date", "dcterms.date", "date")
_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")


def load_html(data: bytes) -> Content:
    """A web page. The encoding it declares is believed where the bytes agree."""
    text = decode_html(data)
    return _load(from_xml(text) if text.lstrip().startswith("<?xml") else text)


def load_xhtml(data: bytes) -> Content:
    """A web page that is XML, whether it says so or not."""
    return _load(from_xml(decode_html(data)))


def from_xml(text: str) -> str:
    """XHTML as HTML: `<title/>` as `<title></title>`, for in HTML only void elements end where they begin."""
    return _SELF_CLOSED.sub(lambda m: m[0] if m[1].lower() in _VOID else f"<{m[1]}{m[2]}></{m[1]}>", text)


def _load(text: str) -> Content:
    parser = LexborHTMLParser(text)
    root = parser.root
    if root is None:
        raise LoadError("has no text in it")
    title = _title(parser)
    meta = _meta(parser)
    body = parser.body or root
    writer = Writer()
    whole = Writer()
    write_html(whole, body)
    main = _main(body)
    if main is not None:
        write_html(writer, main)
    chosen = writer if writer.length >= _MIN_MAIN_SHARE * whole.length and writer.length else whole
    page = parser.css_first("html")
    language = (page.attributes.get("lang") or "") if page is not None else ""
    date = next((m[0] for key in _DATES if (m := _DATE.match(meta.get(key, "")))), "")
    author = one_line(clean(meta.get("author", "")))[:300]
    source = Source(
        title=title[:300],
        publisher=one_line(clean(meta.get("og:site_name", "")))[:300],
        authors=(author,) if author else (),
        date=date,
        language=language[:35],
    )
    return Content(chosen.text(), tuple(chosen.anchors), source)


def decode_html(data: bytes) -> str:
    """The characters of a page: by byte-order mark, then by what it declares, then as any text file.

    A declaration is found as ASCII, so one of an encoding that does not read ASCII as itself cannot be right.
    """
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        encoding = declared[1].decode("ascii")
        try:
            if _PLAIN.decode(encoding) == _PLAIN.decode("ascii"):
                return data.decode(encoding)
        except (LookupError, UnicodeDecodeError, ValueError):
            pass  # declared wrongly, as it often is
    return decode(data)


def write_html(writer: Writer, top: LexborNode) -> None:
    """Write what a reader sees of an element. Walks without recursion: tags may be nested a million deep."""
    collected: list[str] = []  # of the block that is being read
    preformatted = 0
    inside_article = 0
    node: LexborNode | None = top
    leaving = False

    def end_block(breaks: int) -> None:
        text = "".join(collected)
        collected.clear()
        text = text.strip("\n").rstrip() if preformatted else _tidy(text)
        if text.strip():
            writer.end_lines(breaks)
            writer.write(text)
        writer.end_lines(breaks)

    while node is not None:
        tag = node.tag or ""
        if not leaving:
            if tag == "-text":
                text = clean(node.text_content or "")
                collected.append(text if preformatted else re.sub(r"[ \t\r\n\f]+", " ", text))
            elif tag == "br":
                collected.append("\n")
            elif not (node is not top and node.is_element_node and _is_skipped(node, tag, bool(inside_article))):
                if page := _page_break(node):
                    end_block(2)
                    writer.anchor(AnchorKind.PAGE, f"p. {page}")
                if tag in _HEADINGS:
                    end_block(2)
                    label = one_line(clean(node.text(deep=True, separator="")))
                    if label:
                        writer.anchor(AnchorKind.HEADING, label)
                elif tag == "tr":
                    end_block(1)
                elif tag == "li":
                    end_block(1)
                    collected.append("- ")
                elif tag in _BLOCKS:
                    end_block(2)
                inside_article += tag in ("article", "main")
                preformatted += tag == "pre"
                child = node.child if node.is_element_node or node.mem_id == top.mem_id else None
                if child is not None:
                    node = child
                    continue
                leaving = True
                continue
        else:
            leaving = False
            if tag in _HEADINGS or tag in _BLOCKS:
                end_block(2)
            elif tag in ("tr", "li"):
                end_block(1)
            elif tag in ("td", "th"):
                collected.append(" | ")
            inside_article -= tag in ("article", "main")
            preformatted -= tag == "pre"
        if node.mem_id == top.mem_id:
            break
        if node.next is not None:
            node = node.next
        else:
            node, leaving = node.parent, True
    end_block(2)


def _tidy(text: str) -> str:
    """A block's text with single spaces, and its own line breaks."""
    lines = [re.sub(r"(?:\| *)+\Z", "", one_line(line)).strip() for line in text.split("\n")]
    joined = "\n".join(line for line in lines if line)
    return "" if joined == "-" else joined


def _is_skipped(node: LexborNode, tag: str, inside_article: bool) -> bool:
    if tag in _SKIPPED or (tag in _FRAME and not inside_article):
        return True
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    if (attributes.get("role") or "").lower() in _SKIPPED_ROLES:
        return True
    if tag not in ("div", "ul", "ol", "section", "p"):
        return False
    names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}".lower().replace("_", "-").split()
    skipped = _SKIPPED_LISTS if tag in ("ul", "ol") else _SKIPPED_NAMES
    return not skipped.isdisjoint(names) and node.css_first('h1, main, article, [role="main"]') is None


def _page_break(node: LexborNode) -> str:
    """The number of a printed page that begins here, as EPUB marks it; empty for any other element."""
    if not node.is_element_node:
        return ""
    attributes = node.attributes
    if attributes and "pagebreak" in f"{attributes.get('epub:type') or ''} {attributes.get('role') or ''}":
        label = attributes.get("title") or attributes.get("aria-label") or node.text(deep=True) or ""
        return one_line(clean(label)).removeprefix("page ").strip(".")[:20]
    return ""


def _main(body: LexborNode) -> LexborNode | None:
    """The element that holds the main text, where the page marks one."""
    for selector in ("main", '[role="main"]', "article"):
        found = body.css(selector)
        if len(found) == 1:
            return found[0]
    return None


def _title(parser: LexborHTMLParser) -> str:
    heading = parser.css_first("h1")
    title = parser.css_first("title")
    for node in (title, heading):
        if node is not None and (text := one_line(clean(node.text(deep=True)))):
            return text
    return ""


def _meta(parser: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in parser.css("meta")[:500]:
        name = node.attributes.get("name") or node.attributes.get("property") or ""
        found.setdefault(name.lower(), node.attributes.get("content") or "")
    return found
