"""Segments: the smallest stretches worth quoting.

A segment is a sentence, or, where a text has no usable sentences (speech recognition, very long
sentences), a clause bounded by a pause, a connective or inner punctuation. Segments are in order and do
not overlap; between them lies nothing but white space.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from rag.records import Span

MAX_WORDS = 45
"""A sentence longer than this is cut into clauses."""
_MIN_WORDS = 9
_TARGET_WORDS = 22
_MIN_BROKEN_LINE = 20
"""Characters a line must have before a blank line to count as broken off."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CLOSERS = "\"'”’»)]}*_"
_OPENERS = "\"'“‘«([{*_#-–—•"
_ENDERS = ".!?…।॥۔؟։።"
_WIDE_ENDERS = "。！？"
UNSPACED_SCRIPTS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts written without spaces between words, as in a character class."""
_WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]{{1,2}}[^\w\s]*|[^\s{UNSPACED_SCRIPTS}]+")
_MARKS = re.compile(
    f"(?P<wide>[{_WIDE_ENDERS}][{_WIDE_ENDERS}」』）{re.escape(_CLOSERS)}]*)|[{_ENDERS}][{_ENDERS}{re.escape(_CLOSERS)}]*"
)
"""What may end a sentence, with what closes after it."""
_LIST_ITEM = re.compile(r"\s*(?:[-*+•–]|\d{1,3}[.)]|[a-zA-Z][.)]|\|)\s")
_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof sr jr st vs etc no nos vol fig figs eq al approx dept est gen gov sen rep rev inc ltd co
    corp e.g i.e cf p pp ch sec art jan feb mar apr jun jul aug sep sept oct nov dec ph.d u.s u.k u.n a.m p.m
    """.split()
)

_CONNECTIVES = frozenset(
    """
    and but so because or then also however although though while whereas when if since unless therefore thus
    obviously basically actually finally firstly secondly thirdly lastly first second third okay ok yeah yes no
    well now besides furthermore moreover meanwhile similarly especially thank hello which who where that
    """.split()
)
_STRONG_CONNECTIVES = frozenset(
    """
    but so because however although finally firstly secondly lastly furthermore besides
    """.split()
)
_SUBJECTS = frozenset(
    """
    i we they it there this he she you i'm it's there's that's we've they're you've i've
    """.split()
)
_FILLERS = frozenset(
    """
    uh um er erm mhm
    """.split()
)
# A stretch must not end on a word that needs the next one.
_LEANING = frozenset(
    """
    a an the of to in on at for with by from as into about between among through over under than is are was were
    be been being am has have had do does did will would can could should may might must shall not very more
    most less its their our your my his her this these those such and or but so because if when while which who
    whose where that what how really quite just like per no every each some any many much i we they he she it
    you it's that's there's i'm we've they're you've to- mr mrs dr professor
    """.split()
)


def segments(text: str, cuts: Sequence[int] = ()) -> list[Span]:
    """Cut a text into segments, none of which goes across a character offset in `cuts` (a new speaker or page).

    Returns spans in order, without overlap, each starting and ending on a character that is not white
    space; every such character of the text lies in exactly one of them.
    """
    found: list[Span] = []
    for block in _split(_blocks(text), cuts):
        for sentence in _sentences(text, block):
            found.extend(_clauses(text, sentence))
    return found


def _split(blocks: list[Span], cuts: Sequence[int]) -> Iterator[Span]:
    """The blocks, cut in two wherever a cut lies inside one."""
    waiting = deque(sorted(cuts))
    for block in blocks:
        start = block.start
        while waiting and waiting[0] < block.end:
            cut = waiting.popleft()
            if cut > start:
                yield Span(start, cut)
                start = cut
        yield Span(start, block.end)


def _blocks(text: str) -> list[Span]:
    """Stretches between hard line breaks: a break inside a running sentence does not count.

    Transcripts and pages taken from PDF break lines, and even paragraphs, in the middle of a sentence.
    """
    lines = [Span(m.start(), m.end()) for m in _LINE.finditer(text) if m.end() > m.start()]
    width = _wrap_width(text, lines)
    blocks: list[Span] = []
    previous: str | None = None  # last line of the open block, stripped
    blank = False
    for line in lines:
        content = text[line.start : line.end].strip()
        if not content:
            blank = True
            continue
        if previous is not None and _runs_on(previous, content, blank, width):
            blocks[-1] = Span(blocks[-1].start, line.end)
        else:
            blocks.append(line)
        previous, blank = content, False
    return blocks


def _wrap_width(text: str, lines: list[Span]) -> int:
    """Length, in characters, from which a line counts as wrapped rather than ended by its writer."""
    lengths = sorted(length for s in lines if (length := len(text[s.start : s.end].strip())))
    return max(40, int(0.6 * lengths[int(0.9 * (len(lengths) - 1))])) if lengths else 40


