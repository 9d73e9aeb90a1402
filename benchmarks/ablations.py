"""What each part of the assistant gives: the evals without it, against the evals as shipped.

    python benchmarks/ablations.py --data DIR [--only TEXT] [--cache FOLDER]

A part is left out, or one of its constants changed, and the seeds set, Chroma's and 300 questions of SQuAD 2.0 are
asked again. The confidence is not fitted anew; without a reader it is the one fitted so. For each measure the mean, its
difference from what ships with a 95 % interval, and p by paired randomisation with Holm's correction over all parts
and measures that were run; the area under the ROC curve is given its interval alone, for it is tested with too few
randomisations to survive that correction.
Prints a line a measure and writes results/ablations.json.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured

from evals import benchmarks, comparing, identity, scoring, statistics
from evals.gold import QuestionSet
from evals.printing import estimate, p_value
from evals.running import run
from evals.runs import DIGITS, Run
from evals.statistics import Effect
from rag import assistant, reading, retrieval
from rag.conversation import understand
from rag.encoding import Encoder
from rag.exporting import open_encoder
from rag.scoring import Query, Weights
from rag.settings import Settings
from rag.terms import Analyzer

MEASURES = {
    "seeds": ("passages.facet_recall", "quotes.facet_recall", "auroc"),
    "chroma": ("passages.recall", "quotes.recall", "quotes.iou"),
    "squad2": ("quotes.facet_recall", "auroc"),
}
LIMITS = {"squad2": 300}


@dataclass(frozen=True, slots=True)
class Change:
    """The assistant without a part: some settings, and some names of its modules, have another value."""

    name: str
    settings: tuple[tuple[str, object], ...] = ()
    replaced: tuple[tuple[object, str, object], ...] = ()
    """Module, name and value."""

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """The change, until the block ends."""
        with contextlib.ExitStack() as stack:
            for module, name, value in self.replaced:
                stack.enter_context(mock.patch.object(module, name, value))
            yield


def _weights(name: str, **changed: float) -> Change:
    return Change(name, replaced=((retrieval, "Weights", lambda: replace(Weights(), **changed)),))


def _reading(name: str, **changed: Any) -> Change:
    one, several = replace(reading.ONE_THING, **changed), replace(reading.SEVERAL_THINGS, **changed)
    return Change(name, replaced=((reading, "ONE_THING", one), (reading, "SEVERAL_THINGS", several)))


def _alone(question: str, _: object, encoder: Encoder, analyzer: Analyzer) -> Query:
    """In the place of `understand`: the question without those before it."""
    return understand(question, (), encoder, analyzer)


CHANGES = (
    Change("no reader, and the confidence fitted without it", settings=(("reader", False),)),
    _reading("six windows read for every question", windows=6, least=0.6),
    _reading("three windows read for every question", windows=3),
    _reading("five passages retrieved to be read", passages=5),
    _reading("twelve passages retrieved to be read", passages=12),
    Change("reading counts in full where it is not sure", replaced=((reading, "_WEIGHT_UNSURE", 1.0),)),
    _weights("vectors alone", keyword=0.0, coverage=0.0),
    _weights("words count in full", reliance=0.0),
    _weights("no segments in the score of a chunk", segment=0.0),
    _weights("no cosine of the segment's own", own_cosine=0.0),
    _weights("no words of the segment's own", coverage=0.0),
    _weights("replies score for themselves", reply=0.0, focus=0.0),
    _weights("nothing carried to later segments", carry=0.0),
    _weights("nothing from neighbours", neighbours=0.0),
    Change("passages of 600 characters", replaced=((assistant, "_PASSAGE_CHARACTERS", 600),)),
    Change("passages of 2,400 characters", replaced=((assistant, "_PASSAGE_CHARACTERS", 2400),)),
    Change("chunks of 128 tokens", settings=(("chunk_tokens", 128),)),
    Change("questions read as they are spelt", replaced=((assistant, "corrected", lambda question, *_: question),)),
    Change("follow-ups asked alone", replaced=((assistant, "understand", _alone),)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything, print, save. Returns the exit code."""
    parser = argparse.ArgumentParser(description="What each part of the assistant gives.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds chroma and squad2")
    parser.add_argument("--cache", type=Path, help="where built indexes are kept between runs")
    parser.add_argument("--only", metavar="TEXT", default="", help="changes whose names hold this; nothing is saved")
    given = parser.parse_args(arguments)
    changes = [change for change in CHANGES if given.only in change.name]
    if not changes:
        parser.error(f"no change has {given.only!r} in its name. Changes: {'; '.join(c.name for c in CHANGES)}.")
    shipped = identity.settings_from({})
    encoder = open_encoder(shipped.encoder, shipped.cache_dir, print)
    sets = [_loaded(name, given.data) for name in MEASURES]
    cache = given.cache or shipped.cache_dir / "evals"

    def asked(settings: Settings) -> dict[str, Run]:
        return {questions.name: run(questions, settings, encoder, cache) for questions in sets}

    reference = asked(shipped)
    rows = []
    for change in changes:
        with change.made():
            runs = asked(identity.settings_from(dict(change.settings)))
        rows += list(_compared(change.name, reference, runs))
        print(f"{change.name}: asked", file=sys.stderr, flush=True)
    corrected = iter(statistics.holm([row.effect.p for row in rows if row.tested]))
    results = [row.figures(next(corrected) if row.tested else None) for row in rows]
    for row, figures in zip(rows, results, strict=True):
        p = "" if figures["p_holm"] is None else f"p {p_value(row.effect.p)}, Holm {p_value(figures['p_holm'])}"
        print(f"{row.change:48}{row.set:8}{row.measure:24}{row.value:6.3f}  {estimate(row.effect.difference):26}{p}")
    if not given.only:
        as_shipped = {
            set: {m: round(done.aggregates["all"][m].value, DIGITS) for m in MEASURES[set]}
            for set, done in reference.items()
        }
        settings = {"limits": LIMITS, "encoder": encoder.card.id}
        measured.write("ablations", {"as shipped": as_shipped, "changed": results}, settings)
    return 0


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of one change."""

    change: str
    set: str
    measure: str
    value: float
    effect: Effect

    @property
    def tested(self) -> bool:
        return self.measure not in scoring.CURVES

    def figures(self, p_holm: float | None) -> dict[str, Any]:
        """As they are saved."""
        difference = self.effect.difference
        ends = {"low": difference.low, "high": difference.high}
        return {
            "change": self.change,
            "set": self.set,
            "measure": self.measure,
            "value": round(self.value, DIGITS),
            "difference": round(difference.value, DIGITS),
            **{end: None if value is None else round(value, DIGITS) for end, value in ends.items()},
            "p_holm": None if p_holm is None else round(p_holm, DIGITS),
        }


def _loaded(name: str, data: Path) -> QuestionSet:
    return benchmarks.limited(benchmarks.load(name, None if name == "seeds" else data), LIMITS.get(name))


def _compared(change: str, reference: Mapping[str, Run], runs: Mapping[str, Run]) -> Iterator[Row]:
    """A row a measure of each set."""
    for set, measures in MEASURES.items():
        pairs = comparing.pair(reference[set], runs[set])
        for measure in measures:
            both = comparing.paired(measure, pairs)
            assert both is not None  # the sets have these measures
            effect = both.effect()
            assert effect is not None
            yield Row(change, set, measure, both.value(both.b) or 0.0, effect)


if __name__ == "__main__":
    raise SystemExit(main())
