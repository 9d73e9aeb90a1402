"""Vector search: FAISS for serving, and the same by brute force as the oracle that tests hold it against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.encoding import Matrix, Vector

Hits = list[tuple[int, float]]
"""Row numbers and inner products, best first; equal products by row number."""


class FaissVectors:
    """Exact inner-product search over rows numbered from 0."""

    def __init__(self, index: faiss.IndexFlatIP) -> None:
        self._index = index
        self._rows: Matrix = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)

    @classmethod
    def read(cls, path: Path) -> FaissVectors:
        """Read an index file. Raises RuntimeError where it is none, or holds another kind of index."""
        index = faiss.read_index(str(path))
        if not isinstance(index, faiss.IndexFlatIP):
            raise RuntimeError(f"{path.name} holds {type(index).__name__}, not IndexFlatIP")
        return cls(index)

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a row."""
        return int(self._index.d)

    def search(self, query: Vector, k: int, within: Sequence[range] | None = None) -> Hits:
        """The `k` rows with the highest inner product; `within` limits the search to ranges of rows."""
        if within is None:
            parameters, reachable = None, self.count
        else:
            chosen = _chosen(within)
            parameters, reachable = faiss.SearchParameters(sel=faiss.IDSelectorBatch(chosen)), len(chosen)  # type: ignore[call-arg]  # set by its C++ base
        k = min(k, reachable)
        if k < 1:
            return []
        depth = min(k + 1, reachable)
        while True:
            products, rows = self._index.search(query[None, :], depth, params=parameters)
            hits = _ordered(rows[0], products[0])
            # FAISS keeps any of the rows that tie for the last place: look further until all of them are there
            if depth == reachable or len(hits) < depth or hits[k - 1][1] > hits[-1][1]:
                return hits[:k]
            depth = min(2 * depth, reachable)

    def products(self, query: Vector, rows: Sequence[int]) -> Vector:
        """Inner products with the named rows, in the order given."""
        result: Vector = self._rows[np.asarray(rows, dtype=np.int64)] @ query
        return result

    def rows(self, rows: Sequence[int]) -> Matrix:
        """A copy of the named rows."""
        result: Matrix = self._rows[np.asarray(rows, dtype=np.int64)]
        return result


def brute_force(matrix: Matrix, query: Vector, k: int, within: Sequence[range] | None = None) -> Hits:
    """What `FaissVectors.search` must return, computed with nothing but numpy."""
    rows = np.arange(len(matrix)) if within is None else _chosen(within)
    return _ordered(rows, matrix[rows] @ query)[: max(0, k)]


def _chosen(within: Sequence[range]) -> NDArray[np.int64]:
    """The rows in the ranges, each once, in order."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(np.arange(r.start, r.stop) for r in within)])).astype(
        np.int64
    )


def _ordered(rows: np.ndarray, products: np.ndarray) -> Hits:
    pairs = [(int(row), float(product)) for row, product in zip(rows, products, strict=True) if row >= 0]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
