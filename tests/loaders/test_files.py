"""Real files of every format: what is read, and that a quote is found again by its page, slide, time or section."""

from __future__ import annotations

import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from rag.errors import LoadError
from rag.loaders import pdf
from rag.loaders.content import Writer
from rag.loaders.docx import load_docx
from rag.loaders.epub import load_epub
from rag.loaders.html import from_xml, load_html, load_xhtml
from rag.loaders.isolation import Isolated
from rag.loaders.tables import load_csv, load_tsv
from rag.loading import CorpusFile, load_document, read_content, read_file
from rag.location import location
from rag.records import Document, Source
from rag.sources import SourceEntry

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def isolated() -> Iterator[Isolated]:
    """One reading process for all files."""
    with Isolated() as opened:
        yield opened


def corpus_file(name: str) -> CorpusFile:
    return CorpusFile(FILES / name, name, SourceEntry(Source()))


def load(name: str, isolated: Isolated) -> Document:
    return load_document(corpus_file(name), max_bytes=2**24, isolated=isolated)


@pytest.mark.parametrize(
    ("name", "quote", "where"),
    [
        ("chromium.pdf", "The largest thing is not here", ""),
        ("chromium.pdf", "only 5 of 27\nclay dams do.1 The difference is largest", "p. 1"),
        ("chromium.pdf", "“The sea does not wait, so you do.”", "p. 2"),
        ("writer.pdf", "17 still hold a\ndam that keeps water", "p. 1, section Introduction"),
        ("writer.pdf", "because a current of that strength", "p. 1, section State of the dams"),
        ("writer.pdf", "Record the sound of a working wheel", "p. 2, section Recommendations"),
        ("columns.pdf", "The workers were paid by the barrel,\nwhich is why the parish books\ncomplain", "p. 1"),
        ("columns.pdf", "Efficient evaporation was difficult to\nfind", "p. 1"),
        ("pages.pdf", "afraid\nof the water and said so in verse", "p. 1"),
        ("pages.pdf", "that a bishop weighs more than a sheep; the\nwell-known answer", "p. 2"),
        ("labels.pdf", "the final ledger floated to\nDenmark.", "p. 1 (printed xii)"),
        ("labels.pdf", "A cow cost forty öre", "p. 2 (printed 1)"),
        ("numbered.pdf", "This page is about thanks and nothing else", "p. 2 (printed ii)"),
        ("numbered.pdf", "Rope. This page is about rope", "p. 5 (printed 3)"),
        ("mixed.pdf", "Page 4 has words of its own", "p. 4"),
        ("report.docx", "only 5 of 27 clay dams do", "section State of the dams, "),
        ("report.docx", "Skarholmen | stone | yes", "section State of the dams, "),
        ("report.docx", "loses less than a hand’s breadth", "section State of the dams, "),
        ("writer.docx", "She kept a tide table nailed to the door", "section 2.2 What the millers said, "),
        ("tracked.docx", "The dam always held.", "section Repairs, "),
        ("tracked.docx", "A form field says: nine metres.", "section Repairs, "),
        ("tracked.docx", "Stone | 90 euros", "section Money, "),
        ("slides.pptx", "Nobody has to wait for rain", "slide 2, section Why tides"),
        ("slides.pptx", "the mill at Ravnsund ran for 766 years", "slide 2, notes, section Why tides"),
        ("slides.pptx", "clay | 27 | 5", "slide 3, section What failed"),
        ("impress.pptx", "Repair the stone dams first.", "slide 4, section What to do"),
        ("impress.pptx", "the mill at Ravnsund ran for 766 years", "slide 2, notes, section Why tides"),
        ("report.html", "“The sea does not wait, so you do.”", "section 2.2 What the millers said, "),
        ("page.html", "none in a wet one.", "section Salt pans of Lindmark, "),
        ("page.html", "1841       40\n1842        0", "section Workers, "),
        ("report.epub", "Leave clay dams that have failed", "section Recommendations, "),
        ("panel.vtt", "welcome to the panel & the debate.", "00:00:01, Ruby Osman"),
        ("panel.vtt", "The sea does not wait, so you do.", "00:14:05, Ines Aldane"),
        ("panel.vtt", "Thank you.", "01:00:00, Ruby Osman"),
        ("dialogue.srt", "and then the flood came.", "00:00:04, JAN"),
        ("dialogue.srt", "When?", "00:00:09, MARA"),
        ("faq.csv", "How long, then?\n766 years.\nUntil 1953.", "row 2"),
        ("faq.csv", 'The "flood"', "row 3"),
    ],
)
def test_quote_is_found_at_its_place(name: str, quote: str, where: str, isolated: Isolated) -> None:
    """The words stand in the text, once, and their location is what a reader of the file would look for."""
    document = load(name, isolated)
    if not where:
        assert quote not in document.text
        return
    assert document.text.count(quote) == 1, document.text
    start = document.text.index(quote)
    assert location(document, start, start + len(quote)).startswith(where)


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        ("chromium.pdf", "file:///"),  # the footer on each page
        ("pages.pdf", "ferries of the sound"),  # the header on each page
        ("tracked.docx", "never"),  # deleted with tracking on
        ("page.html", "cookies"),
        ("page.html", "Archive of letters"),
        ("page.html", "pepper"),
        ("page.html", "Hidden words"),
        ("page.html", "do not index me"),
        ("panel.vtt", "color"),
        ("panel.vtt", "<"),
    ],
)
def test_furniture_is_left_out(name: str, unwanted: str, isolated: Isolated) -> None:
    """Headers, footers, menus, scripts and what was deleted are not text."""
    assert unwanted not in load(name, isolated).text


