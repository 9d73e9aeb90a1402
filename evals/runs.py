"""Runs: one question set asked under one identity, kept as one JSON file, with the rankings beside it as a TREC run.

Numbers are rounded when they are made, so that a rerun of the same thing differs only in its date and timings;
timings stand in a part of their own at the end of the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from urllib.parse import quote

from evals.reading import Row, parse_object, read_text
from evals.statistics import Estimate
from rag.errors import UserError

FORMAT = 1
"""Of the file. Changes whenever an older file would be misread."""
DIGITS = 4
"""Of every measure, score and confidence of a question."""
_ESTIMATE_DIGITS = 6
"""Of what is put together from them, which is rounded once more where it is shown."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a run's numbers depend on, and where and when they were taken."""

    set: str
    format: str
    questions_hash: str
    corpus_hash: str
    limit: int | None
    """Most questions asked; None for all."""
    own_documents: bool
    """Whether each question was asked of the documents it was written for only."""
    settings: Mapping[str, str | int | float | bool]
    """All of the assistant's settings that can change a number."""
    encoder: str
    code_hash: str
    """Of the source files that the numbers come from."""
    versions: Mapping[str, str]
    """Of Python and of the packages that do the arithmetic."""
    commit: str
    """With "+changes" where tracked source files differ from it; empty outside git."""
    cores: int
    date: str
    """UTC, ISO 8601."""

    @property
    def key(self) -> str:
        """Two runs with the same key give the same numbers: all but commit, cores and date."""
        same = {k: v for k, v in asdict(self).items() if k not in ("commit", "cores", "date")}
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Shown:
    """A stretch of a document that was shown: a passage or a quote."""

    document: str
    """Its name in the question set."""
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question got."""

    id: str
    question: str
    kind: str
    split: str
    answerable: bool | None
    facets: int
    """Distinct things its gold asks for; 0 without gold."""
    abstained: bool | None
    """None where it was only searched for, not answered. So is `confidence`."""
    confidence: float | None
    passages: tuple[Shown, ...]
    """Best first."""
    quotes: tuple[Shown, ...]
    """In the order of the answer; none where it abstained."""
    measures: Mapping[str, float]
    """Only those that have a score for this question."""
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one stage over all questions."""

    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class Run:
    """A question set asked under one identity."""

    identity: Identity
    left_out: Mapping[str, int]
    """Reason to number of cases."""
    outcomes: tuple[Outcome, ...]
    aggregates: Mapping[str, Mapping[str, Estimate]]
    """Group ("all", "split test", "kind fact", …) to measure to its estimate."""
    latency_ms: Mapping[str, Latency]
    rankings: Mapping[str, tuple[str, ...]]
    """Question id to item names, best first: what the TREC run holds. Empty in a run that was read back."""

    @property
    def name(self) -> str:
        """Set and settings in short, for headings."""
        return f"{self.identity.set} {self.identity.key[:6]}"


def save(run: Run, path: Path) -> None:
    """Write the run to `path` and its rankings beside it with the ending .trec, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path.with_suffix(".trec"), _trec(run))
    _replace(path, _text(run))


def save_summary(run: Run, path: Path) -> None:
    """Write the run's identity and figures alone: no question and no text, so that it can go where the set may not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, _text(replace(run, outcomes=(), rankings={})))


