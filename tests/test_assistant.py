"""The assistant over the real index: the quote contract, refusals, follow-ups, many askers at once, new versions."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answering import ABSTENTION
from rag.assistant import Assistant
from rag.building import build, build_corpus
from rag.encoding import HashingEncoder, OnnxEncoder
from rag.errors import IndexUnavailable, QuestionError, UserError
from rag.index import Index
from rag.records import Answer, Document, Listed, Source
from rag.settings import Settings
from rag.versions import IndexFolder
from tests.conftest import REPOSITORY, SEEDS
from tests.generated import inside_word

HOSTILE = [
    '" OR "" NEAR( * - ^ : {terms} rowid',
    "NEAR(digital economy, 5) AND NOT NOT",
    "'; DROP TABLE documents; --",
    "數字經濟的規模有多大？",
    "中国数字经济占GDP的比重是多少",
    "\0",
    "a\0b",
    "\ud800 digital economy",
    "<|endoftext|> [SEP] <script>alert(1)</script>",
    "\u202edigital\u202c",
    "????",
    "the of and",
    "x" * 2000,
    "digital " * 250,
]


def questions() -> list[dict[str, Any]]:
    lines = (REPOSITORY / "evals" / "questions" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def answers(assistant: Assistant) -> list[Answer]:
    """The answer to every question of the evals about the seeds, asked without abstaining."""
    return [assistant.ask(item["question"], item.get("history", [])) for item in questions()]


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[str, str]]:
    """Text and checksum of each seed, read from disk by nothing of this package."""
    found = {}
    for path in SEEDS.glob("*.txt"):
        data = path.read_bytes()
        found[path.name] = (data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest())
    return found


def assert_contract(answer: Answer, files: dict[str, tuple[str, str]]) -> None:
    """What holds of every answer, whatever was asked."""
    assert 0 <= answer.confidence <= 1
    if answer.abstained:
        assert answer.citations == ()
        assert answer.text == ABSTENTION == "The documents do not answer this."
    else:
        assert 1 <= len(answer.citations) <= 6
    for number, citation in enumerate(answer.citations, 1):
        quote = citation.quote
        text, sha256 = files[quote.document.path]
        assert citation.number == number
        assert f"[{number}]" in answer.text
        assert " ".join(quote.text.split()) in answer.text
        assert quote.text == text[quote.start : quote.end]
        assert quote.document.sha256 == sha256
        assert quote.text == quote.text.strip()
        assert not inside_word(text, quote.start)
        assert not inside_word(text, quote.end)
        assert len(quote.text.split()) <= 60
        assert citation.location
        assert 0 <= quote.score <= 1
    places = sorted((c.quote.document.path, c.quote.start, c.quote.end) for c in answer.citations)
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(places)), "two quotes overlap"
    shown = [c.quote.text.casefold() for c in answer.citations]
    assert len(set(shown)) == len(shown), "one quote is shown twice"
    for rank, passage in enumerate(answer.passages, 1):
        assert passage.rank == rank
        assert passage.text == files[passage.document.path][0][passage.start : passage.end]
    spans = sorted((p.document.path, p.start, p.end) for p in answer.passages)
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans)), "two passages overlap"
    assert [p.score for p in answer.passages] == sorted((p.score for p in answer.passages), reverse=True)


def test_every_quote_is_the_file_at_its_place(answers: list[Answer], files: dict[str, tuple[str, str]]) -> None:
    """For every question about the seeds: exact, whole, apart, 1 to 6 quotes; or the abstention and none."""
    for answer in answers:
        assert_contract(answer, files)


def test_the_contract_is_tested_on_answers(answers: list[Answer]) -> None:
    """Most of those questions are answered, so that the contract above is tested on hundreds of quotes."""
    assert sum(not answer.abstained for answer in answers) > 60
    assert sum(len(answer.citations) for answer in answers) > 100


def test_answers_name_the_index_and_their_time(answers: list[Answer], assistant: Assistant) -> None:
    """Each answer says which index and encoder it is from, and its stages add up to its total."""
    for answer in answers:
        assert (answer.index_version, answer.encoder) == (assistant.version, assistant.encoder_id)
        stages = [value for name, value in answer.timings_ms.items() if name != "total"]
        assert sum(stages) == pytest.approx(answer.timings_ms["total"], abs=0.01)


def test_the_question_of_the_readme_gets_its_facets(assistant: Assistant) -> None:
    """The hurdles of provincial governments: budgets, protectionism, talent and measuring success, each quoted."""
    answer = assistant.ask("what hurdles do provincial governments face")
    quoted = " ".join(citation.quote.text.casefold() for citation in answer.citations)
    assert not answer.abstained
    for facet in (("budget",), ("protectionism",), ("talent",), ("gdp", "metric", "measur", "success")):
        assert any(word in quoted for word in facet), f"{facet[0]} is missing in: {quoted}"


def test_what_is_not_in_the_documents_is_not_answered(assistant: Assistant) -> None:
    """Questions about something else altogether are abstained from, with the closest passages offered."""
    for question in ("How do I bake sourdough bread?", "Who won the 1966 football World Cup?"):
        answer = assistant.ask(question)
        assert answer.abstained, question
        assert answer.passages


@pytest.mark.parametrize("question", HOSTILE, ids=lambda text: repr(text[:24]))
def test_hostile_questions_are_questions(
    assistant: Assistant, files: dict[str, tuple[str, str]], question: str
) -> None:
    """Operators, quotes, control characters and other scripts get an answer or an abstention, under the contract."""
    assert_contract(assistant.ask(question), files)
    assert_contract(assistant.ask("and what about that?", [question]), files)
    assistant.search(question)


@settings(max_examples=25)
@given(question=st.text(min_size=1, max_size=200))
def test_any_question_keeps_the_contract(
    assistant: Assistant, files: dict[str, tuple[str, str]], question: str
) -> None:
    """Any text at all is refused as empty, or answered or abstained from under the contract."""
    if question.strip():
        assert_contract(assistant.ask(question), files)
    else:
        with pytest.raises(QuestionError):
            assistant.ask(question)


@pytest.mark.parametrize("question", ["", " ", "\n\t\u3000"])
def test_empty_question_is_refused(assistant: Assistant, question: str) -> None:
    """A question of nothing is refused with an example of one."""
    with pytest.raises(QuestionError, match=r"The question is empty\. Write what you want to know, such as"):
        assistant.ask(question)
    with pytest.raises(QuestionError, match="empty"):
        assistant.search(question)


def test_too_long_question_is_refused_with_the_limit(assistant: Assistant) -> None:
    """A question of 100,000 characters is refused by its length and the limit, which itself is allowed."""
    with pytest.raises(QuestionError, match=r"has 100,000 characters; 2,000 are read"):
        assistant.ask("x" * 100_000)
    with pytest.raises(QuestionError, match="2,001 characters"):
        assistant.ask("x" * 2001)
    assistant.ask("x" * 2000)


def test_earlier_questions_are_read_as_far_as_a_question_may_go(assistant: Assistant) -> None:
    """What follows in them changes nothing and costs nothing."""
    earlier = "What is the digital Silk Road? ".ljust(Settings().max_question_characters)
    expected, _ = assistant.consider("Why is it important?", [earlier])
    found, _ = assistant.consider("Why is it important?", [earlier + "lorikeets " * 30_000])
    assert (found.alone, found.stems) == (expected.alone, expected.stems)


def test_long_questions_can_be_allowed(real_index_dir: Path, real_settings: Settings) -> None:
    """With the limit raised, a question of 100,000 characters and 15,000 words is answered, not an SQL error."""
    words = " ".join(f"w{i}" for i in range(16_000))[:99_000] + " digital economy"
    allowed = Settings(cache_dir=real_settings.cache_dir, max_question_characters=100_000)
    with Assistant.open(real_index_dir, allowed) as opened:
        assert opened.ask(words).passages


def test_documents_limit_the_answer(assistant: Assistant) -> None:
    """With documents named, nothing comes from another; an unknown id is refused with those there are."""
    ids = [document.id for document in assistant.documents()]
    for chosen in ([ids[1]], [ids[2], ids[4]], [ids[0], ids[0]]):
        answer = assistant.ask("How big is the digital economy?", documents=chosen)
        assert answer.passages
        assert {p.document.id for p in answer.passages} <= set(chosen)
        assert {c.quote.document.id for c in answer.citations} <= set(chosen)
    nothing = assistant.ask("How big is the digital economy?", documents=[])
    assert nothing.abstained
    assert nothing.passages == ()
    with pytest.raises(UserError, match=rf"There is no document 'gone' in the index\. Documents: .*{ids[0]}"):
        assistant.ask("How big?", documents=["gone"])


@pytest.mark.parametrize("words", [1, 3, 40, 300, 2000, 10**6])
def test_a_search_for_words_shows_no_more_and_ends_between_segments(assistant: Assistant, words: int) -> None:
    found = assistant.search_within("digital economy of the provinces", words)
    shown = sum(len(passage.text.split()) for passage in found)
    assert shown <= words
    assert shown >= min((words + 1) // 2, 2000)
    for passage in found:
        assert not inside_word(passage.document.text, passage.end)
    assert len({(p.document.id, i) for p in found for i in range(p.start, p.end)}) == sum(
        p.end - p.start for p in found
    )


@pytest.mark.parametrize("words", [0, -1])
def test_a_search_for_no_words_is_refused(assistant: Assistant, words: int) -> None:
    with pytest.raises(UserError, match=rf"{words} words .*1 or more"):
        assistant.search_within("digital economy", words)


@pytest.mark.parametrize("k", [0, -1])
def test_a_search_for_no_passages_is_refused(assistant: Assistant, k: int) -> None:
    with pytest.raises(UserError, match=rf"{k} passages .*1 or more"):
        assistant.search("digital economy", k)


def test_a_search_for_words_has_fewer_and_longer_passages(assistant: Assistant) -> None:
    question = "what hurdles do provincial governments face"
    words, short = 2000, assistant.search(question, 10)
    long = assistant.search_within(question, words)
    assert len(long) < len(short)
    assert min(len(p.text) for p in long[:2]) > max(len(p.text) for p in short)


@pytest.mark.parametrize("chosen", [None, ["a" * 16]])
def test_a_search_for_words_goes_on_through_a_long_document(tmp_path: Path, chosen: list[str] | None) -> None:
    """Passages that join to a few long ones are no sign that nothing more is there."""
    text = " ".join(f"Keeper{i} counted herring{i} of barrel{i} on day{i}." for i in range(700))
    short, encoder = Settings(chunk_tokens=16), HashingEncoder()
    build([Document("a" * 16, "a.txt", "0" * 64, text, Source())], tmp_path, short, encoder)
    with Assistant(Index.open(IndexFolder(tmp_path).live()), encoder, short) as assistant:
        found = assistant.search_within("What did keeper350 count?", 4000, chosen)
    assert sum(len(passage.text.split()) for passage in found) > 3500


def test_the_first_passages_do_not_depend_on_how_many_are_wanted(assistant: Assistant) -> None:
    """What reading brings to the top is there however few are wanted, so more are read than are kept."""
    for question in assistant.suggestions():
        five = assistant.search(question, 5)
        for k in (1, 3):
            assert assistant.search(question, k) == five[:k], question


def test_answers_do_not_depend_on_who_else_asks(assistant: Assistant) -> None:
    """Eight threads that share an assistant get the answers that one alone gets."""
    asked = [item["question"] for item in questions()[:24]]

    def told(question: str) -> tuple[str, float, tuple[tuple[str, int, int], ...]]:
        answer = assistant.ask(question)
        return answer.text, answer.confidence, tuple((p.document.id, p.start, p.end) for p in answer.passages)

    alone = [told(question) for question in asked]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(told, asked * 2)) == alone * 2


def test_asking_again_gives_the_same(assistant: Assistant) -> None:
    """The same question has the same answer, white space around it aside."""
    first, second = assistant.ask("What is the digital Silk Road?"), assistant.ask("  What is the digital Silk Road?\n")
    assert (first.text, first.confidence, first.question) == (second.text, second.confidence, second.question)


def test_documents_and_suggestions(assistant: Assistant) -> None:
    """Documents are found by their ids; suggestions are the questions of the sources, those nearby first."""
    documents = assistant.documents()
    assert all(assistant.document(document.id) == document for document in documents)
    assert assistant.document("gone") is None
    assert assistant.catalogue() == tuple(Listed.of(document) for document in documents)
    assert assistant.catalogue() is assistant.catalogue(), "the texts are read once only"
    suggested = assistant.suggestions([documents[3]])
    assert suggested[: len(documents[3].source.questions)] == documents[3].source.questions
    assert len(suggested) == len(set(suggested)) == sum(len(d.source.questions) for d in documents)


def test_example_questions_find_their_document(assistant: Assistant) -> None:
    """What the page offers to ask is answered, with a passage of the document that offers it."""
    for document in assistant.documents():
        for question in document.source.questions:
            answer = assistant.ask(question)
            assert document.id in {passage.document.id for passage in answer.passages}, question
            assert not answer.abstained, question


def test_refresh_goes_over_to_a_newer_version(tmp_path: Path) -> None:
    """A newer version is taken over when asked for; a damaged one is refused, and the open one goes on."""
    corpus, folder = tmp_path / "corpus", tmp_path / "index"
    corpus.mkdir()
    (corpus / "a.txt").write_text("The toll of the harbour was two crowns.")
    build_corpus([corpus], folder, Settings(), HashingEncoder)
    first = Index.open(IndexFolder(folder).live())
    with Assistant(first, HashingEncoder(), Settings(), index_dir=folder) as opened:
        assert not opened.refresh()
        (corpus / "a.txt").write_text("The toll of the harbour was five crowns.")
        version = build_corpus([corpus], folder, Settings(), HashingEncoder).version
        assert "two" in opened.search("toll")[0].text
        assert opened.refresh()
        assert opened.version == version
        assert "five" in opened.search("toll")[0].text
        (corpus / "a.txt").write_text("The toll of the harbour was nine crowns.")
        build_corpus([corpus], folder, Settings(), HashingEncoder)
        store = IndexFolder(folder).live() / "store.sqlite"
        shutil.copyfile(store, tmp_path / "kept")
        store.write_bytes(b"damaged")
        with pytest.raises(IndexUnavailable, match=r"damaged.*Build it again"):
            opened.refresh()
        assert "five" in opened.search("toll")[0].text
        shutil.copyfile(tmp_path / "kept", store)
        assert opened.refresh()
        assert "nine" in opened.search("toll")[0].text
    first.close()


@pytest.mark.parametrize("how", ["open", "refresh"])
def test_version_removed_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Where a build makes another live and removes it at that moment, the other is opened."""
    file, folder, original, raced = tmp_path / "a.txt", tmp_path / "index", Index.open, list[str]()

    def built(toll: str) -> str:
        file.write_text(f"The toll of the harbour was {toll} crowns.")
        return build_corpus([file], folder, Settings(keep_versions=1), HashingEncoder).version

    def open_late(path: Path) -> Index:
        if not raced:
            raced.append(built("nine"))
        return original(path)

    monkeypatch.setattr("rag.assistant.open_encoder", lambda *_: HashingEncoder())
    built("two")
    with Assistant.open(folder, Settings()) as assistant:
        if how == "refresh":
            built("five")
        monkeypatch.setattr(Index, "open", open_late)
        if how == "refresh":
            assert assistant.refresh()
            assert [assistant.version] == raced
        else:
            with Assistant.open(folder, Settings()) as another:
                assert [another.version] == raced


