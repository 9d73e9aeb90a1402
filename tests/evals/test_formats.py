from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from evals.benchmarks import limited, load
from evals.formats import detect
from evals.gold import Format, QuestionSet, Stretch
from rag.errors import UserError


def _lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _words(questions: QuestionSet, stretch: Stretch) -> str:
    text = next(d.text for d in questions.documents if d.id == stretch.document)
    return text[stretch.start : stretch.end]


def _beir(
    folder: Path, qrels: str = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td3\t2\nq9\td1\t1\n"
) -> Path:
    _lines(
        folder / "corpus.jsonl",
        [
            {"_id": "d1", "title": "Tin", "text": "It melts early."},
            {"_id": "d2", "title": "", "text": "Nothing here."},
            {"_id": "d4", "title": "", "text": " "},
            {"_id": "d5", "title": "", "text": "Nothing here."},
        ],
    )
    _lines(folder / "queries.jsonl", [{"_id": f"q{i}", "text": f"question {i}"} for i in (1, 2, 3)])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


def test_a_beir_folder_gives_documents_queries_and_graded_qrels(tmp_path: Path) -> None:
    """Title and text make the document, judged queries the questions, and every other case is counted."""
    questions = load("mine", _beir(tmp_path))
    assert questions.format is Format.BEIR
    assert [document.text for document in questions.documents] == ["Tin\n\nIt melts early.", "Nothing here."]
    assert questions.documents[0].source.title == "Tin"
    assert [(q.id, q.text, dict(q.relevant)) for q in questions.questions] == [
        ("q1", "question 1", {"d1": 1, "d2": 0}),
        ("q2", "question 2", {"d3": 2}),
    ]
    assert questions.left_out == {
        "documents without text": 1,
        "documents with the same text as another (indexed once, under all their names)": 1,
        "queries without a relevant document in these qrels": 1,
        "relevant documents that are not in the corpus (kept as gold, so never found)": 1,
        "judged queries that are not in queries.jsonl": 1,
    }
    assert questions.names[questions.documents[1].id] == ("d2", "d5")


def test_the_qrels_file_is_test_unless_another_is_named(tmp_path: Path) -> None:
    """With several and no test.tsv, the choice is the evaluator's."""
    folder = _beir(tmp_path)
    (folder / "qrels" / "dev.tsv").write_text("q3\td2\t1\n")
    assert [q.id for q in load("mine", folder).questions] == ["q1", "q2"]
    assert [q.id for q in load("mine", folder, qrels="dev").questions] == ["q3"]
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "train.tsv")
    with pytest.raises(UserError, match=r"has dev, train. Choose one with: --qrels NAME"):
        load("mine", folder)


@pytest.mark.parametrize("line", ["q1 d1 1", "q1\td1", "q1\td1\thigh"])
def test_a_line_that_is_no_judgement_is_named(tmp_path: Path, line: str) -> None:
    """A qrels file with a broken line is not scored on the rest of it."""
    with pytest.raises(UserError, match=r"test\.tsv, line 2"):
        load("mine", _beir(tmp_path, f"query-id\tcorpus-id\tscore\n{line}\n"))


def _squad(folder: Path) -> Path:
    context = "Tin melts at 232 degrees. Copper needs more."
    answers = [
        {"text": "232 degrees", "answer_start": 13},
        {"text": "232", "answer_start": 13},
        {"text": "232", "answer_start": 13},
    ]
    qas = [
        {"id": "a", "question": "When does tin melt?", "answers": answers, "is_impossible": False},
        {
            "id": "b",
            "question": "When does zinc melt?",
            "answers": [],
            "plausible_answers": [answers[0]],
            "is_impossible": True,
        },
        {"id": "c", "question": "When does lead melt?", "answers": []},
        {"id": "d", "question": "Moved?", "answers": [{"text": "232", "answer_start": 14}], "is_impossible": False},
        {"id": "a", "question": "Again?", "answers": [], "is_impossible": True},
    ]
    article = {"title": "Soft_metals", "paragraphs": [{"context": context, "qas": qas}]}
    folder.mkdir(exist_ok=True)
    (folder / "part.json").write_text(json.dumps({"version": "v2.0", "data": [article]}))
    return folder


