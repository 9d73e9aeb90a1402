"""Files of vectors, written and copied in blocks: the memory a build takes does not grow with the corpus.

The format is FAISS's own for an IndexFlatIP: a header of 45 bytes, then the rows as little-endian float32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rag.encoding import Matrix

_HEADER = struct.Struct("<4siqqqBiQ")
"""Kind, dimension, rows, two fields of no meaning, whether it is trained, metric (0: inner product), values."""
_KIND = b"IxFI"
_UNUSED = 1 << 20
_BLOCK_BYTES = 2**21
"""Read and written together."""


class VectorFileWriter:
    """Writes rows to a new file as they come; the file is whole once `close` has returned."""

    def __init__(self, path: Path, dimension: int) -> None:
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115  closed by `close`
        self._dimension = dimension
        self.rows = 0
        self._file.write(self._header())

    def add(self, rows: Matrix) -> None:
        """Append rows; the first ever added is row 0."""
        if len(rows) and rows.shape[1] != self._dimension:
            raise ValueError(f"rows of {rows.shape[1]} numbers for a file of rows of {self._dimension}")
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self.rows += len(rows)

    def copy(self, source: VectorFile, rows: range) -> None:
        """Append consecutive rows of another file of rows of the same length."""
        for block in source.blocks(rows):
            self.add(block)

    def close(self) -> None:
        """Write the header as it is now, and let go of the file."""
        try:
            self._file.seek(0)
            self._file.write(self._header())
        finally:
            self._file.close()

    def _header(self) -> bytes:
        return _HEADER.pack(_KIND, self._dimension, self.rows, _UNUSED, _UNUSED, 1, 0, self.rows * self._dimension)


class VectorFile:
    """Reads rows of a file, as many at a time as are asked for. Raises ValueError for a file of another format."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as stream:
            head = stream.read(_HEADER.size)
            size = stream.seek(0, 2)
        if len(head) < _HEADER.size:
            raise ValueError(f"{path.name} is too short to hold vectors")
        kind, dimension, rows, _, _, _, metric, values = _HEADER.unpack(head)
        if kind != _KIND or metric != 0 or values != rows * dimension or size != _HEADER.size + 4 * values:
            raise ValueError(f"{path.name} is no file of vectors")
        self.path = path
        self.rows: int = rows
        self.dimension: int = dimension

    def read(self, rows: range) -> Matrix:
        """Consecutive rows, read and not mapped: pages of a mapped file would count as memory of the process."""
        offset = _HEADER.size + 4 * self.dimension * rows.start
        values: Matrix = np.fromfile(self.path, dtype="<f4", count=len(rows) * self.dimension, offset=offset)
        return values.reshape(len(rows), self.dimension)

    def blocks(self, rows: range | None = None) -> Iterator[Matrix]:
        """Consecutive rows, or all, in blocks."""
        rows = range(self.rows) if rows is None else rows
        size = max(1, _BLOCK_BYTES // (4 * self.dimension))
        for at in range(rows.start, rows.stop, size):
            yield self.read(range(at, min(at + size, rows.stop)))
