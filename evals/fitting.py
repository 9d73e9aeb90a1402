"""Fit the confidence: `python -m evals.fitting --data DIR [SET …]` writes rag/confidence.json.

A logistic regression over the features of `rag.confidence`, on question sets that say whether they are
answered; of a set that is divided, on the questions to tune on. Each set weighs the same, whatever its size.
What is printed and kept in the file was measured by cross-validation: five folds, and with each set left out
in turn, which is what a new corpus may expect.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from evals import benchmarks
from evals.identity import settings_from
from rag.assistant import Assistant
from rag.building import build
from rag.confidence import FEATURES, READING_FEATURES, measure
from rag.errors import UserError
from rag.exporting import open_encoder
from rag.settings import Settings
from rag.terms import Analyzer

TARGET = Path(__file__).resolve().parent.parent / "rag" / "confidence.json"
WAYS = {"retrieval": FEATURES, "reading": (*FEATURES, *READING_FEATURES)}
"""Without the reader and with it: what an answer's confidence then rests on."""
_STRENGTH = 0.1
"""Inverse of the ridge penalty; 1.0 gave the same areas within 0.01."""
_SEED = 0

Values = NDArray[np.float64]


def gather(name: str, data: Path | None, limit: int, settings: Settings) -> tuple[dict[str, Values], NDArray[np.bool_]]:
    """For each way of answering (a key of WAYS) its features, one row a question, and whether each is answered."""
    questions = benchmarks.limited(benchmarks.load(name, data), limit)
    labelled = [q for q in questions.questions if q.answerable is not None and q.split != "test"]
    encoder = open_encoder(settings.encoder, settings.cache_dir)
    analyzer = Analyzer()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        build(questions.documents, Path(folder), settings, encoder)
        for way, features in WAYS.items():
            with Assistant.open(Path(folder), replace(settings, reader=way == "reading")) as assistant:
                seen = [measure(*assistant.consider(q.text, q.history), analyzer) for q in labelled]
            found[way] = np.array([[values[feature] for feature in features] for values in seen])
    return found, np.array([bool(question.answerable) for question in labelled])


def fit(x: Values, y: NDArray[np.bool_], weights: Values) -> tuple[LogisticRegression, Values, Values]:
    """The regression over standardised features, their means and their standard deviations."""
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    model = LogisticRegression(C=_STRENGTH, max_iter=2000).fit((x - mean) / deviation, y, sample_weight=weights)
    return model, mean, deviation


def main(arguments: Sequence[str] | None = None) -> int:
    """Gather, cross-validate, fit, write. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.fitting", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("sets", nargs="*", default=["seeds", "squad2", "clapnq"])
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark sets")
    parser.add_argument("--limit", type=int, default=1500, help="questions of a set, at most")
    given = parser.parse_args(arguments)
    settings = settings_from({})
    gathered, ys, owners = [], [], []
    for number, name in enumerate(given.sets):
        try:
            found, y = gather(name, None if name == "seeds" else given.data, given.limit, settings)
        except UserError as error:
            parser.error(str(error))
        print(f"{name}: {len(y)} questions, {int(y.sum())} answered", file=sys.stderr)
        gathered.append(found)
        ys.append(y)
        owners.append(np.full(len(y), number))
    y, owner = np.concatenate(ys), np.concatenate(owners)
    weights = (1 / np.bincount(owner))[owner] * len(owner) / len(given.sets)
    described: dict[str, object] = {
        "fitted": datetime.date.today().isoformat(),
        "command": f"python -m evals.fitting --data DIR --limit {given.limit} {' '.join(given.sets)}",
        "questions": {name: int((owner == number).sum()) for number, name in enumerate(given.sets)},
    }
    measured = {}
    for way, features in WAYS.items():
        x = np.concatenate([found[way] for found in gathered])
        measured[way] = cross_validate(x, y, owner, weights, given.sets)
        model, mean, deviation = fit(x, y, weights)
        described[way] = {
            "auroc": measured[way],
            "intercept": round(float(model.intercept_[0]), 4),
            "weights": {n: round(float(w), 4) for n, w in zip(features, model.coef_[0] / deviation, strict=True)},
            "means": {n: round(float(m), 4) for n, m in zip(features, mean, strict=True)},
        }
    TARGET.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))
    return 0


def cross_validate(
    x: Values, y: NDArray[np.bool_], owner: NDArray[np.int64], weights: Values, sets: Sequence[str]
) -> dict[str, dict[str, float]]:
    """AUROC of each set: by five folds over all sets, and fitted on the other sets alone."""
    folded = np.zeros(len(y))
    folds = StratifiedKFold(5, shuffle=True, random_state=_SEED)
    for train, held in folds.split(x, owner * 2 + y):
        folded[held] = _predict(x, y, weights, train, held)
    result = {}
    for number, name in enumerate(sets):
        mine, others = np.flatnonzero(owner == number), np.flatnonzero(owner != number)
        result[name] = {"five_folds": round(float(roc_auc_score(y[mine], folded[mine])), 3)}
        if len(sets) > 1:
            alone = _predict(x, y, weights, others, mine)
            result[name]["fitted_on_others"] = round(float(roc_auc_score(y[mine], alone)), 3)
    return result


def _predict(
    x: Values, y: NDArray[np.bool_], weights: Values, train: NDArray[np.int64], held: NDArray[np.int64]
) -> Values:
    model, mean, deviation = fit(x[train], y[train], weights[train])
    probabilities: Values = model.predict_proba((x[held] - mean) / deviation)[:, 1]
    return probabilities


if __name__ == "__main__":
    raise SystemExit(main())