def _runs_on(previous: str, following: str, blank: bool, width: int) -> bool:
    """True where a sentence goes on across the line break between two lines."""
    last = previous.rstrip(_CLOSERS)[-1:]
    if last in _ENDERS or last in _WIDE_ENDERS or _LIST_ITEM.match(following) or following[0] in "#>|":
        return False
    if previous.startswith("#"):
        return False
    if blank:  # a page break inside a sentence; a heading or list item is shorter or followed by a capital
        return len(previous) >= _MIN_BROKEN_LINE and following[0].islower()
    return len(previous) >= width


def _sentences(text: str, block: Span) -> list[Span]:
    """Sentences of a block, by one pass over its marks."""
    cuts = [block.start]
    for mark in _MARKS.finditer(text, block.start, block.end):
        before, after = mark.span()
        blank_follows = after < block.end and text[after].isspace()
        if mark["wide"] or (blank_follows and _ends_sentence(text, block, before, after)):
            cuts.append(after)
    cuts.append(block.end)
    return [span for a, b in pairwise(cuts) if (span := strip(text, Span(a, b))) is not None]


def _ends_sentence(text: str, block: Span, mark: int, after: int) -> bool:
    """True where the mark at `mark` ends a sentence: a start follows it, and no "Dr" precedes it."""
    following = after
    while following < block.end and (text[following].isspace() or text[following] in _OPENERS):
        following += 1
    if following < block.end and text[following].islower():
        return False
    if text[mark] != ".":
        return True
    begin = mark
    while begin > block.start and mark - begin < 12 and not text[begin - 1].isspace():
        begin -= 1
    word = text[begin:mark].lstrip(_OPENERS).lower()
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    return not (word in _ABBREVIATIONS or is_initial)


def _clauses(text: str, sentence: Span) -> list[Span]:
    """The sentence itself, or, where it is too long to quote, its best division into clauses.

    Dynamic programming over the words: the division whose clauses are nearest to the target length and
    whose cuts fall at the strongest pauses. Time is words x MAX_WORDS.
    """
    words = [Span(*match.span()) for match in _WORD.finditer(text, sentence.start, sentence.end)]
    n = len(words)
    if n <= MAX_WORDS:
        return [sentence]
    tokens = [text[w.start : w.end] for w in words]
    pause = [0.0, *(_pause(*tokens[i - 1 : i + 2]) for i in range(1, n)), 0.0]  # before word i; 0 at both ends
    best = [0.0] * (n + 1)
    cut = [0] * (n + 1)
    for end in range(1, n + 1):
        options = []
        for begin in range(max(0, end - MAX_WORDS), end):
            length = end - begin
            cost = ((length - _TARGET_WORDS) / _TARGET_WORDS) ** 2
            if length < _MIN_WORDS:
                cost += (_MIN_WORDS - length) * 0.25
            options.append((best[begin] + cost - pause[end], begin))
        best[end], cut[end] = min(options)
    ends = [n]
    while ends[-1] > 0:
        ends.append(cut[ends[-1]])
    return [Span(words[a].start, words[b - 1].end) for a, b in pairwise(reversed(ends))]


def _pause(before: str, after: str, then: str = "") -> float:
    """How natural a cut is between two words: 1 after a semicolon, far below 0 inside a name.

    `then` is the word after `after`: "Belt | and Road" is one name.
    """
    left = before.lower().strip("".join(_CLOSERS + _OPENERS) + ",;:.")
    right = after.lower().strip("".join(_CLOSERS + _OPENERS) + ",;:.")
    if before[-1] in ";:—；：" or before[-1] in _ENDERS:
        return 1.0
    if before[-1] in ",，、":
        return 0.7 if right in _CONNECTIVES else 0.45
    if left in _LEANING:
        return -1.5
    if _is_name_word(before) and (_is_name_word(after) or (right in ("and", "of", "for") and _is_name_word(then))):
        return -3.0
    if right in _FILLERS:
        return -0.2
    if right == "and" and then.lower() == "than":  # speech recognition writes "easier said than done" so
        return -1.5
    score = 0.3 if left in _FILLERS else 0.0
    if right in _STRONG_CONNECTIVES:
        return score + 0.6
    if right in _CONNECTIVES:
        return score + (0.1 if right in ("that", "or") else 0.4)
    if right in _SUBJECTS:
        return score + 0.35
    if left[:1].isdigit() or right[:1].isdigit():
        return -1.0
    return score - 0.6


def _is_name_word(word: str) -> bool:
    """True for a word written with a capital, but for the pronoun "I"."""
    return word[:1].isupper() and word not in ("I", "I'm", "I've", "I'd", "I'll")


def strip(text: str, span: Span) -> Span | None:
    """The span without white space at its ends; None where nothing else is in it."""
    content = text[span.start : span.end]
    stripped = content.strip()
    if not stripped:
        return None
    start = span.start + len(content) - len(content.lstrip())
    return Span(start, start + len(stripped))


def word_count(text: str) -> int:
    """Words separated by white space; in a script written without any, two characters count as one."""
    return sum(1 for _ in _WORD.finditer(text))


def first_words(text: str, count: int) -> int:
    """Where the first `count` words of a text end, of all where it has fewer; 0 where it has none."""
    return max((match.end() for match in islice(_WORD.finditer(text), count)), default=0)