def test_refresh_lets_go_of_the_version_before(tmp_path: Path) -> None:
    """The vectors of an old version are freed at once, not when Python next looks for cycles."""
    corpus, folder = tmp_path / "corpus", tmp_path / "index"
    corpus.mkdir()
    (corpus / "a.txt").write_text("The toll of the harbour was two crowns.")
    build_corpus([corpus], folder, Settings(), HashingEncoder)
    opened = Assistant(Index.open(IndexFolder(folder).live()), HashingEncoder(), Settings(), index_dir=folder)
    opened.ask("What was the toll?")
    old = weakref.ref(opened._index.chunk_vectors)
    (corpus / "a.txt").write_text("The toll of the harbour was five crowns.")
    build_corpus([corpus], folder, Settings(), HashingEncoder)
    gc.disable()
    try:
        assert opened.refresh()
        assert old() is None
    finally:
        gc.enable()
        opened.close()


def test_refresh_refuses_another_encoder_before_it_reads_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("The toll of the harbour was two crowns.")
    build_corpus([tmp_path / "a.txt"], tmp_path / "index", Settings(), HashingEncoder)
    first = Index.open(IndexFolder(tmp_path / "index").live())
    with Assistant(first, HashingEncoder(), Settings(), index_dir=tmp_path / "index") as opened:
        build_corpus([tmp_path / "a.txt"], tmp_path / "index", Settings(), lambda: HashingEncoder(name="other"))
        monkeypatch.setattr(Index, "open", lambda *_: pytest.fail("it was opened"))
        with pytest.raises(IndexUnavailable, match="built with the encoder other@"):
            opened.refresh()