def _text(run: Run) -> str:
    head = {
        "format": FORMAT,
        "identity": asdict(run.identity),
        "left_out": dict(run.left_out),
        "aggregates": {g: {m: _estimate(e) for m, e in measures.items()} for g, measures in run.aggregates.items()},
    }
    parts = [f"{json.dumps(key)}: {_dump(value)}" for key, value in head.items()]
    outcomes = [json.dumps(_outcome(outcome), ensure_ascii=False) for outcome in run.outcomes]
    timings = [f"{json.dumps(o.id)}: {json.dumps(dict(o.timings_ms))}" for o in run.outcomes]
    parts.append('"outcomes": [\n' + ",\n".join(outcomes) + "\n]")
    parts.append(f'"latency_ms": {_dump({stage: asdict(each) for stage, each in run.latency_ms.items()})}')
    parts.append('"timings_ms": {\n' + ",\n".join(timings) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def load(path: Path) -> Run:
    """Read a run back. Raises UserError where the file is no run, or one of another format."""
    file = parse_object(read_text(path), str(path))
    if file.values.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a run that this program reads (format {FORMAT}). Make it again: python -m evals run"
        )
    timings = file.row("timings_ms")
    return Run(
        identity=_read_identity(file.row("identity")),
        left_out=_wholes(file.row("left_out")),
        outcomes=tuple(_read_outcome(row, timings) for row in file.rows("outcomes")),
        aggregates={
            group: {measure: _read_estimate(measures.row(measure)) for measure in measures.values}
            for group in file.row("aggregates").values
            for measures in [file.row("aggregates").row(group)]
        },
        latency_ms={
            stage: Latency(row.number("median"), row.number("p95"))
            for stage in file.row("latency_ms").values
            for row in [file.row("latency_ms").row(stage)]
        },
        rankings={},
    )


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (None if end is None else round(end, _ESTIMATE_DIGITS) for end in ends)
    return {"value": value, "low": low, "high": high, "n": estimate.n}


def _outcome(outcome: Outcome) -> dict[str, object]:
    """As it is written: spans as lists, timings elsewhere."""
    values = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name != "timings_ms"}
    for part in ("passages", "quotes"):
        values[part] = [[s.document, s.start, s.end, s.score] for s in getattr(outcome, part)]
    return {**values, "measures": dict(outcome.measures)}


def _trec(run: Run) -> str:
    """One line an item: question, Q0, item, rank from 1, score, tag. Scores fall with the rank: no ties to reorder."""
    return "".join(
        f"{quote(question)} Q0 {quote(item)} {rank} {len(items) - rank + 1} {run.identity.key}\n"
        for question, items in run.rankings.items()
        for rank, item in enumerate(items, start=1)
    )


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _read_identity(row: Row) -> Identity:
    settings = row.row("settings")
    return Identity(
        set=row.text("set"),
        format=row.text("format"),
        questions_hash=row.text("questions_hash"),
        corpus_hash=row.text("corpus_hash"),
        limit=None if row.values.get("limit") is None else row.whole("limit"),
        own_documents=row.flag("own_documents"),
        settings={k: v for k, v in settings.values.items() if isinstance(v, str | int | float)},
        encoder=row.text("encoder"),
        code_hash=row.text("code_hash"),
        versions={k: row.row("versions").text(k) for k in row.row("versions").values},
        commit=row.text("commit"),
        cores=row.whole("cores"),
        date=row.text("date"),
    )


def _read_outcome(row: Row, timings: Row) -> Outcome:
    name = row.text("id")
    taken = timings.row(name)
    return Outcome(
        id=name,
        question=row.text("question"),
        kind=row.text("kind"),
        split=row.text("split"),
        answerable=None if row.values.get("answerable") is None else row.flag("answerable"),
        facets=row.whole("facets"),
        abstained=None if row.values.get("abstained") is None else row.flag("abstained"),
        confidence=None if row.values.get("confidence") is None else row.number("confidence"),
        passages=_read_shown(row, "passages"),
        quotes=_read_shown(row, "quotes"),
        measures={k: row.row("measures").number(k) for k in row.row("measures").values},
        timings_ms={stage: taken.number(stage) for stage in taken.values},
    )


def _read_shown(row: Row, key: str) -> tuple[Shown, ...]:
    shown: list[Shown] = []
    for item in row.items(key):
        match item:
            case [str(document), int(start), int(end), int(score) | float(score)]:
                shown.append(Shown(document, start, end, float(score)))
            case _:
                raise UserError(f"{row.where}: {key!r} must hold lists of document, start, end and score.")
    return tuple(shown)


def _read_estimate(row: Row) -> Estimate:
    low, high = (None if row.values.get(end) is None else row.number(end) for end in ("low", "high"))
    return Estimate(row.number("value"), low, high, row.whole("n"))


def _wholes(row: Row) -> dict[str, int]:
    return {key: row.whole(key) for key in row.values}
