"""Which way of putting dense and keyword scores together ranks better: prints nDCG@10 and R@100 for each.

    python benchmarks/fusion.py SET --data DIR --index FOLDER

SET is any BEIR folder below DIR, by its path there. The index is built in `--index` and used again where it is
there already. Scores are of chunks; a document's is its best chunk's. Writes results/fusion.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured
import numpy as np
from numpy.typing import NDArray

from evals import benchmarks
from evals.gold import Question
from evals.measures import rank_measures, score_rankings
from rag.building import build
from rag.conversation import understand
from rag.encoding import Encoder
from rag.exporting import open_encoder
from rag.index import Index
from rag.settings import load_settings
from rag.terms import Analyzer
from rag.versions import IndexFolder

Scores = NDArray[np.float64]
_RRF_K = 60
"""Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet", SIGIR 2009."""
_DEPTH = 1000


def averaged(dense: Scores, segment: Scores, keyword: Scores) -> Scores:
    """0.6 x the mean of the two cosines + 0.4 x BM25, each divided by the best of the question."""
    return 0.3 * _by_best(dense) + 0.3 * _by_best(segment) + 0.4 * _by_best(keyword)


def reciprocal_ranks(*lists: Scores) -> Scores:
    """Sum over the lists of 1 / (60 + rank)."""
    total = np.zeros(len(lists[0]))
    for scores in lists:
        ranks = np.empty(len(scores))
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        total += 1 / (_RRF_K + ranks)
    return total


WAYS: dict[str, Callable[[Scores, Scores, Scores], Scores]] = {
    "chunks, dense": lambda d, s, k: d,  # noqa: ARG005
    "segments, dense": lambda d, s, k: s,  # noqa: ARG005
    "keyword": lambda d, s, k: k,  # noqa: ARG005
    "average of chunks and keyword": lambda d, s, k: 0.6 * _by_best(d) + 0.4 * _by_best(k),  # noqa: ARG005
    "average of all three (shipped)": averaged,
    "reciprocal ranks of chunks and keyword": lambda d, s, k: reciprocal_ranks(d, k),  # noqa: ARG005
    "reciprocal ranks of all three": reciprocal_ranks,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or open the index, rank, print. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Compare ways of fusing dense and keyword scores.")
    parser.add_argument("set")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True, help="folder to build the set's index in")
    given = parser.parse_args(arguments)
    settings = replace(load_settings().settings, keep_versions=1)
    questions = benchmarks.load(given.set, given.data)
    encoder = open_encoder(settings.encoder, settings.cache_dir, lambda line: print(line, file=sys.stderr))
    build(questions.documents, given.index, settings, encoder)
    index = Index.open(IndexFolder(given.index).live())
    lists = [_lists(index, encoder, question) for question in questions.questions]
    names = [questions.names[document.id][0] for document in index.store.documents()]
    owners = np.array([index.store.chunk(chunk)[0] for chunk in range(index.manifest.chunks)])
    figures: dict[str, dict[str, float]] = {}
    for name, fuse in WAYS.items():
        ranked = {}
        for question, (dense, segment, keyword) in zip(questions.questions, lists, strict=True):
            by_document = np.full(len(names), -np.inf)
            np.maximum.at(by_document, owners, fuse(dense, segment, keyword))
            best = np.argsort(-by_document, kind="stable")[:100]
            ranked[question.id] = [names[i] for i in best]
        values = score_rankings(rank_measures(100), {q.id: q.relevant for q in questions.questions}, ranked).values()
        figures[name] = {m: round(float(np.mean([v[m] for v in values])), 4) for m in ("nDCG@10", "R@100")}
        print(f"{name:42} " + "  ".join(f"{measure} {value:.4f}" for measure, value in figures[name].items()))
    measured.write("fusion", figures, {"set": given.set, "questions": len(questions.questions)})
    return 0


def _lists(index: Index, encoder: Encoder, question: Question) -> tuple[Scores, Scores, Scores]:
    """Dense score of each chunk, of its best segment, and BM25 (0 where the chunk holds no stem)."""
    query = understand(question.text, (), encoder, Analyzer())
    chunks = index.manifest.chunks
    dense = index.chunk_vectors.products(query.vector, range(chunks)).astype(np.float64)
    cosines = index.segment_vectors.products(query.vector, range(index.manifest.segments))
    segment = np.array(
        [cosines[inside.start : inside.stop].max() for *_, inside in map(index.store.chunk, range(chunks))]
    )
    keyword = np.zeros(chunks)
    for number, score in index.store.search(query.stems, _DEPTH):
        keyword[number] = score
    return dense, segment.astype(np.float64), keyword


def _by_best(scores: Scores) -> Scores:
    best = float(scores.max(initial=0.0))
    result: Scores = np.clip(scores, 0.0, None) / best if best > 0 else np.zeros_like(scores)
    return result


if __name__ == "__main__":
    raise SystemExit(main())