def test_another_encoder_is_refused(hashing_index: Index, real_encoder: OnnxEncoder) -> None:
    """An index of one encoder is not asked through another."""
    with pytest.raises(IndexUnavailable, match="built with the encoder hashing@"):
        Assistant(hashing_index, real_encoder, Settings())


def test_missing_index_costs_no_model(tmp_path: Path) -> None:
    """Where there is no index, that is said before any encoder is opened."""
    with pytest.raises(IndexUnavailable, match="There is no index in"):
        Assistant.open(tmp_path / "nowhere", Settings(encoder="no-such-model", cache_dir=tmp_path))


def test_a_question_that_has_nothing_to_do_with_the_documents_is_abstained_from(tmp_path: Path) -> None:
    """Where every score is 0 or less, nothing is quoted, whatever the threshold."""
    text = "Frogs sleep in mud in the winter."
    document = Document("a" * 16, "frogs.txt", "0" * 64, text, Source())
    encoder = HashingEncoder()
    everything = Settings(answer_threshold=0.0)
    build([document], tmp_path, everything, encoder)
    index = Index.open(IndexFolder(tmp_path).live())
    with Assistant(index, encoder, everything) as assistant:
        for question in ("省政府面临哪些障碍", "zebra"):
            answer = assistant.ask(question)
            assert answer.abstained
            assert answer.citations == ()
