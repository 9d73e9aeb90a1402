"""A quote with its reference, as it is cited in an essay. What the source does not tell is left out, never made up.

Own code, because the one citation library that works offline (citeproc-py 0.11 with the APA, MLA and Chicago
styles) repeated the title of works without an author, wrote "Edition." for newspapers, shortened given names in MLA
and left out dates, and its styles take 89 MB.

A name is turned around ("Osman, R.") only where it is given as "Osman, Ruby": of "Zhang Junkuo" nobody can tell
which part is the family name. Who speaks in a source has made it where it is spoken, as a speech is; the people whom
an article quotes have not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.chat.escaping import one_line
from rag.chat.places import Place
from rag.location import location
from rag.records import Document

_MONTHS = "January February March April May June July August September October November December".split()
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_ARTICLES = ("article", "news", "book", "report", "paper")
_SPOKEN = frozenset(
    "speech address keynote remarks lecture talk presentation sermon interview conversation dialogue discussion debate "
    "panel hearing testimony webinar podcast transcript".split()
)
"""Words of a kind that say that the document is what its speakers said."""
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "$&%#_"}
    | {"{": r"\textbraceleft{}", "}": r"\textbraceright{}"}  # BibTeX counts braces, also escaped ones
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
# An address is read as it stands: only what could end the field is encoded.
_VERBATIM = str.maketrans({c: f"%{ord(c):02X}" for c in "{}\\"})
_FAMILY_FIRST = re.compile(r"(?!.*\band\b)[^,]+,[^,]*\w", re.IGNORECASE)
STYLES = ("plain", "apa", "mla", "chicago", "bibtex")


@dataclass(frozen=True, slots=True)
class _Work:
    """What is known of a document, ready to be put together. Empty where it is not known."""

    names: tuple[str, ...]
    title: str
    kind: str
    container: str
    """The event or publisher, or both."""
    year: str
    month: str
    day: str
    url: str


def quote_with_reference(place: Place, style: str, no_date: str) -> str:
    """The quote, where it stands, and the reference, to be pasted. An unknown style counts as plain."""
    work, words = _work(place.document), one_line(place.text)
    where = location(place.document, place.start, place.end)
    short = _family(work.names[0]) + (" et al." if len(work.names) > 2 else "") if work.names else f"“{work.title}”"
    if len(work.names) == 2:
        short = f"{short} {'&' if style == 'apa' else 'and'} {_family(work.names[1])}"
    if style == "bibtex":
        return _bibtex(place.document, f"“{words}” ({where})")
    cited = {
        "apa": f" ({short}, {work.year or 'n.d.'}, {where})",
        "mla": f" ({short}, {where})",
        "chicago": f" ({short} {work.year or 'n.d.'}, {where})",
    }.get(style, f" ({where})")
    return f"“{words}”{cited}\n\n{reference(place.document, style, no_date)}"


def reference(document: Document, style: str, no_date: str) -> str:
    """The entry of a document in a list of references."""
    work = _work(document)
    if style == "bibtex":
        return _bibtex(document, "")
    write = {"apa": _apa, "mla": _mla, "chicago": _chicago}.get(style)
    return write(work) if write else _plain(work, no_date)


def _plain(work: _Work, no_date: str) -> str:
    date = " ".join(part for part in (work.day, work.month, work.year) if part)
    return _sentence(", ".join(map(_natural, work.names)), work.title, work.container, date or no_date, work.url)


def _apa(work: _Work) -> str:
    date = ", ".join(part for part in (work.year or "n.d.", f"{work.month} {work.day}".strip()) if part)
    names = _joined([_initials(name) for name in work.names], ", & ")
    title = (
        work.title if any(word in work.kind for word in _ARTICLES) or not work.kind else f"{work.title} [{work.kind}]"
    )
    head = [names, f"({date})", title] if names else [title, f"({date})"]
    return _sentence(*head, work.container, work.url)


def _mla(work: _Work) -> str:
    date = " ".join(
        part for part in (work.day, work.month if len(work.month) < 5 else work.month[:3] + ".", work.year) if part
    )
    names = (
        work.names[0] + ", et al"
        if len(work.names) > 2
        else _joined([*work.names[:1], *map(_natural, work.names[1:])], ", and ")
    )
    return _sentence(names, f"“{_ended(work.title)}”", ", ".join(p for p in (work.container, date, work.url) if p))


def _chicago(work: _Work) -> str:
    names, year = _joined([*work.names[:1], *map(_natural, work.names[1:])], ", and "), work.year or "n.d."
    title = f"“{_ended(work.title)}”"
    day = f"{work.month} {work.day}".strip()
    rest = ", ".join(part for part in (work.container, day) if part)
    return _sentence(names, year, title, rest, work.url) if names else _sentence(title, year, rest, work.url)


def _bibtex(document: Document, annotation: str) -> str:
    work = _work(document)
    word = re.sub(r"[^A-Za-z]", "", _family(work.names[0]) if work.names else work.title.partition(" ")[0])
    key = f"{word or 'source'}{work.year}{document.id[:4]}".lower()
    texts = {
        "title": work.title,
        "howpublished": work.container,
        "year": work.year,
        "month": work.month[:3].lower(),
        "note": work.kind,
        "annote": annotation,
    }
    fields = {
        "author": " and ".join(map(_bibtex_name, work.names)),
        **{name: text.translate(_LATEX) for name, text in texts.items()},
        "url": work.url.translate(_VERBATIM),
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@misc{{{key},\n{lines}}}"


def _bibtex_name(name: str) -> str:
    """A name in braces, which keep it whole, but where BibTeX understands its parts as they are meant."""
    latex = name.translate(_LATEX)
    return latex if _FAMILY_FIRST.fullmatch(name) else f"{{{latex}}}"


def _work(document: Document) -> _Work:
    source = document.source
    match = _DATE.fullmatch(source.date)
    year, month, day = (match[1], match[2] or "", match[3] or "") if match else (source.date, "", "")
    named = _MONTHS[int(month) - 1] if month and 1 <= int(month) <= 12 else month
    container = ", ".join(one_line(part) for part in dict.fromkeys((source.event, source.publisher)) if part)
    spoken = not _SPOKEN.isdisjoint(re.findall(r"\w+", source.kind.lower()))
    return _Work(
        tuple(one_line(name) for name in source.authors or (source.speakers if spoken else ())),
        one_line(document.title),
        one_line(source.kind),
        container,
        one_line(year),
        named,
        day.lstrip("0"),
        one_line(source.url),
    )


def _family(name: str) -> str:
    return name.partition(",")[0].strip()


def _natural(name: str) -> str:
    family, comma, given = name.partition(",")
    return f"{given.strip()} {family.strip()}" if comma and given.strip() else name


def _initials(name: str) -> str:
    family, comma, given = name.partition(",")
    return f"{family.strip()}, {' '.join(f'{word[0]}.' for word in given.split())}" if comma and given.strip() else name


def _joined(names: list[str], last: str) -> str:
    return ", ".join(names[:-1]) + last + names[-1] if len(names) > 1 else "".join(names)


def _ended(text: str) -> str:
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


def _sentence(*found: str) -> str:
    """The parts that are known, each ended by a full stop; a web address is left as it is."""
    whole = [
        part if part.startswith(("http://", "https://")) or part.endswith((".”", "?”", "!”")) else _ended(part)
        for part in found
        if part
    ]
    return " ".join(whole)
