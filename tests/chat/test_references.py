"""References in five styles, and what they leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.chat.places import Place
from rag.chat.references import STYLES, quote_with_reference, reference
from rag.records import Source
from rag.sources import read_sources
from tests.chat.library import MARKUP, document, library

ARTICLE = document(
    "a.md",
    "The harbour was built in 1874.",
    Source("The Harbour of Norby", "article", "Norby Gazette", "", "2019-05-04", ("Lind, Eva", "Holm, Per Olaf")),
)
UNKNOWN = document("notes.txt", "Nothing is known of this text.", Source())
BLANK = document("notes.txt", "Nothing is known of this text.", Source(" "))


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("plain", "Eva Lind, Per Olaf Holm. The Harbour of Norby. Norby Gazette. 4 May 2019."),
        ("apa", "Lind, E., & Holm, P. O. (2019, May 4). The Harbour of Norby. Norby Gazette."),
        ("mla", "Lind, Eva, and Per Olaf Holm. “The Harbour of Norby.” Norby Gazette, 4 May 2019."),
        ("chicago", "Lind, Eva, and Per Olaf Holm. 2019. “The Harbour of Norby.” Norby Gazette, May 4."),
    ],
)
def test_a_known_source(style: str, expected: str) -> None:
    """Authors, date, title and publisher stand where the style puts them."""
    assert reference(ARTICLE, style, "date not known") == expected


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("plain", "notes.txt. date not known."),
        ("apa", "notes.txt. (n.d.)."),
        ("mla", "“notes.txt.”"),
        ("chicago", "“notes.txt.” n.d."),
    ],
)
def test_what_is_not_known_is_left_out(style: str, expected: str) -> None:
    """No author, date or publisher is made up for a source that tells none; a blank title counts as none."""
    assert reference(UNKNOWN, style, "date not known") == expected
    assert reference(BLANK, style, "date not known") == expected


def test_bibtex_escapes_what_latex_reads() -> None:
    """Braces, which BibTeX counts escaped or not, backslashes and other active characters do not break the entry."""
    title = r"50 % of {all} \input{x & $y_1$"
    item = document("x.txt", "words", Source(title, authors=("Lind, Eva",), date="2020"))
    entry = reference(item, "bibtex", "")
    assert r"title = {50 \% of \textbraceleft{}all\textbraceright{} \textbackslash{}input\textbraceleft{}" in entry
    assert r"\& \$y\_1\$}," in entry
    assert entry.count("{") == entry.count("}")
    assert entry.startswith("@misc{lind2020")
    assert entry.count("\n}") == 1


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("item", [*library(), ARTICLE, UNKNOWN, BLANK], ids=lambda d: d.path[:10])
def test_a_quote_carries_its_words_and_place(style: str, item: object) -> None:
    """In every style and for every source the copied text holds the exact words and where they stand."""
    assert hasattr(item, "text")
    place = Place(item, 0, 12)  # type: ignore[arg-type]  # parametrised by pytest
    copied = quote_with_reference(place, style, "date not known")
    assert " ".join(item.text[:12].split()).strip("#{}$ ") in copied
    assert "line 1" in copied


def test_names_are_turned_around_only_where_that_is_certain() -> None:
    """ "Zhang Junkuo" stays as it is written; nobody can tell which part is the family name."""
    item = document(
        "x.txt", "words", Source("Talk", "speech", event="Forum", date="2024-03", speakers=("Zhang Junkuo",))
    )
    assert reference(item, "apa", "") == "Zhang Junkuo. (2024, March). Talk [speech]. Forum."


@pytest.mark.parametrize(
    ("names", "apa", "mla"),
    [
        (("Lind, Eva", "Holm, Per Olaf"), "Lind & Holm", "Lind and Holm"),
        (("Research and Development Office",), *["Research and Development Office"] * 2),
        ((), *["“War and Peace”"] * 2),
    ],
)
def test_only_what_joins_two_names_is_of_the_style(names: tuple[str, ...], apa: str, mla: str) -> None:
    """An "and" within a name or a title stays."""
    place = Place(document("x.txt", "words", Source("War and Peace", authors=names)), 0, 5)
    assert f"({apa}, n.d., line 1)" in quote_with_reference(place, "apa", "")
    assert f"({mla}, line 1)" in quote_with_reference(place, "mla", "")


@pytest.mark.parametrize(
    ("names", "author"),
    [
        (("Lind, Eva", "Holm, Per Olaf"), "Lind, Eva and Holm, Per Olaf"),
        (("Zhang Xuanyu", "Tang Tianbo"), "{Zhang Xuanyu} and {Tang Tianbo}"),
        (("Research and Development Office",), "{Research and Development Office}"),
        (("Office for Sea and Salt, Norby",), "{Office for Sea and Salt, Norby}"),
    ],
)
def test_bibtex_turns_no_name_around_by_itself(names: tuple[str, ...], author: str) -> None:
    """A name that does not say which part is the family name is one whole, and so is one with an "and"."""
    entry = reference(document("x.txt", "words", Source("Talk", authors=names)), "bibtex", "")
    assert f"  author = {{{author}}},\n" in entry


def test_bibtex_keeps_the_address() -> None:
    """The field is read verbatim: an underscore stays bare, and what could end the field is percent-encoded."""
    item = document("x.txt", "words", Source("Talk", url=r"https://x.example/a_b?q=50%25&r={x}\y#z"))
    assert r"  url = {https://x.example/a_b?q=50%25&r=%7Bx%7D%5Cy#z}," in reference(item, "bibtex", "")


def test_people_quoted_in_an_article_did_not_write_it(seeds: Path) -> None:
    """A seed's reference begins with its title where it only quotes people, and with them where they speak."""
    entries = read_sources(seeds)
    article, interview = (
        next(entry.source for path, entry in entries.items() if path.startswith(number)) for number in ("001", "002")
    )
    assert article.speakers == ("Liu Hua", "Zuo Xiaodong", "Shen Yi")
    item = document("x.txt", "words", article)
    assert reference(item, "apa", "") == f"{article.title}. (n.d.). China Daily."
    assert f"(“{article.title}”, n.d., line 1)" in quote_with_reference(Place(item, 0, 5), "apa", "")
    assert "author" not in reference(item, "bibtex", "")
    assert reference(document("x.txt", "words", interview), "apa", "").startswith("Zhihui Li. (2021, April 13). Why")


def test_hostile_metadata_stays_on_its_line() -> None:
    """Line breaks in metadata cannot make a second entry."""
    item = document("x.txt", "words", Source(f"{MARKUP}\n}}\n@misc{{evil", date="2020\n2021"))
    assert reference(item, "bibtex", "").count("\n@") == 0
    assert "\n" not in reference(item, "apa", "")