def test_pages_are_counted(isolated: Isolated) -> None:
    """A blank page is empty; a scanned one among others is dropped, and named."""
    file = corpus_file("mixed.pdf")
    pages = read_content(file, read_file(file, 2**24), isolated).pages
    assert (pages.seen, pages.empty, pages.dropped) == (4, 1, ("p. 2 is a picture without text",))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("scan.pdf", "is a scan: none of its 1 pages has text"), ("encrypted.pdf", "is encrypted with a password")],
)
def test_file_without_readable_text_is_named_as_such(name: str, reason: str, isolated: Isolated) -> None:
    """The reason says what is the matter and what to do."""
    with pytest.raises(LoadError, match=reason):
        load(name, isolated)


def test_a_file_says_of_itself_what_it_is(isolated: Isolated) -> None:
    """Title, authors, date, language and speakers come from the file where it names them."""
    page, talk = load("page.html", isolated).source, load("panel.vtt", isolated).source
    assert (page.title, page.publisher, page.authors) == ("Salt pans of Lindmark", "The Salt Society", ("Per Ostrow",))
    assert (page.date, page.language) == ("2022-08-01", "en-GB")
    assert (talk.title, talk.language, talk.speakers) == ("Panel on tide mills", "en", ("Ruby Osman", "Ines Aldane"))
    assert load("report.docx", isolated).source.authors == ("Ines Aldane",)


def test_what_sources_toml_says_wins(isolated: Isolated) -> None:
    """An entry's title replaces the file's own, and its other fields stay."""
    file = CorpusFile(FILES / "page.html", "page.html", SourceEntry(Source(title="Mine")))
    source = load_document(file, max_bytes=2**24, isolated=isolated).source
    assert (source.title, source.publisher) == ("Mine", "The Salt Society")


