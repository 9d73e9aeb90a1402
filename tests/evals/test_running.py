from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from evals import identity, running
from evals.gold import Facet, Format, Question, QuestionSet, Stretch
from evals.runs import Run
from rag.encoding import HashingEncoder
from rag.errors import UserError

Ask = Callable[..., Run]


def test_every_question_has_an_outcome_with_what_was_shown(ask: Ask, questions: QuestionSet) -> None:
    """Passages are stretches of the set's documents; quotes are there unless it abstained; timings name the stages."""
    run = ask()
    texts = {document.path: document.text for document in questions.documents}
    assert [outcome.id for outcome in run.outcomes] == [question.id for question in questions.questions]
    for outcome in run.outcomes:
        assert outcome.passages
        assert bool(outcome.quotes) != outcome.abstained
        assert all(0 <= s.start < s.end <= len(texts[s.document]) for s in (*outcome.passages, *outcome.quotes))
        assert outcome.confidence is not None
        assert 0 <= outcome.confidence <= 1
        assert "total" in outcome.timings_ms


def test_the_words_of_the_question_find_their_document(ask: Ask) -> None:
    """On a set this easy every gold stretch is in the passages, and the false answers have a number."""
    measured = ask().aggregates["all"]
    assert (measured["passages.facet_recall"].value, measured["passages.facet_recall"].n) == (1.0, 5)
    assert measured["false_answer"].n == 3
    assert measured["false_abstention"].n == 5


def test_a_worse_setting_gives_a_worse_number(ask: Ask, questions: QuestionSet) -> None:
    """Never answering abstains from every answerable question and answers no unanswerable one."""
    never = ask({"answer_threshold": 1.0}).aggregates["all"]
    assert (never["false_abstention"].value, never["false_answer"].value) == (1.0, 0.0)
    assert never["quotes.covered"].value == 0.0


def test_an_index_is_built_once_for_the_same_documents_and_settings(tmp_path: Path, questions: QuestionSet) -> None:
    """A second run encodes no document; other chunks make another index, with the texts seen before from the cache."""
    encoder = HashingEncoder()
    running.run(questions, identity.settings_from({}), encoder, tmp_path)
    encoded = encoder.encoded
    assert encoded > 0
    running.run(questions, identity.settings_from({"passages": 2}), encoder, tmp_path)
    assert encoder.encoded == encoded
    assert len(list((tmp_path / "indexes").iterdir())) == 1
    running.run(questions, identity.settings_from({"chunk_tokens": 16}), encoder, tmp_path)
    assert len(list((tmp_path / "indexes").iterdir())) == 2


def test_a_question_the_assistant_refuses_is_counted_out_loud(ask: Ask, questions: QuestionSet) -> None:
    """It has no outcome, and the run says how many there were."""
    long = dataclasses.replace(questions, questions=(*questions.questions, Question("long", "why " * 1000)))
    run = ask(asked=long)
    assert len(run.outcomes) == len(questions.questions)
    assert run.left_out["questions the assistant refuses to take (see max_question_characters)"] == 1


def _as(questions: QuestionSet, format: Format, **changed: object) -> QuestionSet:
    (first, *_) = questions.questions
    asked = dataclasses.replace(first, **changed)  # type: ignore[arg-type]  # fields of it
    return dataclasses.replace(questions, format=format, questions=(asked,))


def test_a_beir_set_ranks_documents_by_their_best_passage(ask: Ask, questions: QuestionSet) -> None:
    """Each document stands once, under all its names; nothing is asked, so nothing is answered."""
    names = {**questions.names, questions.documents[0].id: ("rivers.txt", "copy.txt")}
    changed = dataclasses.replace(_as(questions, Format.BEIR, facets=(), relevant={"copy.txt": 1}), names=names)
    run = ask(asked=changed)
    ranking = run.rankings["danube"]
    assert ranking[:2] == ("rivers.txt", "copy.txt")
    assert len(set(ranking)) == len(ranking)
    assert run.outcomes[0].measures["RR@10"] == 0.5
    assert (run.outcomes[0].abstained, run.outcomes[0].quotes) == (None, ())
    assert list(run.latency_ms) == ["search for 100 documents"]


def test_a_meeting_is_searched_alone_until_the_words_are_spent(ask: Ask, questions: QuestionSet) -> None:
    """Only its own document is shown, and all of a short one fits into the budget."""
    document = questions.documents[0]
    words = Facet("turn 1", (Stretch(document.id, 0, 38),))
    run = ask(asked=_as(questions, Format.QMSUM, facets=(words,)))
    (outcome,) = run.outcomes
    assert {shown.document for shown in outcome.passages} == {"rivers.txt"}
    assert outcome.measures == {"utterance_recall": 1.0}
    assert run.identity.own_documents


def test_questions_can_be_asked_of_their_own_documents_only(tmp_path: Path, questions: QuestionSet) -> None:
    """With the flag, no other document is shown, and the identity says so."""
    settings, encoder = identity.settings_from({}), HashingEncoder()
    run = running.run(questions, settings, encoder, tmp_path, own_documents=True)
    by_id = {outcome.id: outcome for outcome in run.outcomes}
    assert {shown.document for shown in by_id["danube"].passages} == {"rivers.txt"}
    assert run.identity.own_documents
    assert run.identity.key != running.run(questions, settings, encoder, tmp_path).identity.key


def test_questions_without_documents_of_their_own_are_not_asked_of_them(tmp_path: Path, questions: QuestionSet) -> None:
    """An identity never says that each question was asked of its own documents where none was."""
    foreign = dataclasses.replace(
        questions, questions=tuple(dataclasses.replace(question, own=()) for question in questions.questions)
    )
    with pytest.raises(UserError, match="without --own-documents"):
        running.run(foreign, identity.settings_from({}), HashingEncoder(), tmp_path, own_documents=True)


def test_identity_is_known_before_running(ask: Ask, questions: QuestionSet) -> None:
    """A grid can look for a cell under the key that its run will have."""
    settings = identity.settings_from({})
    assert running.identify(questions, settings, HashingEncoder()).key == ask().identity.key
