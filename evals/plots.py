"""Plots as inline SVG: text in, text out, nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from evals.statistics import Estimate

COLOURS = ("#2563b0", "#c2571a", "#2f7d46", "#8a3fa0", "#9a7400", "#5b6470")
"""Of the runs, in their order; they can be told apart on white and by those who do not see red and green apart."""
_MOST_POINTS = 200
_SIZE, _LEFT, _BOTTOM = 300, 48, 40


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of dots. `x` and `y` lie in [0, 1]."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    weights: Sequence[float] = ()
    """Where given, dots of this relative area in [0, 1] are drawn on the line."""


def intervals(title: str, runs: Sequence[str], rows: Sequence[tuple[str, Sequence[Estimate | None]]]) -> str:
    """Estimates with their 95 % intervals on a scale from 0 to 1: a row for each measure, a dot for each run."""
    left, width, step = 210, 420, 13
    parts: list[str] = []
    at = 18.0
    for label, estimates in rows:
        middle = at + step * (len(estimates) - 1) / 2
        parts.append(_text(left - 10, middle + 4, label, "end"))
        for run, estimate in enumerate(estimates):
            if estimate is not None:
                y, colour = at + step * run, COLOURS[run % len(COLOURS)]
                if estimate.low is not None and estimate.high is not None:
                    ends = (left + width * _clip(end) for end in (estimate.low, estimate.high))
                    parts.append(_line(next(ends), y, next(ends), y, f'stroke="{colour}" stroke-width="2"'))
                parts.append(_dot(left + width * _clip(estimate.value), y, 4, colour))
        at += step * len(estimates) + 12
    ticks = [
        _line(x, 6, x, at - 8, 'class="grid"') + _text(x, at + 8, f"{tick / 4:g}", "middle")
        for tick in range(5)
        for x in [left + width * tick / 4]
    ]
    for run, label in enumerate(runs):
        parts.append(_legend(left, at + 28 + 16 * run, run, label))
    return _svg(title, left + width + 20, at + 28 + 16 * len(runs), [*ticks, *parts])


def curves(title: str, x_label: str, y_label: str, series: Sequence[Series], *, diagonal: bool = False) -> str:
    """Lines in the unit square, with a legend below."""
    parts = [f'<rect x="{_LEFT}" y="10" width="{_SIZE}" height="{_SIZE}" class="frame"/>']
    for tick in range(5):
        x, y = _point(tick / 4, tick / 4)
        parts.append(_text(x, _SIZE + 26, f"{tick / 4:g}", "middle") + _text(_LEFT - 6, y + 4, f"{tick / 4:g}", "end"))
    if diagonal:
        parts.append(_line(*_point(0, 0), *_point(1, 1), 'class="grid"'))
    for run, each in enumerate(series):
        colour = COLOURS[run % len(COLOURS)]
        kept = range(0, len(each.x), max(1, len(each.x) // _MOST_POINTS))
        points = [_point(_clip(each.x[i]), _clip(each.y[i])) for i in kept]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts += [_dot(x, y, 2 + 4 * weight**0.5, colour) for (x, y), weight in zip(points, each.weights, strict=False)]
        parts.append(_legend(_LEFT, _SIZE + 62 + 16 * run, run, each.label))
    parts.append(_text(_LEFT + _SIZE / 2, _SIZE + 44, x_label, "middle"))
    parts.append(
        f'<text transform="translate(12 {10 + _SIZE / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return _svg(title, _LEFT + _SIZE + 16, _SIZE + _BOTTOM + 24 + 16 * len(series), parts)


def _point(x: float, y: float) -> tuple[float, float]:
    return _LEFT + _SIZE * x, 10 + _SIZE * (1 - y)


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


def _legend(x: float, y: float, run: int, label: str) -> str:
    return _dot(x + 6, y, 4, COLOURS[run % len(COLOURS)]) + _text(x + 16, y + 4, label, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>'


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
