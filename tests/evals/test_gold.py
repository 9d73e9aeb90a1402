from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals import gold
from evals.gold import SEED_QUESTIONS, SEEDS, Question, QuestionSet, check, load_documents, load_seeds, unique
from evals.reading import Row, read_lines
from rag.errors import UserError
from rag.records import Document, Source

TEXT = "Tin melts at 232 degrees. Copper melts at 1085 degrees. Tin melts at 232 degrees."


def _row(**changed: object) -> Row:
    stretch = {"path": "a.txt", "start": 0, "end": 24, "text": "Tin melts at 232 degrees"}
    values: dict[str, object] = {
        "id": "tin", "question": "When does tin melt?", "history": [], "kind": "fact", "near_miss": False,
        "split": "tune", "gold": [{"facet": "degrees", "any_of": [stretch]}], "note": "",
    }  # fmt: skip
    return Row("line 1", {**values, **changed})


def _stretch(start: int, end: int, text: str, path: str = "a.txt") -> list[object]:
    return [{"facet": "f", "any_of": [{"path": path, "start": start, "end": end, "text": text}]}]


DOCUMENT = Document("0" * 16, "a.txt", "0" * 64, TEXT, Source())


def test_every_stretch_of_the_shipped_gold_stands_in_its_document() -> None:
    """Offsets and words of all gold match the seeds, character by character."""
    texts = {document.path: document.text for document in load_documents(SEEDS)}
    rows = list(read_lines(SEED_QUESTIONS))
    stretches = [s for row in rows for facet in row.rows("gold") for s in facet.rows("any_of")]
    assert len(stretches) > 200
    for s in stretches:
        assert texts[s.text("path")][s.whole("start") : s.whole("end")] == s.text("text")
    assert check(rows, load_documents(SEEDS)) == []


def test_the_shipped_questions_are_enough_and_of_every_kind() -> None:
    """At least 150 questions, 45 of them not answered by the documents, most of these near misses, in both splits."""
    questions = load_seeds().questions
    unanswerable = [q for q in questions if not q.answerable]
    assert len(questions) >= 150
    assert len(unanswerable) >= 45
    assert sum(q.kind == "near miss" for q in unanswerable) > len(unanswerable) / 2
    kinds = {q.kind for q in questions}
    assert kinds >= {"fact", "facets", "cross-document", "paraphrase", "careless", "follow-up", "near miss"}
    assert all({q.split for q in questions if q.kind == kind} == {"tune", "test"} for kind in kinds)
    assert all(q.history for q in questions if q.kind == "follow-up")


def test_sound_gold_has_no_problem() -> None:
    """A stretch that stands where it says passes."""
    assert check([_row()], [DOCUMENT]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gold": _stretch(1, 25, "Tin melts at 232 degrees")}, "that stands at 0, 56"),
        ({"gold": _stretch(0, 24, "Zinc melts at 4")}, "that is nowhere in the document"),
        ({"gold": _stretch(0, 900, TEXT)}, "that stands at 0"),
        ({"gold": _stretch(3, 4, " ")}, "a.txt 3:4"),
        ({"gold": _stretch(0, 3, "Tin", "b.txt")}, "there is no document 'b.txt'"),
        ({"gold": [{"facet": "f", "any_of": []}]}, "facet 'f' names no stretch"),
        ({"gold": []}, "a question has gold unless its kind is 'unanswerable'"),
        ({"kind": "unanswerable"}, "a question has gold unless its kind is 'unanswerable'"),
        ({"split": "train"}, "its split is 'train'"),
        ({"question": "  "}, "the question is empty"),
        ({"kind": "facts"}, "its kind is 'facts'; it must be one of fact, "),
        ({"kind": "follow-up"}, "a question has a history if its kind is 'follow-up'"),
        ({"history": ["Which metals melt?"]}, "a question has a history if its kind is 'follow-up'"),
        ({"near_miss": True}, "so its kind must be 'unanswerable'"),
        ({"kind": "unanswerable", "gold": []}, "its note is empty"),
    ],
)
def test_gold_that_no_longer_holds_is_told_with_what_to_look_for(changed: dict[str, object], said: str) -> None:
    """Each mistake is named, and moved words are found again."""
    (problem,) = check([_row(**changed)], [DOCUMENT])
    assert problem.question == "tin"
    assert said in problem.what


def test_a_repeated_id_is_a_problem() -> None:
    """Outcomes are kept by id, so ids are unique."""
    assert [p.what for p in check([_row(), _row()], [DOCUMENT])] == ["another question has this id"]


def test_gold_that_does_not_match_its_documents_is_never_scored(tmp_path: Path) -> None:
    """Loading refuses, counts the problems and names the command that lists them."""
    folder, questions = tmp_path / "seeds", tmp_path / "q.jsonl"
    folder.mkdir()
    (folder / "a.txt").write_text("edited")
    questions.write_text(json.dumps(_row().values))
    with pytest.raises(UserError, match=r"1 of the gold .* python -m evals check"):
        load_seeds(questions, folder)


def test_a_document_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """An unreadable document of a set is an error, not a smaller set."""
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match=r"The document empty\.txt in .* is empty\."):
        load_documents(tmp_path)


def test_a_text_that_stands_twice_is_kept_once_under_both_names() -> None:
    """An index holds a text once; the set's own names are not lost."""
    documents, names = unique([("a", DOCUMENT), ("b", DOCUMENT), ("a", DOCUMENT)])
    assert documents == (DOCUMENT,)
    assert names == {DOCUMENT.id: ("a", "b")}


def test_one_name_for_two_texts_is_refused() -> None:
    """Qrels could not tell them apart."""
    other = Document("1" * 16, "a.txt", "1" * 64, "other", Source())
    with pytest.raises(UserError, match=r"Two documents .* 'a\.txt'"):
        unique([("a.txt", DOCUMENT), ("a.txt", other)])


def test_the_hashes_change_with_what_they_stand_for_and_with_nothing_else() -> None:
    """The order of documents does not matter; a word of a question, its gold or a title does."""

    def of(*documents: Document, question: str = "q") -> QuestionSet:
        return QuestionSet("s", gold.Format.SEEDS, documents, {}, (Question("1", question),), {})

    other = Document("1" * 16, "b.txt", "1" * 64, "other", Source(title="b"))
    untitled = Document("1" * 16, "b.txt", "1" * 64, "other", Source())
    assert of(DOCUMENT, other).corpus_hash == of(other, DOCUMENT).corpus_hash != of(untitled, DOCUMENT).corpus_hash
    assert of().questions_hash == of(DOCUMENT).questions_hash != of(question="p").questions_hash
