"""Vector search: FAISS for serving, and the same by brute force as the oracle that tests hold it against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

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
            products, rows = self._index.search(query[None, :], min(k, self.count))
        else:
            chosen = np.concatenate(
                [np.arange(r.start, r.stop, dtype=np.int64) for r in within] or [np.empty(0, np.int64)]
            )
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(chosen))  # type: ignore[call-arg]  # set by its C++ base
            products, rows = self._index.search(query[None, :], min(k, len(chosen)), params=parameters)
        return _ordered(rows[0], products[0])

    def products(self, query: Vector, rows: Sequence[int]) -> Vector:
        """Inner products with the named rows, in the order given."""
        result: Vector = self._rows[np.asarray(rows, dtype=np.int64)] @ query
        return result

    def rows(self, rows: Sequence[int]) -> Matrix:
        """A copy of the named rows."""
        result: Matrix = self._rows[np.asarray(rows, dtype=np.int64)]
        return result


class VectorsWriter:
    """Collects rows in blocks and writes them as a FAISS index."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexFlatIP(dimension)

    def add(self, rows: Matrix) -> None:
        """Append rows; the first ever added is row 0."""
        if len(rows):
            self._index.add(np.ascontiguousarray(rows, dtype=np.float32))

    def write(self, path: Path) -> None:
        faiss.write_index(self._index, str(path))


def brute_force(matrix: Matrix, query: Vector, k: int, within: Sequence[range] | None = None) -> Hits:
    """What `FaissVectors.search` must return, computed with nothing but numpy."""
    rows = (
        np.arange(len(matrix))
        if within is None
        else np.concatenate([np.arange(r.start, r.stop) for r in within] or [np.empty(0, int)])
    )
    return _ordered(rows, matrix[rows.astype(np.int64)] @ query)[:k]


def _ordered(rows: np.ndarray, products: np.ndarray) -> Hits:
    pairs = [(int(row), float(product)) for row, product in zip(rows, products, strict=True) if row >= 0]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