def test_squad_gives_a_document_a_paragraph_and_answer_spans_as_alternatives(tmp_path: Path) -> None:
    """No answers means unanswerable, whichever way the file says it; misplaced answers and repeated ids are counted."""
    questions = load("squad", _squad(tmp_path))
    first, second, third = questions.questions
    assert [document.path for document in questions.documents] == ["Soft metals/0"]
    assert [_words(questions, s) for s in first.facets[0].any_of] == ["232", "232 degrees"]
    assert dict(first.relevant) == {"Soft metals/0": 1}
    assert [q.answerable for q in questions.questions] == [True, False, False]
    assert second.facets == third.facets == ()
    assert second.own == (questions.documents[0].id,)
    assert questions.left_out == {
        "questions with an answer that does not stand where the set says": 1,
        "questions with the id of an earlier one": 1,
    }


def test_chroma_spans_count_the_file_s_own_line_ends(tmp_path: Path) -> None:
    """A carriage return is a character of the text; a question with a wrong reference is left out."""
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "facts.md").write_bytes(b"# Facts\r\nTin melts.\r\nCopper, later.")
    right = [
        {"content": "Tin melts.", "start_index": 9, "end_index": 19},
        {"content": "later", "start_index": 29, "end_index": 34},
    ]
    wrong = [{"content": "Tin melts.", "start_index": 8, "end_index": 18}]
    with open(tmp_path / "questions_df.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "references", "corpus_id"])
        writer.writerows([['What, "when"?', json.dumps(right), "facts"], ["Moved?", json.dumps(wrong), "facts"]])
        writer.writerow(["Whose?", json.dumps(right), "fiction"])
    questions = load("chroma", tmp_path)
    (only,) = questions.questions
    assert only.text == 'What, "when"?'
    assert [_words(questions, facet.any_of[0]) for facet in only.facets] == ["Tin melts.", "later"]
    assert only.kind == "facts"
    assert questions.left_out == {
        "questions with a reference that does not stand where the set says": 1,
        "questions of a corpus that is not there": 1,
    }


def test_qmsum_gold_is_what_the_turns_of_the_spans_say(tmp_path: Path) -> None:
    """Both ends of a span count, overlapping spans count a turn once, and the speaker's name is no part of it."""
    turns = [("Ann", "Shall we begin ?"), ("Bo", "Yes ."), ("Ann", " "), ("Bo", "The budget is ten .")]
    meeting = {
        "meeting_transcripts": [{"speaker": speaker, "content": content} for speaker, content in turns],
        "general_query_list": [{"query": "Summarize", "answer": "…"}],
        "specific_query_list": [
            {"query": "What of the budget?", "answer": "ten", "relevant_text_span": [["1", "3"], ["3", "3"]]},
            {"query": "Beyond the end?", "answer": "", "relevant_text_span": [["3", "4"]]},
            {"query": "Nowhere?", "answer": "", "relevant_text_span": []},
        ],
    }
    _lines(tmp_path / "val.jsonl", [meeting])
    questions = load("val", tmp_path)
    (only,) = questions.questions
    assert questions.documents[0].text == "Ann: Shall we begin ?\nBo: Yes .\nAnn: \nBo: The budget is ten ."
    assert [_words(questions, facet.any_of[0]) for facet in only.facets] == ["Yes .", "The budget is ten ."]
    assert [facet.label for facet in only.facets] == ["turn 1", "turn 3"]
    assert only.own == (questions.documents[0].id,)
    assert questions.left_out == {
        "general questions, which name no turns": 1,
        "gold turns in which nothing is said": 1,
        "questions without gold turns, or with turns outside their meeting": 2,
    }


@pytest.mark.parametrize("as_text", [False, True])
def test_clapnq_gold_is_the_selected_sentences(tmp_path: Path, as_text: bool) -> None:
    """Passages may stand as a list or as JSON within a text; without sentence and answer it is unanswerable."""

    def row(name: str, selected: list[list[str]], answer: str = "") -> dict[str, object]:
        passages = [{"title": "Metals", "text": f"Tin is soft . Copper is {name} . Iron rusts .", "sentences": []}]
        outputs = [{"answer": answer, "selected_sentences": chosen, "meta": {}} for chosen in selected]
        return {
            "id": name,
            "input": f"is {name} copper",
            "passages": json.dumps(passages) if as_text else passages,
            "output": outputs,
        }

    _lines(
        tmp_path / "answerable.jsonl",
        [row("red", [["Tin is soft .", "Copper is red ."], ["Tin is soft ."]]), row("x", [["Gone ."]])],
    )
    _lines(tmp_path / "unanswerable.jsonl", [row("green", [[]]), row("dear", [[]], "It is dear .")])
    questions = load("clapnq", tmp_path)
    red, green = questions.questions
    assert [_words(questions, facet.any_of[0]) for facet in red.facets] == ["Tin is soft .", "Copper is red ."]
    assert (red.answerable, dict(red.relevant)) == (True, {"red-1": 1})
    assert (green.answerable, dict(green.relevant), green.facets) == (False, {}, ())
    assert questions.left_out == {
        "questions with a gold sentence that is not in their passage": 1,
        "questions with an answer for which no sentence was selected": 1,
    }


def test_a_text_with_several_names_is_relevant_under_each(tmp_path: Path) -> None:
    """Whichever of its names is ranked first, the text that answers is found."""
    passage = {"title": "", "text": "Tin is soft .", "sentences": []}
    output = [{"answer": "It is.", "selected_sentences": ["Tin is soft ."], "meta": {}}]
    _lines(
        tmp_path / "dev.jsonl",
        [{"id": name, "input": f"{name}?", "passages": [passage], "output": output} for name in ("first", "second")],
    )
    questions = load("clapnq", tmp_path)
    assert [dict(question.relevant) for question in questions.questions] == [{"first-1": 1, "second-1": 1}] * 2


def test_a_set_is_found_by_its_name_below_the_folder(tmp_path: Path) -> None:
    """Folder, file with or without its ending, or the folder itself where the name is only a name."""
    _beir(tmp_path / "beir" / "mine")
    _squad(tmp_path / "squad")
    assert load("beir/mine", tmp_path).format is Format.BEIR
    assert load("mine", tmp_path / "beir").format is Format.BEIR
    assert load("anything", tmp_path / "squad").format is Format.SQUAD
    assert load("squad/part", tmp_path).name == "squad/part"


def test_a_folder_without_a_set_names_the_sets_below_it(tmp_path: Path) -> None:
    """The next command can be typed from the message."""
    _beir(tmp_path / "beir" / "mine")
    with pytest.raises(UserError, match=r"Below it: beir/mine. Formats: beir, squad"):
        load("other", tmp_path)
    with pytest.raises(UserError, match="There is no folder"):
        load("other", tmp_path / "nowhere")
    with pytest.raises(UserError, match="needs a folder"):
        load("other", None)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    """A set is never read from beside the folder that was given."""
    _beir(tmp_path / "mine")
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="holds no question set"):
        load("../mine", tmp_path / "data")


