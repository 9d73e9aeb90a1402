from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import ir_measures
import pytest

from evals import identity, running, runs
from evals.gold import QuestionSet
from evals.runs import Run
from rag.encoding import HashingEncoder
from rag.errors import UserError

Ask = Callable[..., Run]


def test_a_run_reads_back_as_it_was_written(tmp_path: Path, ask: Ask) -> None:
    """Identity, what was left out, every outcome and latency survive the file; estimates to their rounding."""
    run = ask()
    runs.save(run, tmp_path / "run.json")
    again = runs.load(tmp_path / "run.json")
    assert (again.identity, again.left_out, again.latency_ms) == (run.identity, run.left_out, run.latency_ms)
    assert again.outcomes == run.outcomes
    assert again.left_out == {"questions in a language not read": 2}
    for group, measures in run.aggregates.items():
        for name, estimate in measures.items():
            assert again.aggregates[group][name].value == pytest.approx(estimate.value, abs=1e-4)
            assert again.aggregates[group][name].n == estimate.n


def test_a_rerun_changes_only_its_date_and_its_timings(tmp_path: Path, questions: QuestionSet) -> None:
    """All lines before the timings are the same, but for the date."""
    texts: list[str] = []
    for name in ("a.json", "b.json"):
        again = running.run(questions, identity.settings_from({}), HashingEncoder(), tmp_path / "cache")
        runs.save(again, tmp_path / name)
        texts.append((tmp_path / name).read_text(encoding="utf-8"))
    heads = [text.partition('"latency_ms"')[0].splitlines() for text in texts]
    before = [[line for line in head if '"date"' not in line] for head in heads]
    assert before[0] == before[1]
    assert (tmp_path / "a.trec").read_text() == (tmp_path / "b.trec").read_text()


def test_a_summary_holds_every_figure_and_not_a_word_of_the_set(tmp_path: Path, ask: Ask) -> None:
    run = ask()
    runs.save(run, tmp_path / "run.json")
    runs.save_summary(run, tmp_path / "summary.json")
    whole, summary = runs.load(tmp_path / "run.json"), runs.load(tmp_path / "summary.json")
    assert (summary.identity, summary.aggregates, summary.latency_ms) == (
        whole.identity,
        whole.aggregates,
        whole.latency_ms,
    )
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    assert not any(outcome.question in text or f'"{outcome.id}"' in text for outcome in run.outcomes)
    assert not (tmp_path / "summary.trec").exists()


def test_an_outcome_is_one_line_of_plain_json(tmp_path: Path, ask: Ask) -> None:
    """So a diff shows question by question what changed."""
    run = ask()
    runs.save(run, tmp_path / "run.json")
    lines = (tmp_path / "run.json").read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith('{"id": ') for line in lines) == len(run.outcomes)
    assert json.loads("\n".join(lines))["outcomes"][0]["id"] == run.outcomes[0].id


def test_the_trec_run_can_be_read_by_others_and_keeps_the_order(tmp_path: Path, ask: Ask) -> None:
    """ir_measures reads it; names with spaces stay one field; scores fall with the rank."""
    run = dataclasses.replace(ask(), rankings={"a question": ("doc one", "doc two")})
    runs.save(run, tmp_path / "run.json")
    read = list(ir_measures.read_trec_run(str(tmp_path / "run.trec")))
    assert [(r.query_id, r.doc_id, r.score) for r in read] == [
        ("a%20question", "doc%20one", 2.0),
        ("a%20question", "doc%20two", 1.0),
    ]


def test_the_key_is_of_what_the_numbers_depend_on(ask: Ask) -> None:
    """Another date, commit or machine is the same run; another setting, code or gold is not."""
    identity = ask().identity
    replace = dataclasses.replace
    for same in (replace(identity, date="x"), replace(identity, commit="x"), replace(identity, cores=99)):
        assert same.key == identity.key
    for other in (
        replace(identity, settings={}),
        replace(identity, code_hash="x"),
        replace(identity, questions_hash="x"),
        replace(identity, encoder="x"),
        replace(identity, versions={}),
        replace(identity, limit=1),
    ):
        assert other.key != identity.key


EMPTY = '{"format": 1, "identity": {}, "outcomes": [], "timings_ms": {}}'


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1}', EMPTY])
def test_a_file_that_is_no_run_is_one_clear_line(tmp_path: Path, content: str) -> None:
    """Empty, foreign, newer or damaged: a message, never a traceback."""
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        runs.load(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shown", [["d", 1, 2], ["d", 1, 2, "high"], [1, 1, 2, 0.5], "d"])
def test_a_damaged_outcome_is_named(tmp_path: Path, ask: Ask, shown: object) -> None:
    """A span that is none is refused with the place in the file."""
    path = tmp_path / "run.json"
    runs.save(ask(), path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["outcomes"][2]["passages"] = [shown]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"outcomes 2: 'passages' must hold lists"):
        runs.load(path)


def test_saving_leaves_no_half_written_file(tmp_path: Path, ask: Ask) -> None:
    """Files appear under their names only when they are whole; nothing else stays behind."""
    runs.save(ask(), tmp_path / "out" / "run.json")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["run.json", "run.trec"]
