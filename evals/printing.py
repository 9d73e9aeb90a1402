"""Results as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evals import comparing, scoring
from evals.comparing import Comparison, Pair
from evals.gate import Verdict
from evals.gold import Format
from evals.grid import Cell, CellChange
from evals.runs import Run
from evals.statistics import Estimate

_QUESTION_CHARACTERS = 90


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; the first is set left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def estimate(value: Estimate | None) -> str:
    """A number with its interval: "0.912 [0.870, 0.951]"."""
    if value is None:
        return "-"
    ends = "" if value.low is None or value.high is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{ends}"


def p_value(p: float) -> str:
    """As it is written in papers."""
    return "<.001" if p < 0.001 else f"{p:.3f}"


def run_summary(run: Run) -> Iterator[str]:
    """What was asked, what was left out, and every measure with its interval, for all questions and each split."""
    identity = run.identity
    yield f"{identity.set}: {len(run.outcomes)} questions, encoder {identity.encoder}, identity {identity.key}"
    yield from left_out(run)
    groups = [group for group in run.aggregates if not group.startswith("kind")]
    rows = [["measure [95 % interval]", *groups, "questions"]]
    for name in comparing.names(run):
        estimates = [run.aggregates[group].get(name) for group in groups]
        rows.append([name, *map(estimate, estimates), str(run.aggregates["all"][name].n)])
    yield from table(rows)
    yield ""
    yield from table(
        [["milliseconds", "median", "95 %"]]
        + [[stage, f"{each.median:.1f}", f"{each.p95:.1f}"] for stage, each in run.latency_ms.items()]
    )


def left_out(run: Run) -> Iterator[str]:
    """Cases left out and why; that there are none is said too."""
    if not run.left_out:
        yield "left out: nothing"
    for reason, count in run.left_out.items():
        yield f"left out: {count} {reason}"


def comparison(result: Comparison, most: int = 10) -> Iterator[str]:
    """What differs, every measure with its difference, and the questions that moved, at most `most` each way."""
    yield f"a: {result.a.name}, {result.a.identity.date}"
    yield f"b: {result.b.name}, {result.b.identity.date}; {len(result.pairs)} questions in both"
    yield from (f"note: {note}" for note in result.notes)
    rows = [["measure", "a", "b", "b - a [95 % interval]", "d", "p", "p (Holm)", "verdict"]]
    for change in result.changes:
        d = "-" if change.effect.d is None else f"{change.effect.d:+.2f}"
        shown = [f"{change.a:.3f}", f"{change.b:.3f}", estimate(change.effect.difference), d]
        rows.append([change.measure, *shown, p_value(change.effect.p), p_value(change.p_holm), change.verdict])
    yield from table(rows)
    for name in scoring.MAIN[Format(result.a.identity.format)]:
        up, down = comparing.moved(name, result.pairs)
        better, worse = (down, up) if name in scoring.LOWER_IS_BETTER else (up, down)
        for word, pairs in (("better", better), ("worse", worse)):
            if pairs:
                yield ""
                yield f"{name}, questions {word}: {len(pairs)}"
                yield from (f"  {line}" for line in _moved(name, pairs[:most]))
                if len(pairs) > most:
                    yield f"  … and {len(pairs) - most} more (--most {len(pairs)} shows all)"


def _moved(name: str, pairs: Sequence[Pair]) -> Iterator[str]:
    for a, b in pairs:
        question = a.question if len(a.question) <= _QUESTION_CHARACTERS else f"{a.question[:_QUESTION_CHARACTERS]}…"
        yield f"{a.measures[name]:.3f} → {b.measures[name]:.3f}  {a.id}: {question}"


def grid(cells: Sequence[Cell], changes: Sequence[CellChange], measures: Sequence[str]) -> Iterator[str]:
    """Every cell with its measures, and how sure it is that it differs from the reference.

    Of a set that is divided, over the questions to tune on alone: those to test on are for what is chosen.
    """
    reference = cells[0]
    group = "split tune" if "split tune" in reference.run.aggregates else "all"
    varied = [key for key in reference.values if len({str(cell.values[key]) for cell in cells}) > 1]
    rows = [[", ".join(varied) or "settings", *(column for name in measures for column in (name, "p (Holm)"))]]
    for cell in cells:
        row = [", ".join(str(cell.values[key]) for key in varied) or "as given"]
        by_measure = {change.paired.measure: change for change in changes if change.cell is cell}
        for name in measures:
            change = by_measure.get(name)
            row += [estimate(cell.run.aggregates[group].get(name)), p_value(change.p_holm) if change else "-"]
        rows.append(row)
    of = "" if group == "all" else ", on the questions to tune on"
    yield f"{reference.run.identity.set}: {len(cells)} cells{of}; the first is what the others are tested against"
    yield from left_out(reference.run)
    yield from table(rows)


def gate(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Every main measure against the baseline."""
    yield from table(
        [["measure", "baseline", "now", "p worse (Holm)", "verdict"]]
        + [[v.measure, f"{v.baseline:.3f}", f"{v.now:.3f}", p_value(v.p), v.failed or "passes"] for v in verdicts]
    )
