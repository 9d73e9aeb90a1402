"""Words of a text as keyword search and scoring see them: lower-cased, folded and stemmed.

One tokenizer serves the keyword index, the questions and the scoring of quotes, so that a term
found by one is found by all.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

from rag.segmenting import UNSPACED_SCRIPTS

_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]+")
"""Each of its characters is indexed with its neighbour."""
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u0900-\u0963\u0971-\u0df3"
)
"""What goes on a word though Python counts much of it as no letter: accents that stand by themselves (as macOS and PDFs
write them), points of Hebrew and Arabic, vowel signs of the scripts of India."""
# Words joined by an inner apostrophe or a decimal point or comma stay whole: "don't", "2.44", "15,152".
_LETTER = rf"(?:(?![{UNSPACED_SCRIPTS}])[^\W\d_])"
_LETTERS = rf"{_LETTER}(?:{_LETTER}|[{_MARKS}])*"
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[{UNSPACED_SCRIPTS}]+|{_LETTERS}(?:['’]{_LETTERS})*")

STOP_WORDS = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing done down during each few for from further get got had has
    have having he her here hers herself him himself his how i if in into is it its itself just let like may me
    might more most much must my myself no nor not of off on once only or other ought our ours ourselves out
    over own please same say said says shall she should so some such tell than that the their theirs them
    themselves then there these they this those through to too under until up upon us very was we were what when
    where which while who whom whose why will with would you your yours yourself yourselves uh um according
    document documents text mention mentioned describe explain does't don't doesn't it's what's i'm that's
    there's
    """.split()
)


@dataclass(frozen=True, slots=True)
class Term:
    """One indexed word."""

    stem: str
    word: str
    """Lower-cased and folded, not stemmed."""
    start: int
    """Character offset in the text, from 0."""
    end: int


class Analyzer:
    """Cuts texts into terms. Remembers stems, so make one and pass it on. Safe for use by several threads."""

    def __init__(self) -> None:
        self._stemmer = Stemmer.Stemmer("english", 0)
        self._one_at_a_time = threading.Lock()  # a stemmer has a state of its own
        self._stem = lru_cache(maxsize=100_000)(self._stem_of)
        self._stems = lru_cache(maxsize=100_000)(self._stems_of)

    def terms(self, text: str) -> list[Term]:
        """All terms of a text in reading order, stop words included."""
        found: list[Term] = []
        for match in _WORD.finditer(text):
            word = fold(match.group())
            if _UNSPACED.fullmatch(word) and len(word) > 1:
                for i in range(len(word) - 1):
                    start = match.start() + i
                    found.append(Term(word[i : i + 2], word[i : i + 2], start, start + 2))
                continue
            if word.endswith("'s"):
                word = word[:-2]
            found.append(Term(self._stem(word), word, match.start(), match.end()))
        return found

    def index_text(self, text: str) -> str:
        """The text as the keyword index stores it: stems separated by spaces."""
        # Word by word from a memory, without the places: a build spends a quarter of the time on it that terms take.
        return " ".join(map(self._stems, _WORD.findall(text)))

    def _stem_of(self, word: str) -> str:
        with self._one_at_a_time:
            stem: str = self._stemmer.stemWord(word)
        return stem

    def _stems_of(self, word: str) -> str:
        """The stems of one match of _WORD, which alone is matched as it is within a text."""
        return " ".join(term.stem for term in self.terms(word))

    def content_terms(self, text: str) -> list[Term]:
        """The terms that carry meaning; all terms where every one is a stop word."""
        terms = self.terms(text)
        return [term for term in terms if term.word not in STOP_WORDS] or terms


def fold(word: str) -> str:
    """Lower case without accents, vowel signs or typographic apostrophes: "Proença’s" becomes "proenca's"."""
    word = word.replace("’", "'")
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.category(c).startswith("M")).casefold()


def unique_stems(terms: Iterable[Term]) -> list[str]:
    """Each stem once, in order of first appearance."""
    return list(dict.fromkeys(term.stem for term in terms))
