"""A grid: every combination of some settings, run on one question set.

The file names the set and the values to cross; the first value of each setting makes the reference cell:

    set = "chroma"
    data = "../benchmarks"          # relative to this file; not for "seeds"
    limit = 200                     # optional
    measures = ["passages.recall"]  # optional; by default the main measures of the set
    [settings]
    chunk_tokens = [128, 64, 256]
    passages = [5, 10]

Each cell is a run file named by its identity, written when the cell is done: a grid that was killed goes on
where it was, and a cell is run again only when something its numbers depend on has changed.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals import benchmarks, comparing, identity, runs, scoring, statistics
from evals.comparing import Paired
from evals.gold import Format
from evals.reading import Row, read_text
from evals.running import Notify, identify, run
from evals.runs import Run
from evals.statistics import Effect
from rag.encoding import Encoder
from rag.errors import UserError
from rag.settings import Settings

_KEYS = ("data", "format", "limit", "measures", "own_documents", "qrels", "set", "settings")


@dataclass(frozen=True, slots=True)
class Grid:
    """What is crossed, on what."""

    set: str
    data: Path | None
    format: Format | None
    qrels: str | None
    limit: int | None
    own_documents: bool
    measures: tuple[str, ...]
    """Empty for the main measures of the set."""
    values: Mapping[str, tuple[object, ...]]
    """Setting to the values it takes; the first is the reference."""

    def cells(self) -> Iterator[dict[str, object]]:
        """Every combination, the reference first."""
        for combination in itertools.product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of settings and its run."""

    values: Mapping[str, object]
    run: Run
    path: Path


@dataclass(frozen=True, slots=True)
class CellChange:
    """One measure of a cell against the reference cell."""

    cell: Cell
    paired: Paired
    effect: Effect
    p_holm: float
    """After Holm's correction over all cells and measures of the grid."""


def read_grid(path: Path) -> Grid:
    """Read a grid file. Raises UserError, naming the valid keys, where it cannot be used."""
    try:
        row = Row(path.name, tomllib.loads(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}.") from error
    unknown = [key for key in row.values if key not in _KEYS]
    if unknown:
        raise UserError(f"{path.name}: unknown key {unknown[0]!r}. Valid keys: {', '.join(_KEYS)}.")
    table = row.row("settings")
    values = {key: tuple(table.items(key)) for key in table.values}
    if not values or not all(values.values()):
        raise UserError(f"{path.name}: give each setting a list of values, such as chunk_tokens = [128, 64].")
    format = row.text("format", "")
    if format and format not in set(Format):
        raise UserError(f"{path.name}: there is no format {format!r}. Formats: {', '.join(Format)}.")
    return Grid(
        set=row.text("set"),
        data=path.parent / row.text("data") if "data" in row.values else None,
        format=Format(format) if format else None,
        qrels=row.text("qrels") if "qrels" in row.values else None,
        limit=row.whole("limit") if "limit" in row.values else None,
        own_documents=row.flag("own_documents", False),
        measures=row.texts("measures", []),
        values=values,
    )


def run_grid(
    grid: Grid, out: Path, cache: Path, open_encoder: Callable[[Settings], Encoder], notify: Notify = lambda _: None
) -> list[Cell]:
    """Run the cells that `out` does not hold yet, and return all of them, the reference first.

    All settings are checked before the first cell runs. Raises UserError.
    """
    combinations = [(values, identity.settings_from(values)) for values in grid.cells()]
    loaded = benchmarks.load(grid.set, grid.data, format=grid.format, qrels=grid.qrels)
    questions = benchmarks.limited(loaded, grid.limit)
    cells: list[Cell] = []
    for number, (values, settings) in enumerate(combinations, start=1):
        encoder = open_encoder(settings)
        asked = identify(questions, settings, encoder, limit=grid.limit, own_documents=grid.own_documents)
        path = out / f"{asked.key}.json"
        label = f"cell {number} of {len(combinations)}, {', '.join(f'{k}={v}' for k, v in values.items())}"

        def tell(line: str, label: str = label) -> None:
            notify(f"{label}: {line}")

        if path.exists():
            tell("done before")
        else:
            runs.save(
                run(
                    questions, settings, encoder, cache, limit=grid.limit, own_documents=grid.own_documents, notify=tell
                ),
                path,
            )
        cells.append(Cell(values, runs.load(path), path))
        chosen_measures(cells[0].run, grid.measures)  # said after the first cell, not after hours
    return cells


def chosen_measures(run: Run, measures: Sequence[str]) -> list[str]:
    """The measures, or the main ones of the run's set. Raises UserError for one that the run does not have."""
    known = comparing.names(run)
    unknown = [measure for measure in measures if measure not in known]
    if unknown:
        raise UserError(f"There is no measure {unknown[0]!r} here. Measures: {', '.join(known)}.")
    return list(measures) or [measure for measure in scoring.MAIN[Format(run.identity.format)] if measure in known]


def against_reference(cells: Sequence[Cell], measures: Sequence[str] = ()) -> list[CellChange]:
    """Every other cell's measures against the first cell's, without the questions kept to test what is chosen.

    Raises UserError for a measure that no cell has.
    """
    reference = cells[0].run
    chosen = chosen_measures(reference, measures)
    found: list[tuple[Cell, Paired, Effect]] = []
    for cell in cells[1:]:
        pairs = [pair for pair in comparing.pair(reference, cell.run) if pair[0].split != "test"]
        for measure in chosen:
            both = comparing.paired(measure, pairs)
            effect = both and both.effect()
            if both and effect:
                found.append((cell, both, effect))
    corrected = statistics.holm([effect.p for _, _, effect in found])
    return [CellChange(*change, p) for change, p in zip(found, corrected, strict=True)]
