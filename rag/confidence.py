"""Confidence: is this question answered here?

A logistic regression over a few features that do not depend on the corpus's size. Its coefficients are
fitted by `python -m evals.fitting` and kept, with what they were fitted on, in confidence.json.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from rag.records import Signal
from rag.retrieval import Retrieved
from rag.scoring import Query, ScoredSegment
from rag.terms import STOP_WORDS, Analyzer, Term

_NUMBER = re.compile(r"\d")
_MONTHS = frozenset(
    """
    january february march april may june july august september october november december
    """.split()
)


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted logistic regression: log-odds = intercept + sum of weight x (value - mean)."""

    intercept: float
    weights: dict[str, float]
    means: dict[str, float]
    """Of each feature over the data it was fitted on, so that a contribution compares with an average question."""

    @classmethod
    def shipped(cls, *, reading: bool) -> Model:
        """The coefficients that come with this package: for answers whose passages were read, or for others."""
        fits = json.loads(resources.files("rag").joinpath("confidence.json").read_text(encoding="utf-8"))
        raw = fits["reading" if reading else "retrieval"]
        return cls(raw["intercept"], raw["weights"], raw["means"])

    def estimate(self, features: dict[str, float]) -> tuple[float, tuple[Signal, ...]]:
        """Probability in [0, 1] that the question is answered, and what each feature adds, the most telling first."""
        signals = [
            Signal(name, features[name], weight * (features[name] - self.means[name]))
            for name, weight in self.weights.items()
        ]
        log_odds = self.intercept + sum(signal.contribution for signal in signals)
        probability = 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
        return probability, tuple(sorted(signals, key=lambda signal: -abs(signal.contribution)))


def measure(query: Query, retrieved: Retrieved, analyzer: Analyzer) -> dict[str, float]:
    """The features of a question and what was found for it, each about in [0, 1].

    best_segment, best_passage   highest cosine with a segment and with a chunk
    said_and_meant               best product of a segment's cosine and the share of the question's term weight
                                 that it and its neighbours hold
    covered_by_passage           highest share of the question's term weight in one passage
    rarest_missing               rarity of the rarest term that this passage lacks, against the question's rarest
    names_missing                share of the names and numbers asked for that this passage lacks
    numbers_missing              share of the numbers asked for that every passage lacks
    kind_found                   1 where the kind of thing asked for (number, date, name) is near, 0 not, 0.5 unasked

    And where the passages were read, likelihoods that are the reader's, as log-odds within 7 either way but the mean:

    best_answering               that the passage answers which does so most likely
    first_answering              that the first passage answers
    mean_answering               that a passage answers, over all of them; 0 for one that was not read
    best_read                    that the answer stands in the segment where it does so most likely
    """
    if not retrieved.passages:
        return dict.fromkeys((*FEATURES, *READING_FEATURES), 0.0)
    weight = {stem: w * retrieved.idf[stem] for stem, w in zip(query.stems, query.stem_weights, strict=True)}
    total = sum(weight.values()) or 1.0

    def share(stems: frozenset[str]) -> float:
        return sum(w for stem, w in weight.items() if stem in stems) / total

    held = [_stems(inside) for inside in retrieved.inside]
    covered = [share(stems) for stems in held]
    best = max(range(len(held)), key=lambda i: (covered[i], -i))
    rarest = max(retrieved.idf.values(), default=1.0) or 1.0
    asked = _names_and_numbers(query.text, analyzer)
    names = {term.stem for term in asked}
    numbers = {term.stem for term in asked if _NUMBER.search(term.word)}
    read = {}
    if retrieved.answering:
        read = {
            "best_answering": _log_odds(max(retrieved.answering)),
            "first_answering": _log_odds(retrieved.answering[0]),
            "mean_answering": sum(retrieved.answering) / len(retrieved.answering),
            "best_read": _log_odds(max(segment.read for inside in retrieved.inside for segment in inside)),
        }
    return {
        **read,
        "best_segment": max(passage.scores.segment for passage in retrieved.passages),
        "best_passage": max(passage.scores.dense for passage in retrieved.passages),
        "said_and_meant": max(
            segment.cosine * share(_stems(inside[max(0, i - 1) : i + 2]))
            for inside in retrieved.inside
            for i, segment in enumerate(inside)
        ),
        "covered_by_passage": covered[best],
        "rarest_missing": max((retrieved.idf[stem] / rarest for stem in weight if stem not in held[best]), default=0.0),
        "names_missing": len(names - held[best]) / len(names) if names else 0.0,
        "numbers_missing": len(numbers - frozenset().union(*held)) / len(numbers) if numbers else 0.0,
        "kind_found": _kind_found(query.text, [passage.text for passage in retrieved.passages[:2]]),
    }


def _stems(segments: Sequence[ScoredSegment]) -> frozenset[str]:
    """All stems of the segments."""
    return frozenset().union(*(segment.stems for segment in segments))


FEATURES = (
    "best_segment",
    "best_passage",
    "said_and_meant",
    "covered_by_passage",
    "rarest_missing",
    "names_missing",
    "numbers_missing",
    "kind_found",
)


READING_FEATURES = ("best_answering", "first_answering", "mean_answering", "best_read")
"""Features of what the reader makes of the passages."""


def _log_odds(probability: float) -> float:
    """Within 7 either way: the reader is never surer than a thousand to one."""
    return max(-7.0, min(7.0, math.log(max(probability, 1e-12) / max(1 - probability, 1e-12))))


def _names_and_numbers(question: str, analyzer: Analyzer) -> list[Term]:
    """Words of a question written with a capital, but for its first, and numbers."""
    found = []
    for i, term in enumerate(analyzer.terms(question)):
        written = question[term.start : term.end]
        if term.word not in STOP_WORDS and (_NUMBER.search(written) or (i > 0 and written[:1].isupper())):
            found.append(term)
    return found


def _kind_found(question: str, texts: Sequence[str]) -> float:
    """1 where what the question word asks for stands in a text, 0 where it does not,
    0.5 where it asks for no number, date or name."""
    asked = question.lower()
    text = " ".join(texts)
    if re.search(
        r"\bhow (many|much|long|far|old|large|big|high|fast)\b|\bpercent|\bwhat (share|proportion|number|amount)\b",
        asked,
    ):
        return float(bool(_NUMBER.search(text)))
    if re.search(r"\bwhen\b|\b(what|which) (year|date|month|day)\b", asked):
        return float(bool(re.search(r"\b(1[5-9]|20)\d\d\b", text) or _MONTHS & set(text.lower().split())))
    if re.search(r"\bwho(se|m)?\b", asked):
        return float(bool(re.search(r"\b[A-Z]\w+ [A-Z]\w+", text)))
    return 0.5
