"""Vector search: FAISS against the same by brute force."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.encoding import Matrix, Vector
from rag.index import Index
from rag.vectorfile import VectorFileWriter
from rag.vectors import FaissVectors, brute_force


def written(matrix: Matrix, folder: Path) -> FaissVectors:
    with closing(VectorFileWriter(folder / "vectors.faiss", matrix.shape[1])) as writer:
        for block in np.array_split(matrix, 3):
            writer.add(block)
    return FaissVectors.read(folder / "vectors.faiss")


def opened(matrix: Matrix) -> FaissVectors:
    index = faiss.IndexFlatIP(matrix.shape[1])
    index.add(matrix)
    return FaissVectors(index)


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)).map(lambda r: range(r[0], r[0] + r[1])), max_size=4)


@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(0, 100), st.none() | ranges)
def test_equals_brute_force_with_ties(seed: int, count: int, k: int, within: list[range] | None) -> None:
    """Ids and scores are those of brute force, exactly, on vectors of small whole numbers, which tie often."""
    generator = np.random.default_rng(seed)
    matrix = generator.integers(-2, 3, (count, 4)).astype(np.float32)
    query: Vector = generator.integers(-2, 3, 4).astype(np.float32)
    inside = None if within is None else [range(min(r.start, count), min(r.stop, count)) for r in within]
    assert opened(matrix).search(query, k, inside) == brute_force(matrix, query, k, inside)


@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(1, 50))
def test_equals_brute_force_on_unit_vectors(seed: int, count: int, k: int) -> None:
    """On vectors of length 1 the rows are those of brute force and the scores the same to 6 digits."""
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((count, 32)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    hits, expected = opened(matrix).search(matrix[0], k), brute_force(matrix, matrix[0], k)
    assert [row for row, _ in hits] == [row for row, _ in expected]
    np.testing.assert_allclose([score for _, score in hits], [score for _, score in expected], atol=1e-6)
    assert hits[0][0] == 0


def test_brute_force_by_hand() -> None:
    """Products 1, 3, 3, -1: the best two are the tied rows, the lower number first."""
    matrix = np.array([[1, 0], [3, 0], [3, 9], [-1, 0]], dtype=np.float32)
    query: Vector = np.array([1, 0], dtype=np.float32)
    assert brute_force(matrix, query, 2) == [(1, 3.0), (2, 3.0)]
    assert brute_force(matrix, query, 9, [range(3, 4), range(1)]) == [(0, 1.0), (3, -1.0)]
    assert opened(matrix).search(query, 2) == [(1, 3.0), (2, 3.0)]
    assert opened(matrix).search(query, 1) == [(1, 3.0)]


def test_real_vectors_equal_brute_force(hashing_index: Index) -> None:
    """On a built index, whole and within one document, search gives what brute force gives on its rows."""
    vectors = hashing_index.chunk_vectors
    matrix = vectors.rows(range(vectors.count))
    inside = [hashing_index.store.chunk_range(2), hashing_index.store.chunk_range(4)]
    for row in range(0, vectors.count, 7):
        for within in (None, inside):
            hits, expected = vectors.search(matrix[row], 10, within), brute_force(matrix, matrix[row], 10, within)
            np.testing.assert_allclose([s for _, s in hits], [s for _, s in expected], atol=1e-6)
            for (number, score), (other, _) in zip(hits, expected, strict=True):
                assert number == other or abs(score - float(matrix[other] @ matrix[row])) < 1e-6


def test_nothing_wanted_or_nothing_there_gives_nothing() -> None:
    """No rows asked for, no rows allowed, or no rows at all: no hits, no error."""
    vectors = opened(np.eye(3, dtype=np.float32))
    query: Vector = np.ones(3, dtype=np.float32)
    assert vectors.search(query, 0) == vectors.search(query, 5, []) == vectors.search(query, 5, [range(2, 2)]) == []
    assert opened(np.empty((0, 3), dtype=np.float32)).search(query, 5) == []


def test_rows_survive_writing(tmp_path: Path) -> None:
    """What is read back are the rows that were added, in order, by number."""
    matrix = np.random.default_rng(1).standard_normal((10, 5)).astype(np.float32)
    vectors = written(matrix, tmp_path)
    assert (vectors.count, vectors.dimension) == (10, 5)
    np.testing.assert_array_equal(vectors.rows(range(10)), matrix)
    np.testing.assert_array_equal(vectors.rows([7, 2]), matrix[[7, 2]])
    np.testing.assert_allclose(vectors.products(matrix[3], [3, 0]), matrix[[3, 0]] @ matrix[3], rtol=1e-6)


def test_rows_are_a_copy(tmp_path: Path) -> None:
    """Changing what `rows` gave changes nothing in the index."""
    vectors = written(np.eye(3, dtype=np.float32), tmp_path)
    vectors.rows([0])[:] = 9
    assert vectors.rows([0]).max() == 1


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no index, or holds an index of another metric, is no vectors file."""
    (tmp_path / "vectors.faiss").write_bytes(b"no index at all")
    with pytest.raises(RuntimeError):
        FaissVectors.read(tmp_path / "vectors.faiss")
    faiss.write_index(faiss.IndexFlatL2(4), str(tmp_path / "vectors.faiss"))
    with pytest.raises(RuntimeError, match="IndexFlatL2, not IndexFlatIP"):
        FaissVectors.read(tmp_path / "vectors.faiss")


def test_full_disk_is_an_os_error() -> None:
    """Vectors that cannot be written fail as any file does, not as a bug."""
    writer = VectorFileWriter(Path("/dev/full"), 1000)
    with pytest.raises(OSError, match="No space"):
        writer.add(np.eye(1000, dtype=np.float32))
    with suppress(OSError):
        writer.close()
