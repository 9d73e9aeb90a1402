"""The report: several runs in one HTML file that needs nothing but itself.

Questions, documents and settings are other people's text: everything is escaped, and the page's own policy
forbids scripts and the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from evals import comparing, measures, plots, printing, scoring
from evals.comparing import Comparison
from evals.gold import Format
from evals.plots import Series
from evals.runs import Outcome, Run
from evals.showing import Texts, question_html, read_texts

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --mark: #ffe58a; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; } .note { opacity: .75; } .better { color: #2f7d46; } .worse { color: #b3401a; }
.plots { display: flex; flex-wrap: wrap; gap: 2rem; } svg { font-size: 12px; fill: currentColor; max-width: 100%; }
svg .grid { stroke: var(--line); stroke-dasharray: 2 3; } svg .frame { fill: none; stroke: var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem; margin: .5rem 0; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.2rem; }
blockquote { margin: .4rem 0; padding: .2rem .8rem; border-left: 3px solid var(--line); white-space: pre-wrap; }
blockquote.quote { border-color: #2563b0; } mark { background: var(--mark); color: #000; } h4 { margin: .6rem 0 .2rem; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Entry:
    """A run and what the page calls it."""

    label: str
    run: Run


def page(read: Sequence[Run], labels: Sequence[str], data: Path | None, *, qrels: str | None, most: int) -> str:
    """The whole page. Runs of one set are shown together; the first of them is what the others are held against."""
    entries = [Entry(label, run) for label, run in zip(labels, read, strict=True)]
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(f"{entry.run.identity.format} {entry.run.identity.set}", []).append(entry)
    body = "".join(_section(group, data, qrels, most) for group in groups.values())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>Evaluation report</title>'
        f"<style>{_STYLE}</style></head><body><h1>Evaluation report</h1>{_runs(entries)}{body}</body></html>\n"
    )


def _table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells that are HTML already; the first row is the heading."""
    heading, *others = rows
    head = "".join(f"<th>{cell}</th>" for cell in heading)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in others)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _runs(entries: Sequence[Entry]) -> str:
    """What each run is of and by."""
    hashes = ("questions_hash", "corpus_hash", "code_hash")
    parts = ("set", "format", "limit", "own_documents", "encoder", *hashes, "commit", "cores", "date")
    settings = sorted({key for entry in entries for key in entry.run.identity.settings})
    rows = [
        ["", *(escape(e.label) for e in entries)],
        *([p, *(escape(str(getattr(e.run.identity, p))) for e in entries)] for p in parts),
        *([escape(key), *(escape(str(e.run.identity.settings.get(key, "-"))) for e in entries)] for key in settings),
        ["versions", *(_versions(e.run) for e in entries)],
        ["questions asked", *(str(len(e.run.outcomes)) for e in entries)],
        ["left out", *("<br>".join(map(escape, printing.left_out(e.run))) for e in entries)],
    ]
    return f"<h2>Runs</h2>{_table(rows)}"


def _versions(run: Run) -> str:
    return "<br>".join(escape(f"{package} {version}") for package, version in run.identity.versions.items())


def _section(entries: Sequence[Entry], data: Path | None, qrels: str | None, most: int) -> str:
    """Everything about one set."""
    first = entries[0].run
    main = [name for name in scoring.MAIN[Format(first.identity.format)] if name in comparing.names(first)]
    rows = [(name, [entry.run.aggregates["all"].get(name) for entry in entries]) for name in main]
    texts, note = read_texts(first, data, qrels)
    return "".join(
        [
            f"<h2>{escape(first.identity.set)}</h2>",
            "<p>Intervals are 95 % percentile bootstraps over questions.</p>",
            plots.intervals("Main measures with their intervals", [entry.label for entry in entries], rows),
            f"<h3>All questions</h3>{_table(_measures(entries, 'all'))}",
            *(f"<h3>{escape(group)}</h3>{_table(_measures(entries, group, main))}" for group in _groups(entries)),
            _confidence(entries),
            f"<h3>Milliseconds, median and 95th percentile</h3>{_table(_latency(entries))}",
            f'<p class="note">{escape(note)}</p>' if note else "",
            *(_differences(entries[0], entry, texts, most) for entry in entries[1:]),
            _failures(entries[0], main, texts, most) if len(entries) == 1 else "",
        ]
    )


def _groups(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(g for entry in entries for g in entry.run.aggregates if g != "all"))


def _measures(entries: Sequence[Entry], group: str, only: Sequence[str] | None = None) -> Iterator[list[str]]:
    """Measures by run, with the number of questions of the first run that has it."""
    yield ["measure", *(escape(entry.label) for entry in entries), "questions"]
    for name in only if only is not None else comparing.names(entries[0].run):
        found = [entry.run.aggregates.get(group, {}).get(name) for entry in entries]
        n = next((estimate.n for estimate in found if estimate is not None), None)
        if n is not None:
            yield [escape(name), *(escape(printing.estimate(estimate)) for estimate in found), str(n)]


