"""Terms: one tokenizer for the index, the questions and the scoring."""

from __future__ import annotations

import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given

from rag.terms import Analyzer, fold, unique_stems
from tests.generated import texts


def stems(text: str) -> list[str]:
    return [term.stem for term in Analyzer().terms(text)]


@given(texts())
def test_terms_know_their_places(text: str) -> None:
    """Each term stands at its offsets, in reading order, and carries nothing that FTS5 could take for a quote."""
    terms = Analyzer().terms(text)
    assert [term.start for term in terms] == sorted(term.start for term in terms)
    for term in terms:
        written = text[term.start : term.end]
        assert written
        assert term.word in (fold(written), fold(written).removesuffix("'s"))
        assert '"' not in term.stem
        assert "\0" not in term.stem


def test_forms_of_a_word_meet() -> None:
    """Number, tense, case, accents and apostrophes do not keep a question from its text."""
    assert stems("Provinces province PROVINCE’S province's") == ["provinc"] * 4
    assert stems("Proença naïve") == stems("proenca naive")
    assert stems("innovating innovates") == stems("innovated innovate")
    assert stems("𝑋 𝐃ams snake_case") == stems("x dams snake case")


@pytest.mark.parametrize("text", ["Proença résumé", "fundação João", "हिन्दी भाषा", "தமிழ் மொழி", "שָׁלוֹם עוֹלָם", "مُحَمَّد"])
def test_words_hold_together_however_their_accents_are_written(text: str) -> None:
    """Accents that stand by themselves, points and vowel signs cut no word: it is found in either form."""
    words = text.split()
    for form in ("NFC", "NFD"):
        assert len(stems(unicodedata.normalize(form, text))) == len(words)
    assert stems(unicodedata.normalize("NFD", text)) == stems(unicodedata.normalize("NFC", text))


def test_numbers_stay_whole() -> None:
    """Decimal points and thousands' commas belong to their numbers, a full stop does not."""
    assert stems("2.44 15,152 53. 5G") == ["2.44", "15,152", "53", "5", "g"]


def test_scripts_without_spaces_are_cut_into_pairs() -> None:
    """Chinese is found by any two characters of it, at their own offsets."""
    terms = Analyzer().terms("a 数字经济")
    assert [(t.stem, t.start, t.end) for t in terms[1:]] == [("数字", 2, 4), ("字经", 3, 5), ("经济", 4, 6)]
    assert stems("数") == ["数"]


def test_stop_words_go_unless_there_is_nothing_else() -> None:
    """What carries no meaning is left out, but a question of stop words alone keeps them."""
    analyzer = Analyzer()
    assert unique_stems(analyzer.content_terms("What is the toll of the toll?")) == ["toll"]
    assert unique_stems(analyzer.content_terms("to be or not to be")) == ["to", "be", "or", "not"]


@given(texts())
def test_index_text_is_found_by_the_same_terms(text: str) -> None:
    """What the index stores is exactly the stems that a question of the same words asks for."""
    analyzer = Analyzer()
    assert analyzer.index_text(text) == " ".join(term.stem for term in analyzer.terms(text))


def test_several_threads_share_an_analyzer_but_not_its_stemmer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stemmer must not be used by two threads at once; whoever uses the analyzer need not care."""
    analyzer, busy = Analyzer(), threading.Lock()

    class Touchy:
        """Fails where a call begins before another one has ended."""

        def stemWord(self, word: str) -> str:
            assert busy.acquire(blocking=False), "two threads at once"
            time.sleep(0.001)
            busy.release()
            return word.upper()

    monkeypatch.setattr(analyzer, "_stemmer", Touchy())
    questions = [f"alpha{n} beta{n % 7} gamma{n % 3}" for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda text: unique_stems(analyzer.terms(text)), questions))
    assert found == [unique_stems(analyzer.terms(text)) for text in questions]


def test_takes_linear_time() -> None:
    """200,000 characters of anything are cut in seconds."""
    started = time.perf_counter()
    for text in ("x" * 200_000, "数" * 200_000, "1," * 100_000, "a'" * 100_000, "_" * 200_000):
        Analyzer().terms(text)
    assert time.perf_counter() - started < 8
