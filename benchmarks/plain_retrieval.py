"""What plain retrieval finds of the seeds set's gold: the scale for the figures of `python -m evals run seeds`.

    python benchmarks/plain_retrieval.py

The same chunks, the same encoder, five chunks a question: by cosine, by BM25, and by reciprocal ranks of both. Prints
`passages.Success@5` and `passages.facet_recall` as the evals count them, beside those of the committed baseline.
Writes results/plain_retrieval.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured
import numpy as np

from evals import benchmarks
from evals.gold import ROOT, Stretch
from evals.scoring import Seen, score
from rag.building import build
from rag.conversation import understand
from rag.exporting import open_encoder
from rag.index import Index
from rag.settings import load_settings
from rag.terms import Analyzer
from rag.versions import IndexFolder

MEASURES = ("passages.Success@5", "passages.facet_recall")
_SHOWN = 5
_DEPTH = 50
_RRF_K = 60
"""Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet", SIGIR 2009."""


def main() -> None:
    """Print a line a way."""
    settings, analyzer = load_settings().settings, Analyzer()
    encoder = open_encoder(settings.encoder, settings.cache_dir, print)
    questions = benchmarks.load("seeds", None)
    texts = {document.id: document.text for document in questions.documents}
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        build(questions.documents, Path(folder), settings, encoder)
        index = Index.open(IndexFolder(Path(folder)).live())
        for question in questions.questions:
            if not question.facets:
                continue
            query = understand(question.text, question.history, encoder, analyzer)
            dense = [chunk for chunk, _ in index.chunk_vectors.search(query.vector, _DEPTH, None)]
            keyword = [chunk for chunk, _ in index.store.search(query.stems, _DEPTH, None)]
            ways = {"cosine": dense, "BM25": keyword, "reciprocal ranks of both": _fused(dense, keyword)}
            for way, chunks in ways.items():
                shown = tuple(_stretch(index, chunk) for chunk in chunks[:_SHOWN])
                found.setdefault(way, []).append(score(question, Seen(shown), texts, {}))
        index.close()
    baseline = json.loads((ROOT / "evals" / "results" / "baseline.json").read_text(encoding="utf-8"))
    print(f"{'five of':<28}" + "".join(f"{measure:>24}" for measure in MEASURES))
    figures = {
        way: {m: round(float(np.mean([s[m] for s in scores])), 3) for m in MEASURES} for way, scores in found.items()
    }
    for way, means in figures.items():
        print(f"{way:<28}" + "".join(f"{value:>24.3f}" for value in means.values()))
    aggregates = baseline["aggregates"]["all"]
    print(f"{'this assistant (baseline)':<28}" + "".join(f"{aggregates[m]['value']:>24.3f}" for m in MEASURES))
    measured.write("plain_retrieval", figures, {"shown": _SHOWN, "depth": _DEPTH})


def _fused(*rankings: Sequence[int]) -> list[int]:
    total: dict[int, float] = {}
    for ranking in rankings:
        for rank, chunk in enumerate(ranking, start=1):
            total[chunk] = total.get(chunk, 0.0) + 1 / (_RRF_K + rank)
    return sorted(total, key=lambda chunk: (-total[chunk], chunk))


def _stretch(index: Index, chunk: int) -> Stretch:
    number, span, _ = index.store.chunk(chunk)
    return Stretch(index.store.document(number).id, span.start, span.end)


if __name__ == "__main__":
    main()
