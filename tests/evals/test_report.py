from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals import plots, report, showing
from evals.gold import Format, QuestionSet, Stretch
from evals.plots import Series
from evals.runs import Outcome, Run, Shown
from evals.showing import Texts
from evals.statistics import Estimate

Ask = Callable[..., Run]

HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror='go()'>\"&"


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data


def write(*runs: Run, labels: tuple[str, ...] = ("one", "two", "three")) -> str:
    return report.page(list(runs), labels[: len(runs)], None, qrels=None, most=50)


def test_the_page_needs_nothing_but_itself(ask: Ask) -> None:
    """No element loads, links or runs anything, and the page's own policy forbids it."""
    page = Page(write(ask(), ask({"passages": 2})))
    assert page.open == []  # every element is closed
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base", "form", "a")
        assert not {"src", "href", "srcset", "action", "xlink:href"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    styles = re.findall(r"<style>(.*?)</style>", write(ask()), re.DOTALL)
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_everything_from_elsewhere_is_escaped(ask: Ask) -> None:
    """Questions, names, kinds, settings, reasons and labels that are markup are shown as text."""
    run = ask()
    hostile = [
        dataclasses.replace(o, id=HOSTILE + o.id, question=HOSTILE, kind=HOSTILE, measures={**o.measures, HOSTILE: 0.5})
        for o in run.outcomes
    ]
    aggregates = {**run.aggregates, f"kind {HOSTILE}": run.aggregates["all"]}
    aggregates["all"] = {**run.aggregates["all"], HOSTILE: Estimate(0.5, 0.4, 0.6, 8)}
    a = dataclasses.replace(
        run,
        outcomes=tuple(hostile),
        aggregates=aggregates,
        left_out={HOSTILE: 1},
        identity=dataclasses.replace(
            run.identity, settings={HOSTILE: HOSTILE}, encoder=HOSTILE, commit=HOSTILE, set=HOSTILE
        ),
    )
    b = dataclasses.replace(a, outcomes=tuple(dataclasses.replace(o, abstained=False) for o in hostile))
    for page in (write(a, labels=(HOSTILE,)), write(a, b, labels=(HOSTILE, "other"))):
        tags = {tag for tag, _ in Page(page).tags}
        assert "<script" not in page
        assert "<img" not in page
        assert not {"script", "img"} & tags
        assert HOSTILE in Page(page).text


def test_hostile_documents_are_escaped_around_and_inside_the_gold_mark(questions: QuestionSet) -> None:
    """Marking gold never lets a document's own markup through."""
    texts = Texts(
        {q.id: q for q in questions.questions}, {"d": (questions.documents[0].id, HOSTILE + "in <b>gold</b> out")}
    )
    gold = dataclasses.replace(
        questions.questions[0],
        facets=(
            dataclasses.replace(questions.questions[0].facets[0], any_of=(_place(questions, 10, len(HOSTILE) + 6),)),
        ),
    )
    texts = dataclasses.replace(texts, questions={"danube": gold})
    outcome = Outcome(
        "danube", "Where?", "", "", True, 1, False, 0.5, (Shown("d", 0, len(HOSTILE) + 18, 1.0),), (), {}, {}
    )
    html = showing.question_html([("one", outcome)], (), texts)
    assert "<script" not in html
    assert "<b>gold" not in html
    assert html.count("<mark>") == 1
    assert HOSTILE + "in <b>gold</b> out" in Page(html).text


def _place(questions: QuestionSet, start: int, end: int) -> Stretch:
    return Stretch(questions.documents[0].id, start, end)


def test_every_measure_with_its_interval_and_every_run_is_on_the_page(ask: Ask) -> None:
    """Tables hold the numbers of all runs, what was left out and why, and both splits."""
    run, other = ask({"answer_threshold": 0.5}), ask({"answer_threshold": 1.0})
    text = Page(write(run, other)).text
    for name, estimate in run.aggregates["all"].items():
        assert name in text
        assert f"{estimate.value:.3f}" in text
    for said in ("split tune", "split test", "left out: 2 questions in a language not read", run.identity.code_hash):
        assert said in text
    assert "answer_threshold: 0.5 → 1.0" in text


def test_questions_that_changed_are_shown_with_what_was_seen_on_either_side(ask: Ask) -> None:
    """An answer that one run gave and the other did not is opened up: its quotes, passages and confidence."""
    always, never = ask({"answer_threshold": 0.0}), ask({"answer_threshold": 1.0})
    page = Page(write(always, never))
    assert "two against one" in page.text
    assert sum(tag == "details" for tag, _ in page.tags) == 8
    assert "one, answered, confidence" in page.text
    assert "two, abstained, confidence" in page.text
    assert "Quotes" in page.text


def test_a_single_run_shows_the_questions_that_fall_short(ask: Ask) -> None:
    """Where nothing is compared, the failures are what to look at."""
    page = Page(write(ask({"answer_threshold": 1.0})))
    assert "5 questions are less than perfect in a main measure" in page.text


def test_both_curves_of_the_confidence_are_drawn(ask: Ask) -> None:
    """Risk-coverage and reliability, each with a line for each run."""
    page = Page(write(ask(), ask({"passages": 2})))
    assert "Risk-coverage curve" in page.text
    assert "Reliability curve" in page.text
    assert sum(tag == "polyline" for tag, _ in page.tags) == 4


def test_plots_keep_inside_their_frame_and_say_which_run_is_which() -> None:
    """Values beyond the scale are drawn at its end; labels are escaped."""
    rows = [("<m>", [Estimate(1.7, 0.2, 2.0, 3), None])]
    drawn = plots.intervals("t", ["<one>", "two"], rows)
    assert "&lt;m&gt;" in drawn
    assert "&lt;one&gt;" in drawn
    assert all(0 <= float(x) <= 660 for x in re.findall(r'(?:cx|x1|x2|x)="([\d.-]+)"', drawn))
    many = [i / 1000 for i in range(1000)]
    line = plots.curves("t", "x", "y", [Series("a", many, many)])
    points = re.findall(r'points="([^"]+)"', line)[0].split()
    assert 150 <= len(points) <= 250


def test_words_are_shown_only_of_the_set_that_was_run(ask: Ask, tmp_path: Path) -> None:
    """Without the data, or with data that have changed since, offsets are shown and the page says why."""
    run = ask()  # its questions are not those of the seeds
    assert "known of the questions that ship alone" in Page(write(run)).text
    called = dataclasses.replace(run, identity=dataclasses.replace(run.identity, set="seeds"))
    assert "the set has changed since the run" in Page(write(called)).text
    elsewhere = dataclasses.replace(run, identity=dataclasses.replace(run.identity, format=Format.SQUAD))
    assert "give --data FOLDER" in Page(write(elsewhere)).text
    missing = report.page([elsewhere], ["one"], tmp_path / "none", qrels=None, most=5)
    assert "There is no folder" in Page(missing).text


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_questions_are_shown_than_asked_for(ask: Ask, most: int) -> None:
    """A report over thousands of questions stays small."""
    page = report.page([ask({"answer_threshold": 1.0})], ["one"], None, qrels=None, most=most)
    assert page.count("<details>") == most