def test_files_of_two_formats_in_one_folder_need_a_word(tmp_path: Path) -> None:
    """The format named is the one read."""
    _squad(tmp_path)
    _lines(tmp_path / "val.jsonl", [{"meeting_transcripts": [], "specific_query_list": []}])
    with pytest.raises(UserError, match="--format qmsum or squad"):
        load("x", tmp_path)
    assert load("x", tmp_path, format=Format.SQUAD).format is Format.SQUAD


def test_files_of_no_known_format_are_not_taken_for_one(tmp_path: Path) -> None:
    """Other JSON is passed over."""
    (tmp_path / "other.json").write_text('{"data": "none"}')
    assert detect(tmp_path) is None


def test_a_limit_takes_questions_at_even_distances_and_says_how_many_it_left(tmp_path: Path) -> None:
    """Of 10, a limit of 4 takes numbers 0, 2, 5 and 7 (i * 10 // 4), so that every part of a set is met."""
    _lines(tmp_path / "corpus.jsonl", [{"_id": "d", "text": "t"}])
    _lines(tmp_path / "queries.jsonl", [{"_id": i, "text": "q"} for i in range(10)])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("".join(f"{i}\td\t1\n" for i in range(10)))
    questions = load("mine", tmp_path)
    assert [q.id for q in limited(questions, 4).questions] == ["0", "2", "5", "7"]
    assert limited(questions, 4).left_out == {"questions beyond --limit": 6}
    assert limited(questions, 10) == limited(questions, None) == questions


def test_a_set_of_which_nothing_can_be_used_is_refused_with_the_reasons(tmp_path: Path) -> None:
    """No empty run with empty measures."""
    folder = _beir(tmp_path, "q7\td1\t1\n")
    with pytest.raises(
        UserError, match=r"no question that can be used. Left out: .*3 queries without a relevant document"
    ):
        load("mine", folder)
