"""One question of a report as HTML: what it asks for, and what each run showed, with the gold marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from evals import benchmarks
from evals.gold import SEED_QUESTIONS, Format, Question, QuestionSet, Stretch
from evals.runs import Outcome, Run, Shown
from evals.spans import common
from rag.errors import RagError


@dataclass(frozen=True, slots=True)
class Texts:
    """The question set of a run, to show the words behind the offsets."""

    questions: dict[str, Question]
    documents: dict[str, tuple[str, str]]
    """Name to id and text."""


def question_html(sides: Sequence[tuple[str, Outcome]], main: Sequence[str], texts: Texts | None) -> str:
    """One question: what it asks for, and what each run showed, with the gold marked."""
    outcome = sides[0][1]
    question = texts.questions.get(outcome.id) if texts else None
    scores = [
        f"{escape(name)} {' → '.join(f'{o.measures[name]:.2f}' if name in o.measures else '-' for _, o in sides)}"
        for name in main
        if any(name in o.measures for _, o in sides)
    ]
    history = "".join(f"<p>before: {escape(earlier)}</p>" for earlier in (question.history if question else ()))
    columns = "".join(f"<div>{_side(label, o, question, texts)}</div>" for label, o in sides)
    summary = f"{escape(outcome.question)} <small>{escape(outcome.id)} · {' · '.join(scores)}</small>"
    return (
        f"<details><summary>{summary}</summary>"
        f'{history}{_gold(question, texts)}<div class="sides">{columns}</div></details>'
    )


def _gold(question: Question | None, texts: Texts | None) -> str:
    if question is None or texts is None:
        return ""
    by_id = dict(texts.documents.values())
    facets = ""
    for facet in question.facets:
        places = " <b>or</b> ".join(escape(by_id[s.document][s.start : s.end]) for s in facet.any_of)
        facets += f"<li>{escape(facet.label)}: {places}</li>"
    relevant = ", ".join(escape(name) for name, grade in question.relevant.items() if grade > 0)
    missing = "The documents do not answer this." if question.answerable is False else ""
    return f"<h4>Gold</h4><ul>{facets}</ul><p>{relevant}{missing}</p>"


def _side(label: str, outcome: Outcome, question: Question | None, texts: Texts | None) -> str:
    confidence = "" if outcome.confidence is None else f", confidence {outcome.confidence:.2f}"
    said = "" if outcome.abstained is None else (", abstained" if outcome.abstained else ", answered")
    quotes = "".join(_stretch(shown, "quote", question, texts) for shown in outcome.quotes)
    passages = "".join(_stretch(shown, "passage", question, texts) for shown in outcome.passages)
    return (
        f"<h4>{escape(label)}{said}{confidence}</h4>"
        f"{f'<h4>Quotes</h4>{quotes}' if quotes else ''}<h4>Passages</h4>{passages or '<p>none</p>'}"
    )


def _stretch(shown: Shown, kind: str, question: Question | None, texts: Texts | None) -> str:
    place = f"{escape(shown.document)} {shown.start}:{shown.end}, score {shown.score:.3f}"
    document = texts.documents.get(shown.document) if texts else None
    words = _marked(shown, *document, question) if document else ""
    return f'<blockquote class="{kind}"><small>{place}</small>\n{words}</blockquote>'


def _marked(shown: Shown, document: str, text: str, question: Question | None) -> str:
    """The words of a stretch with its gold in <mark>."""
    gold = [s for facet in (question.facets if question else ()) for s in facet.any_of]
    words: list[str] = []
    at = shown.start
    for _, start, end in common([Stretch(document, shown.start, shown.end)], gold):
        words += [escape(text[at:start]), "<mark>", escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*words, escape(text[at : shown.end])])


def read_texts(run: Run, data: Path | None, qrels: str | None) -> tuple[Texts | None, str]:
    """The set that a run is of, or why its words cannot be shown."""
    identity = run.identity
    format = Format(identity.format)
    if format is Format.SEEDS and identity.set != SEED_QUESTIONS.stem:
        return None, "Places are shown without their words: those are known of the questions that ship alone."
    if format is not Format.SEEDS and data is None:
        return None, "Places are shown without their words; give --data FOLDER to see them."
    name, folder = ("seeds", None) if format is Format.SEEDS else (identity.set, data)
    try:
        loaded = benchmarks.load(name, folder, format=format, qrels=qrels)
    except RagError as error:
        return None, f"Places are shown without their words: {error}"
    asked = benchmarks.limited(loaded, identity.limit)
    if identity.questions_hash != asked.questions_hash:
        return None, "Places are shown without their words: the set has changed since the run."
    return _by_name(loaded), ""


def _by_name(questions: QuestionSet) -> Texts:
    return Texts(
        {question.id: question for question in questions.questions},
        {name: (d.id, d.text) for d in questions.documents for name in questions.names[d.id]},
    )