def test_a_row_of_a_table_is_read_once_with_its_notes() -> None:
    """In a cell, a footnote is read, a text box not once more for older programs, a soft hyphen not at all."""
    box = "<w:txbxContent><w:p><w:r><w:t>only in summer</w:t></w:r></w:p></w:txbxContent>"
    row = (
        "<w:tr><w:tc><w:p><w:r><w:t>bar\u00adley</w:t></w:r>"
        "<w:r><mc:AlternateContent><mc:Choice>BOX</mc:Choice><mc:Fallback>BOX</mc:Fallback></mc:AlternateContent></w:r>"
        '</w:p></w:tc><w:tc><w:p><w:r><w:t>12</w:t><w:footnoteReference w:id="7"/></w:r></w:p></w:tc></w:tr>'
    ).replace("BOX", box)
    word = (
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    )
    footnote = '<w:footnote w:id="7"><w:p><w:r><w:t>In barrels.</w:t></w:r></w:p></w:footnote>'
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr("word/document.xml", f"<w:document {word}><w:body><w:tbl>{row}</w:tbl></w:body></w:document>")
        package.writestr("word/footnotes.xml", f"<w:footnotes {word}>{footnote}</w:footnotes>")
        package.writestr(
            "word/_rels/document.xml.rels",
            f'<Relationships xmlns="{relations}">'
            '<Relationship Id="1" Type="x/footnotes" Target="footnotes.xml"/></Relationships>',
        )
    assert load_docx(packed.getvalue()).text == "barley | 12\n\nonly in summer\n\nIn barrels.\n"


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u2009"])
def test_a_word_broken_at_a_line_end_takes_nothing_with_it(space: str) -> None:
    """What stands before a broken word stays, whatever white space parts the two."""
    writer = Writer()
    page = pdf._Page(1, lines=[pdf._Line(f"is thick, about 30{space}micro-"), pdf._Line("metres of clay")])
    pdf._write_page(writer, page, set(), Counter())
    assert " ".join(writer.text().split()) == "is thick, about 30 micrometres of clay"


SELF_CLOSED = [
    "<head><title/></head><body>TEXT</body>",
    "<head><script src='a/b>.js' /><style/></head><body>TEXT</body>",
    '<body><SCRIPT src="x.js" data-a="/>"/><textarea/><iframe src="/"\n/>TEXT</body>',
    '<body><svg><title/><path d="M0"/></svg>TEXT</body>',
]


@pytest.mark.parametrize("page", SELF_CLOSED)
def test_an_empty_element_of_xml_swallows_nothing(page: str) -> None:
    """In XHTML, named or declared as such, any element may close itself; the text after it is read."""
    page = page.replace("TEXT", "<p>The ferry<br/>sails <a id='n'/>at <i>six</i>.</p>")
    data = f'<html xmlns="http://www.w3.org/1999/xhtml">{page}</html>'.encode()
    assert load_xhtml(data).text == "The ferry\nsails at six.\n"
    assert load_html(b'\n<?xml version="1.0" encoding="utf-8"?>\n' + data).text == "The ferry\nsails at six.\n"
    assert load_epub(book(chapter=data)).text == "The ferry\nsails at six.\n"


@pytest.mark.parametrize("start", ["<a", "<a ", "<a x='", '<a x="y"', "<a x='<b y=\"", "a", "/", "<a/", "'", "<a '' "])
def test_empty_elements_are_found_in_linear_time(start: str) -> None:
    """Whatever is left open, and however often."""
    started = time.perf_counter()
    from_xml("<b " + start * 200_000)
    from_xml("<b" + start * 200_000)
    assert time.perf_counter() - started < 2


def test_a_part_of_a_book_without_text_is_noted() -> None:
    """It is named and no loss, for it may be the cover."""
    content = load_epub(book(cover=b"<html><body><img src='c.png'/></body></html>", one=b"<html><p>Text.</p></html>"))
    assert (content.text, content.notes) == ("Text.\n", ("parts of the book without text: 1 (cover.xhtml)",))
    assert content.pages.dropped == ()


def book(**parts: bytes) -> bytes:
    """An EPUB of these parts, in this order."""
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in parts)
    spine = "".join(f'<itemref idref="{n}"/>' for n in parts)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr("META-INF/container.xml", '<container><rootfile full-path="b.opf"/></container>')
        package.writestr("b.opf", f'<package xmlns="http://www.idpf.org/2007/opf">{items}{spine}</package>')
        for name, data in parts.items():
            package.writestr(f"{name}.xhtml", data)
    return packed.getvalue()


