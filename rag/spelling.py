"""Spelling: words of a question that the documents do not have, read as the ones that were meant.

Only what is no word at all is corrected, and never to a name: a word that the encoder knows whole, or one written
with a capital, may well be a name that the documents do not mention, and then they do not answer.
"""

from __future__ import annotations

from itertools import islice

from rapidfuzz import process
from rapidfuzz.distance import OSA

from rag.encoding import Encoder
from rag.index import Index
from rag.terms import STOP_WORDS, Analyzer, Term

_SHORTEST = 4
"""Letters of a word that is corrected; shorter ones are near too many others."""
_LONG = 8
"""Letters from which two mistakes are forgiven; one before."""
_STEMS_TRIED = 8
"""Nearest stems whose words are looked up."""
_WORDS = 8
"""Misspelt words of a question that are looked up, each of which takes time by the size of the vocabulary."""
_STEM_DISTANCE = 3
"""Edits between two stems at most; an ending that is misspelt is stemmed differently."""


def corrected(question: str, index: Index, encoder: Encoder, analyzer: Analyzer) -> str:
    """The question with its misspelt words as the documents spell them; as it is where it has none."""
    misspelt = (term for term in analyzer.terms(question) if _is_misspelt(term, question, index, encoder))
    parts, at = [], 0
    for term in islice(misspelt, _WORDS):
        if word := _meant(term, index, analyzer):
            parts += [question[at : term.start], word]
            at = term.end
    return "".join([*parts, question[at:]])


def _is_misspelt(term: Term, question: str, index: Index, encoder: Encoder) -> bool:
    """True for a word in small letters that neither the documents nor the encoder know."""
    written = question[term.start : term.end]
    return (
        len(written) >= _SHORTEST
        and written.isalpha()
        and written.isascii()
        and written.islower()
        and term.word not in STOP_WORDS
        and index.store.document_frequency(term.stem) == 0
        and encoder.count_tokens(written) > encoder.count_tokens("a")
    )


def _meant(term: Term, index: Index, analyzer: Analyzer) -> str:
    """The nearest word of the documents, the most frequent of equals; empty where none is near or it is a name."""
    allowed = 2 if len(term.word) >= _LONG else 1
    alike = [stem for stem in index.store.stems if stem[:1] == term.word[:1]]
    near = process.extract(term.stem, alike, scorer=OSA.distance, score_cutoff=_STEM_DISTANCE, limit=_STEMS_TRIED)
    found = []
    for stem, _, _ in near:
        word = _a_word_of(stem, index, analyzer)
        if (distance := OSA.distance(term.word, word.lower())) <= allowed:
            found.append((distance, -index.store.document_frequency(stem), word))
    best = min(found, default=(0, 0, ""))[2]
    return best if best.islower() else ""


def _a_word_of(stem: str, index: Index, analyzer: Analyzer) -> str:
    """A word of this stem as the documents write it; the stem where the only ones are in titles."""
    for chunk, _ in index.store.search([stem], 1):
        number, span, _ = index.store.chunk(chunk)
        text = index.store.document(number).text[span.start : span.end]
        return next((text[t.start : t.end] for t in analyzer.terms(text) if t.stem == stem), stem)
    return stem
