"""The store of one index version: documents, chunks, segments and the keyword index, in one SQLite file.

Row numbers of chunks and segments count from 0 without gaps: row i of a table is vector i of its FAISS index.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.preparing import Prepared
from rag.records import Anchor, AnchorKind, Chunk, Document, Source, Span

_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL,
    text TEXT NOT NULL, source TEXT NOT NULL, anchors TEXT NOT NULL,
    first_chunk INTEGER NOT NULL, end_chunk INTEGER NOT NULL
) STRICT;
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL, first_segment INTEGER NOT NULL, end_segment INTEGER NOT NULL
) STRICT;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, chunk INTEGER NOT NULL REFERENCES chunks, "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL, terms TEXT NOT NULL
) STRICT;
CREATE VIRTUAL TABLE keywords USING fts5 (
    terms, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '.,'''"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (keywords, 'row');
"""


class StoreWriter:
    """Writes a new store. Use as a context manager: the file is complete once the block has ended without an error."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA} BEGIN;")
        self.documents = 0
        self.chunks = 0
        self.segments = 0

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._db.execute("INSERT INTO keywords (keywords) VALUES ('optimize')")
            self._db.execute("COMMIT")
        self._db.close()

    def add(self, prepared: Prepared) -> None:
        """Append a document with its chunks and segments."""
        document, chunks = prepared.document, prepared.chunks
        self._db.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.documents,
                document.id,
                document.path,
                document.sha256,
                document.text,
                json.dumps(asdict(document.source), ensure_ascii=False),
                json.dumps([[a.start, a.kind, a.label] for a in document.anchors], ensure_ascii=False),
                self.chunks,
                self.chunks + len(chunks),
            ),
        )
        title = " ".join(prepared.title_terms)
        for span, inside, terms in zip(chunks, prepared.segments, prepared.terms, strict=True):
            self._db.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)",
                (self.chunks, self.documents, *span, self.segments, self.segments + len(inside)),
            )
            self._db.execute(
                "INSERT INTO keywords (rowid, terms) VALUES (?, ?)", (self.chunks, " ".join((title, *terms)))
            )
            self._db.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
                [
                    (self.segments + i, self.chunks, *segment, stems)
                    for i, (segment, stems) in enumerate(zip(inside, terms, strict=True))
                ],
            )
            self.segments += len(inside)
            self.chunks += 1
        self.documents += 1


class Store:
    """Reads a store that nobody changes any more. Safe for use by several threads."""

    def __init__(self, path: Path) -> None:
        """Open `path` read-only. Raises sqlite3.Error where it is no store."""
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        self.document = lru_cache(maxsize=256)(self._document)
        """A document by number, from 0."""
        self.document_frequency = lru_cache(maxsize=65536)(self._document_frequency)
        """Number of chunks that hold a stem."""

    def close(self) -> None:
        self._db.close()

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[int, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def count(self, table: str) -> int:
        """Rows of "documents", "chunks" or "segments"."""
        if table not in ("documents", "chunks", "segments"):
            raise ValueError(f"no table {table!r}")
        return self._rows(f"SELECT count(*) FROM {table}")[0][0]

    def documents(self) -> Iterator[Document]:
        """All documents, in order of their paths."""
        for number in range(self.count("documents")):
            yield self.document(number)

    def document_number(self, document_id: str) -> int | None:
        """The number of a document, None where it is not in the index."""
        rows = self._rows("SELECT number FROM documents WHERE id = ?", (document_id,))
        return rows[0][0] if rows else None

    def _document(self, number: int) -> Document:
        with self._lock:
            row = self._db.execute(
                "SELECT id, path, sha256, text, source, anchors FROM documents WHERE number = ?", (number,)
            ).fetchone()
        if row is None:
            raise KeyError(number)
        fields: dict[str, Any] = json.loads(row[4])
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        source = Source(**values)
        anchors = tuple(Anchor(start, AnchorKind(kind), label) for start, kind, label in json.loads(row[5]))
        return Document(row[0], row[1], row[2], row[3], source, anchors)

    def chunk_range(self, document_number: int) -> range:
        """Numbers of a document's chunks."""
        ((first, end),) = self._rows(
            "SELECT first_chunk, end_chunk FROM documents WHERE number = ?", (document_number,)
        )
        return range(first, end)

    def chunk(self, number: int) -> tuple[int, Span, range]:
        """A chunk's document number, its span, and the numbers of its segments."""
        ((document, start, end, first, last),) = self._rows(
            'SELECT document, "start", "end", first_segment, end_segment FROM chunks WHERE number = ?', (number,)
        )
        return document, Span(start, end), range(first, last)

    def chunks(self) -> Iterator[Chunk]:
        """All chunks in order of their numbers."""
        for document, start, end in self._rows('SELECT document, "start", "end" FROM chunks ORDER BY number'):
            yield Chunk(self.document(document).id, start, end)

    def segments(self, numbers: range) -> list[tuple[Span, str]]:
        """Spans and terms (stems separated by spaces) of consecutive segments."""
        with self._lock:
            rows = self._db.execute(
                'SELECT "start", "end", terms FROM segments WHERE number >= ? AND number < ? ORDER BY number',
                (numbers.start, numbers.stop),
            ).fetchall()
        return [(Span(start, end), terms) for start, end, terms in rows]

    def chunks_of_segments(self, numbers: Iterable[int]) -> list[int]:
        """The chunk number of each segment, in the order given."""
        wanted = list(numbers)
        marks = ",".join("?" * len(wanted))
        rows = self._rows(f"SELECT number, chunk FROM segments WHERE number IN ({marks})", wanted)
        found = {row[0]: row[1] for row in rows}
        return [found[number] for number in wanted]

    def search(
        self, stems: Sequence[str], limit: int, within: Sequence[range] | None = None
    ) -> list[tuple[int, float]]:
        """BM25 (k1 = 1.2, b = 0.75; SQLite FTS5) over the chunks: chunk number and score, best first.

        A chunk needs one of the stems. `within` limits the search to ranges of chunk numbers.
        """
        quoted = [f'"{stem.replace(chr(34), "")}"' for stem in stems if stem.strip('"')]
        if not quoted:
            return []
        inside, bounds = "", []
        if within is not None:
            inside = "AND (" + (" OR ".join("rowid >= ? AND rowid < ?" for _ in within) or "0") + ")"
            bounds = [bound for r in within for bound in (r.start, r.stop)]
        with self._lock:
            rows = self._db.execute(
                f"SELECT rowid, -bm25(keywords) AS score FROM keywords WHERE keywords MATCH ? {inside} "
                "ORDER BY score DESC, rowid LIMIT ?",
                (" OR ".join(quoted), *bounds, limit),
            ).fetchall()
        return [(int(number), float(score)) for number, score in rows]

    def _document_frequency(self, stem: str) -> int:
        rows = self._rows("SELECT doc FROM vocabulary WHERE term = ?", (stem,))
        return rows[0][0] if rows else 0