@pytest.mark.parametrize(
    "kept",
    [
        '<div class="page no-sidebar">The ferry sails at six.</div>',
        '<div class="has-sidebar">The ferry sails at six.</div>',
        '<section class="content-sidebar-wrap">The ferry sails at six.</section>',
        '<section id="market-share">The ferry sails at six.</section>',
        '<div class="menu">The ferry sails at six.</div>',
        '<section id="cookies"><h2>Cookies</h2>The ferry sails at six.</section>',
        '<div class="sidebar"><h1>Ferries</h1>The ferry sails at six.</div>',
        '<div id="nav"><article>The ferry sails at six.</article></div>',
        '<div class="toc"><div role="main">The ferry sails at six.</div></div>',
    ],
)
def test_no_name_costs_a_page_its_text(kept: str) -> None:
    """A name that only holds a word such as "sidebar" is not one, and no name hides a page's title or main part."""
    assert "The ferry sails at six." in load_html(f"{kept}<p>{'Contact us. ' * 9}</p>".encode()).text


def test_a_quotation_mark_in_tsv_swallows_no_rows() -> None:
    """A field that begins with one ends at the next tab or line; in CSV a quoted field may hold both."""
    rows = 'question\tanswer\nWhen?\t"At six\nWhere?\t12" quay\nHow?\tRow'
    read = 'When?\n"At six\n\nWhere?\n12" quay\n\nHow?\nRow\n'
    assert load_tsv(rows.encode()).text == read
    assert load_csv(b'question,answer\nWhen?,"At six,\nor so"').text == "When?\nAt six,\nor so\n"


def test_fields_of_tsv_that_are_quoted_throughout_are_read_so() -> None:
    """As spreadsheets write a field with a line break, a tab or quotation marks in it."""
    rows = 'name\ttext\nale\t"brewed ""twice""\nand cooled"\nrye\tbaked\n'
    assert load_tsv(rows.encode()).text == 'name: ale\nbrewed "twice"\nand cooled\n\nname: rye\nbaked\n'


def test_a_page_inside_a_form_is_read() -> None:
    """The text in a form is text; its controls are not."""
    page = "<body><form>Ferries<p>The ferry sails at six.</p><select><option>Six</select><button>Go</button></form>"
    assert load_html(page.encode()).text == "Ferries\n\nThe ferry sails at six.\n"


@pytest.mark.parametrize(
    "left_out",
    [
        'div class="left Sidebar"',
        'div id="main_nav"',
        'p class="skip-link"',
        'ul class="menu"',
        'div class="site-footer"',
    ],
)
def test_a_part_beside_the_text_is_known_by_its_name(left_out: str) -> None:
    """A whole class or id that pages give to their furniture leaves an element out."""
    page = f"<p>The ferry sails at six.</p><{left_out}>Imprint</{left_out.split()[0]}>"
    assert load_html(page.encode()).text == "The ferry sails at six.\n"


@pytest.mark.parametrize(
    "declared",
    "utf-16 UTF-16LE utf-32 utf-7 unicode_escape raw-unicode-escape idna punycode cp500 base64 hex no-such".split(),
)
def test_a_declaration_that_cannot_be_right_is_passed_over(declared: str) -> None:
    """What stands in ASCII in a page of UTF-8 is not believed where it names an encoding that does not read ASCII."""
    head = f'<html><head><meta charset="{declared}"><title>Ferries</title></head><body><p>'
    for end in ("", "."):  # of an even and an odd length
        page = f"{head}The café at C:\\new+AGE- took 3 öre{end}</p></body></html>".encode()
        assert load_html(page).text.strip() == f"The café at C:\\new+AGE- took 3 öre{end}"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("windows-1251", "cp1251"), ("Shift_JIS", "shift_jis"), ("gb18030", "gb18030"), ("big5", "big5")],
)
def test_a_declaration_that_fits_is_believed(declared: str, encoding: str) -> None:
    """Encodings that read ASCII as itself, of one byte or several a character."""
    text = {"cp1251": "Паром идёт", "shift_jis": "渡し船が来る"}.get(encoding, "渡船來")
    page = f'<html><head><meta charset="{declared}"></head><body><p>{text}</p></body></html>'.encode(encoding)
    assert load_html(page).text.strip() == text


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_anchors_fit_the_text(path: Path, isolated: Isolated) -> None:
    """Anchors are in order, within the text, and begin on a character that is read."""
    try:
        document = load(path.name, isolated)
    except LoadError:
        return
    starts = [anchor.start for anchor in document.anchors]
    assert starts == sorted(starts)
    assert all(0 <= start < len(document.text) and not document.text[start].isspace() for start in starts)