def _latency(entries: Sequence[Entry]) -> Iterator[list[str]]:
    yield ["stage", *(escape(entry.label) for entry in entries)]
    for stage in dict.fromkeys(stage for entry in entries for stage in entry.run.latency_ms):
        taken = [entry.run.latency_ms.get(stage) for entry in entries]
        yield [escape(stage), *(f"{each.median:.1f}, {each.p95:.1f}" if each else "-" for each in taken)]


def _confidence(entries: Sequence[Entry]) -> str:
    """Risk-coverage and reliability curves, where there are questions of both kinds."""
    risks: list[Series] = []
    bins: list[Series] = []
    for entry in entries:
        confidence, answerable = scoring.confidences(entry.run.outcomes)
        if 0 < answerable.sum() < len(answerable):
            coverage, risk = measures.risk_coverage(confidence, answerable)
            risks.append(Series(entry.label, coverage.tolist(), risk.tolist()))
            parts = measures.reliability(confidence, answerable)
            largest = max(count for _, _, count in parts)
            means, shares = [mean for mean, _, _ in parts], [share for _, share, _ in parts]
            bins.append(Series(entry.label, means, shares, [count / largest for _, _, count in parts]))
    if not risks:
        return ""
    risk_plot = plots.curves(
        "Risk-coverage curve", "coverage: share answered", "risk: share of these unanswerable", risks
    )
    bin_plot = plots.curves("Reliability curve", "mean confidence", "share answerable", bins, diagonal=True)
    return (
        "<h3>Confidence</h3><p>Left: answering the most confident questions first, how many of the answered have no "
        "answer in the documents. Right: 15 bins of equal mass; on the dashed line the confidence is a probability.</p>"
        f'<div class="plots">{risk_plot}{bin_plot}</div>'
    )


def _differences(reference: Entry, entry: Entry, texts: Texts | None, most: int) -> str:
    """A run against the reference: the table, then the questions that moved."""
    result = comparing.compare(reference.run, entry.run)
    rows = [["measure", escape(reference.label), escape(entry.label), "difference", "d", "p", "p (Holm)", "verdict"]]
    for change in result.changes:
        verdict = f'<span class="{escape(change.verdict)}">{escape(change.verdict)}</span>'
        d = "-" if change.effect.d is None else f"{change.effect.d:+.2f}"
        p = [escape(printing.p_value(value)) for value in (change.effect.p, change.p_holm)]
        shown = [f"{change.a:.3f}", f"{change.b:.3f}", escape(printing.estimate(change.effect.difference)), d]
        rows.append([escape(change.measure), *shown, *p, verdict])
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    return (
        f"<h3>{escape(entry.label)} against {escape(reference.label)}</h3><ul>{notes}</ul>{_table(rows)}"
        f"{''.join(_moved(result, reference.label, entry.label, texts, most))}"
    )


def _moved(result: Comparison, a: str, b: str, texts: Texts | None, most: int) -> Iterator[str]:
    """Every question that a main measure changed for, the largest change first."""
    main = scoring.MAIN[Format(result.a.identity.format)]
    size: dict[str, float] = {}
    for name in main:
        for x, y in (pair for direction in comparing.moved(name, result.pairs) for pair in direction):
            size[x.id] = max(size.get(x.id, 0.0), abs(y.measures[name] - x.measures[name]))
    pairs = {x.id: (x, y) for x, y in result.pairs}
    shown = sorted(size, key=lambda question: -size[question])
    yield f"<p>{len(shown)} questions changed in a main measure; {min(most, len(shown))} are shown.</p>"
    for question in shown[:most]:
        yield question_html([(a, pairs[question][0]), (b, pairs[question][1])], main, texts)


def _failures(entry: Entry, main: Sequence[str], texts: Texts | None, most: int) -> str:
    """The questions of a single run that fall short in a main measure."""

    def lost(outcome: Outcome) -> float:
        found = [(name, outcome.measures[name]) for name in main if name in outcome.measures]
        return max((v if name in scoring.LOWER_IS_BETTER else 1 - v for name, v in found), default=0.0)

    short = sorted((o for o in entry.run.outcomes if lost(o) > 0), key=lambda o: -lost(o))
    shown = "".join(question_html([(entry.label, outcome)], main, texts) for outcome in short[:most])
    return (
        f"<h3>Questions that fall short</h3><p>{len(short)} questions are less than perfect in a main measure; "
        f"{min(most, len(short))} are shown.</p>{shown}"
    )
