from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from evals import benchmarks, gate, identity, running
from evals.__main__ import main
from evals.gate import Verdict
from evals.runs import Run, save
from rag.encoding import Encoder, HashingEncoder
from rag.errors import UserError
from rag.quoting import QuoteRules

Ask = Callable[..., Run]


def hashing(*_: object) -> Encoder:
    """The deterministic encoder, in place of the one that ships."""
    return HashingEncoder(dimension=256)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, with a baseline of the shipped questions and what it was made with."""
    folder = tmp_path_factory.mktemp("gate")
    questions = benchmarks.load("seeds", None)
    save(running.run(questions, identity.settings_from({}), hashing(), folder / "cache"), folder / "baseline.json")
    return ["gate", "--baseline", str(folder / "baseline.json"), "--cache", str(folder / "cache"), "--quiet"]


def test_a_default_that_is_worse_shuts_the_gate(common: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """On the shipped questions: as good as the baseline is 0; with one passage instead of five it is 1, and why."""
    assert main(common, hashing) == 0
    assert "passes" in capsys.readouterr().out
    assert main([*common, "--set", "passages=1"], hashing) == 1
    told = capsys.readouterr()
    assert "significantly worse" in told.out
    assert "the gate is shut: passages.facet_recall" in told.err


def test_quoting_more_than_answers_shuts_the_gate(
    common: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer quotes hold more of the gold, so that a measure of recall alone would let them pass."""
    monkeypatch.setattr("rag.assistant.rules_for", lambda *_: QuoteRules(least=0.1, words=240))
    assert main(common, hashing) == 1
    assert "the gate is shut: quotes.iou" in capsys.readouterr().err


def test_what_fails_by_hand() -> None:
    """Worse and significant, or worse by more than the tolerance; better never fails, however sure."""

    def failed(p: float, worse_by: float) -> bool:
        return bool(Verdict("m", 0.5, 0.5, p, worse_by).failed)

    assert failed(p=0.04, worse_by=0.001)
    assert failed(p=0.9, worse_by=gate.TOLERANCE + 0.001)
    assert not failed(p=0.9, worse_by=gate.TOLERANCE)
    assert not failed(p=0.0, worse_by=-0.2)
    assert not failed(p=0.04, worse_by=0.0)


def test_lower_is_worse_or_better_as_the_measure_has_it(ask: Ask) -> None:
    """Answering everything adds false answers, which is worse, and takes false abstentions away, which is better."""
    verdicts = {v.measure: v for v in gate.judge(ask({"answer_threshold": 1.0}), ask({"answer_threshold": 0.0}))}
    assert verdicts["false_answer"].worse_by == 1.0
    assert verdicts["false_abstention"].worse_by == -1.0
    assert verdicts["false_answer"].p == 5 * 1 / 8  # three questions, one-sided, of five measures
    assert verdicts["false_abstention"].p == 1.0
    assert verdicts["false_answer"].failed
    assert not verdicts["false_abstention"].failed


def test_a_baseline_of_other_questions_is_refused_with_the_remedy(ask: Ask) -> None:
    """A gate that compares different gold would say nothing."""
    run = ask()
    other = dataclasses.replace(run, identity=dataclasses.replace(run.identity, questions_hash="x"))
    with pytest.raises(UserError, match=r"python -m evals run seeds --out evals/results/baseline\.json"):
        gate.judge(other, run)


def test_what_cannot_be_judged_does_not_pass(ask: Ask) -> None:
    """A main measure that is gone, or a baseline that was asked otherwise, is an error and not one test less."""
    run = ask()
    bare = [
        dataclasses.replace(o, measures={k: v for k, v in o.measures.items() if k != "false_answer"})
        for o in run.outcomes
    ]
    with pytest.raises(UserError, match="'false_answer' is missing"):
        gate.judge(run, dataclasses.replace(run, outcomes=tuple(bare)))
    alone = dataclasses.replace(run, identity=dataclasses.replace(run.identity, own_documents=True))
    with pytest.raises(UserError, match="--own-documents"):
        gate.judge(alone, run)


def test_questions_that_disappear_do_not_pass_unseen(ask: Ask) -> None:
    """Fewer outcomes than the baseline has are an error, not a smaller test."""
    run = ask()
    with pytest.raises(UserError, match="1 questions of the baseline"):
        gate.judge(run, dataclasses.replace(run, outcomes=run.outcomes[1:]))
