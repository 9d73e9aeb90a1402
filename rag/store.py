"""The store of one index version: documents, chunks, segments and the keyword index, in one SQLite file.

Row numbers of chunks and segments count from 0 without gaps: row i of a table is vector i of its FAISS index.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cached_property, lru_cache, partial
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rag.records import Anchor, Chunk, Document, Listed, Source, Span

if TYPE_CHECKING:
    from rag.preparing import Prepared  # only writing needs what it imports: half the cold start of a question

_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL,
    text TEXT NOT NULL, source TEXT NOT NULL, anchors TEXT NOT NULL,
    first_chunk INTEGER NOT NULL, end_chunk INTEGER NOT NULL, characters INTEGER NOT NULL,
    title_terms TEXT NOT NULL, load_key TEXT NOT NULL, content_key TEXT NOT NULL, loading TEXT NOT NULL
) STRICT;
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL, first_segment INTEGER NOT NULL, end_segment INTEGER NOT NULL,
    keyword INTEGER NOT NULL UNIQUE
) STRICT;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, chunk INTEGER NOT NULL REFERENCES chunks, "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL, terms TEXT NOT NULL
) STRICT;
CREATE INDEX segments_of ON segments (chunk);
"""
_KEYWORDS = """
CREATE VIRTUAL TABLE keywords USING fts5 (
    terms, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '.,'''"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (keywords, 'row');
"""
_KEYWORD_TABLES = ("keywords_config", "keywords_data", "keywords_docsize", "keywords_idx")
"""In which FTS5 keeps an index without content: with all their rows it is the same index."""
_LOOKUP = 512
"""Rows named in one query: SQLite takes only so many values."""

_FAULTS = {
    "document {0} is out of order": (
        "SELECT number FROM (SELECT number, row_number() OVER (ORDER BY number) - 1 AS place FROM documents) "
        "WHERE number <> place"
    ),
    "chunk {0} is out of order": (
        "SELECT number FROM (SELECT number, row_number() OVER (ORDER BY number) - 1 AS place FROM chunks) "
        "WHERE number <> place"
    ),
    "segment {0} is out of order": (
        "SELECT number FROM (SELECT number, row_number() OVER (ORDER BY number) - 1 AS place FROM segments) "
        "WHERE number <> place"
    ),
    "chunk {0} has no text": (
        "SELECT c.number FROM chunks c LEFT JOIN documents d ON d.number = c.document WHERE d.number IS NULL OR NOT "
        '(0 <= c."start" AND c."start" < c."end" AND c."end" <= d.characters) '
        "OR c.number < d.first_chunk OR c.number >= d.end_chunk"
    ),
    "segment {0} lies outside its chunk": (
        "SELECT s.number FROM segments s LEFT JOIN chunks c ON c.number = s.chunk WHERE c.number IS NULL OR NOT "
        '(c."start" <= s."start" AND s."start" < s."end" AND s."end" <= c."end") '
        "OR s.number < c.first_segment OR s.number >= c.end_segment"
    ),
    "document {0} counts chunks that are not its own": (
        "SELECT d.number FROM documents d "
        "LEFT JOIN (SELECT document, count(*) AS chunks FROM chunks GROUP BY document) c "
        "ON c.document = d.number WHERE d.end_chunk - d.first_chunk <> coalesce(c.chunks, 0)"
    ),
    "chunk {0} counts segments that are not its own": (
        "SELECT c.number FROM chunks c LEFT JOIN (SELECT chunk, count(*) AS segments FROM segments GROUP BY chunk) s "
        "ON s.chunk = c.number WHERE c.end_segment - c.first_segment <> coalesce(s.segments, 0)"
    ),
}
"""What must not be found, and the question that would find it. Set by set: row by row takes many times as long."""


class Kept(NamedTuple):
    """What is known of a document of a store without reading it."""

    number: int
    path: str
    id: str
    load_key: str
    content_key: str
    loading: str


class StoreWriter:
    """Writes a new store. Use as a context manager: the file is complete once the block has ended without an error.

    With a `base`, an earlier store, documents can be copied from it with all that was prepared of them, and the
    keyword index starts from the base's: what is not copied is taken out of it at the end, and no byte of it stays.
    """

    def __init__(self, path: Path, base: Path | None = None) -> None:
        self._based = base is not None
        self._db = sqlite3.connect(path, isolation_level=None, uri=True)  # so that the base can be attached read-only
        self._db.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;{_SCHEMA} {_KEYWORDS}"
        )
        self._next_keyword = 0
        if base is not None:
            self._db.execute("ATTACH ? AS base", (f"{base.resolve().as_uri()}?mode=ro&immutable=1",))
            for part in _KEYWORD_TABLES:
                self._db.execute(f"INSERT OR REPLACE INTO main.{part} SELECT * FROM base.{part}")
            ((self._next_keyword,),) = self._db.execute("SELECT coalesce(max(keyword) + 1, 0) FROM base.chunks")
        self._db.execute("BEGIN")
        self.documents = 0
        self.chunks = 0
        self.segments = 0
        self.characters = 0

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                if self._based:
                    self._forget_keywords()
                # Also drops the words of what was taken out, which FTS5 keeps until its parts are merged.
                self._db.execute("INSERT INTO keywords (keywords) VALUES ('optimize')")
                self._db.execute("COMMIT")
        finally:
            self._db.close()

    def add(self, prepared: Prepared, *, load_key: str = "", content_key: str = "", loading: str = "{}") -> None:
        """Append a document with its chunks and segments.

        `load_key` tells what file and settings it was loaded from, `content_key` what it is, `loading` (JSON) what
        there was to say of its file; see docs/index-format.md.
        """
        document, chunks = prepared.document, prepared.chunks
        title = " ".join(prepared.title_terms)
        self._db.execute(
            f"INSERT INTO documents VALUES ({','.join('?' * 14)})",
            (
                self.documents,
                document.id,
                document.path,
                document.sha256,
                document.text,
                json.dumps(asdict(document.source), ensure_ascii=False),
                json.dumps([anchor.row() for anchor in document.anchors], ensure_ascii=False),
                self.chunks,
                self.chunks + len(chunks),
                len(document.text),
                title,
                load_key,
                content_key,
                loading,
            ),
        )
        for span, inside, terms in zip(chunks, prepared.segments, prepared.terms, strict=True):
            self._db.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.chunks, self.documents, *span, self.segments, self.segments + len(inside), self._next_keyword),
            )
            self._db.execute(
                "INSERT INTO keywords (rowid, terms) VALUES (?, ?)", (self._next_keyword, " ".join((title, *terms)))
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
            self._next_keyword += 1
        self.documents += 1
        self.characters += len(document.text)

    def copy(self, documents: range, path: str | None = None) -> tuple[range, range]:
        """Append documents of the base by their numbers there; a single one may get another path.

        Returns their chunks and their segments, by their numbers in the base.
        """
        first, stop = documents.start, documents.stop
        ((chunk, end_chunk, characters),) = self._db.execute(
            "SELECT min(first_chunk), max(end_chunk), sum(characters) FROM base.documents "
            "WHERE number >= ? AND number < ?",
            (first, stop),
        )
        ((segment, end_segment),) = self._db.execute(
            "SELECT coalesce(min(first_segment), 0), coalesce(max(end_segment), 0) FROM base.chunks "
            "WHERE number >= ? AND number < ?",
            (chunk, end_chunk),
        )
        by_document, by_chunk, by_segment = self.documents - first, self.chunks - chunk, self.segments - segment
        self._db.execute(
            "INSERT INTO documents SELECT number + ?, id, coalesce(?, path), sha256, text, source, anchors, "
            "first_chunk + ?, end_chunk + ?, characters, title_terms, load_key, content_key, loading "
            "FROM base.documents WHERE number >= ? AND number < ? ORDER BY number",
            (by_document, path, by_chunk, by_chunk, first, stop),
        )
        self._db.execute(
            'INSERT INTO chunks SELECT number + ?, document + ?, "start", "end", first_segment + ?, end_segment + ?, '
            "keyword FROM base.chunks WHERE number >= ? AND number < ? ORDER BY number",
            (by_chunk, by_document, by_segment, by_segment, chunk, end_chunk),
        )
        self._db.execute(
            'INSERT INTO segments SELECT number + ?, chunk + ?, "start", "end", terms '
            "FROM base.segments WHERE number >= ? AND number < ? ORDER BY number",
            (by_segment, by_chunk, segment, end_segment),
        )
        self.documents += stop - first
        self.chunks += end_chunk - chunk
        self.segments += end_segment - segment
        self.characters += characters
        return range(chunk, end_chunk), range(segment, end_segment)

    def _forget_keywords(self) -> None:
        """Take out of the keyword index the chunks of the base that were not copied, by what stood in it for them."""
        gone = self._db.execute(
            "SELECT c.number, c.keyword, d.title_terms "
            "FROM base.chunks c JOIN base.documents d ON d.number = c.document "
            "WHERE c.keyword NOT IN (SELECT keyword FROM main.chunks)"
        ).fetchall()
        for chunk, keyword, title in gone:
            terms = self._db.execute("SELECT terms FROM base.segments WHERE chunk = ? ORDER BY number", (chunk,))
            self._db.execute(
                "INSERT INTO keywords (keywords, rowid, terms) VALUES ('delete', ?, ?)",
                (keyword, " ".join((title, *(stems for (stems,) in terms)))),
            )


class Store:
    """Reads a store that nobody changes any more. Safe for use by several threads. Closed once nobody holds it."""

    def __init__(self, path: Path) -> None:
        """Open `path` read-only. Raises sqlite3.Error where it cannot be opened; where it is no store, a query does."""
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._lock = threading.Lock()
        self._kept: tuple[Kept, ...] | None = None
        # Caches of functions, not of methods: those would hold the store, and so keep it until a full collection.
        self.document = lru_cache(maxsize=256)(partial(_document, self._db, self._lock))
        """A document by number, from 0."""
        self.document_frequency = lru_cache(maxsize=65536)(partial(_document_frequency, self._db, self._lock))
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

    def kept(self) -> tuple[Kept, ...]:
        """What a later build must know to copy documents, in order of their numbers."""
        with self._lock:
            if self._kept is None:
                rows = self._db.execute(
                    "SELECT number, path, id, load_key, content_key, loading FROM documents ORDER BY number"
                )
                self._kept = tuple(map(Kept._make, rows))
            return self._kept

    def characters(self, number: int) -> int:
        """Length of a document's text, as its spans are checked against."""
        return self._rows("SELECT characters FROM documents WHERE number = ?", (number,))[0][0]

    def keyword_fault(self) -> str:
        """What is wrong with the keyword index, in words; empty where it holds the terms of every chunk, and no other.

        The stored terms are indexed anew, in temporary storage, and the two indexes compared word by word.
        """
        with self._lock, closing(sqlite3.connect("", isolation_level=None)) as anew:
            anew.executescript(f"{_KEYWORDS} BEGIN")
            rows = self._db.execute(
                "SELECT c.keyword, d.title_terms, s.terms FROM chunks c JOIN documents d ON d.number = c.document "
                "LEFT JOIN segments s ON s.chunk = c.number ORDER BY c.number, s.number"
            )
            for (keyword, title), segments in groupby(rows, lambda row: row[:2]):
                terms = " ".join((title, *(stems for _, _, stems in segments if stems)))
                anew.execute("INSERT INTO keywords (rowid, terms) VALUES (?, ?)", (keyword, terms))
            for db in (self._db, anew):
                db.execute(
                    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab (main, keywords, 'instance')"
                )
            found, wanted = (db.execute("SELECT term, doc, offset FROM places") for db in (self._db, anew))
            wrong = next((a or b for a, b in zip_longest(found, wanted) if a != b), None)
        return "" if wrong is None else f"the keyword index counts {wrong[0]!r} in chunks that are not its own"

    def fault(self) -> str:
        """What is wrong with the numbers and spans, in words; empty where nothing is."""
        for wrong, query in _FAULTS.items():
            with self._lock:
                row = self._db.execute(query).fetchone()
            if row is not None:
                return wrong.format(*row)
        return ""

    def documents(self) -> Iterator[Document]:
        """All documents, in order of their paths."""
        for number in range(self.count("documents")):
            yield self.document(number)

    @cached_property
    def catalogue(self) -> tuple[Listed, ...]:
        """An entry for each document, in order of their paths. Every text is read, but the first time only."""
        return tuple(Listed.of(_document(self._db, self._lock, number)) for number in range(self.count("documents")))

    def document_number(self, document_id: str) -> int | None:
        """The number of a document, None where it is not in the index."""
        rows = self._rows("SELECT number FROM documents WHERE id = ?", (document_id,))
        return rows[0][0] if rows else None

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
        found: dict[int, int] = {}
        for at in range(0, len(wanted), _LOOKUP):
            some = wanted[at : at + _LOOKUP]
            marks = ",".join("?" * len(some))
            rows = self._rows(f"SELECT number, chunk FROM segments WHERE number IN ({marks})", some)
            found.update((number, chunk) for number, chunk in rows)
        return [found[number] for number in wanted]

    def search(
        self, stems: Sequence[str], limit: int, within: Sequence[range] | None = None
    ) -> list[tuple[int, float]]:
        """BM25 (k1 = 1.2, b = 0.75; SQLite FTS5) over the chunks: chunk number and score, best first.

        A chunk needs one of the stems. `within` limits the search to ranges of chunk numbers.
        """
        quoted = [f'"{plain}"' for stem in stems if (plain := _plain(stem))]
        if not quoted:
            return []
        inside, chosen = "", list[bytes]()
        if within is not None:
            marked = bytearray(max((r.stop for r in within), default=0))  # a byte a chunk: any number of ranges will do
            for r in within:
                marked[r.start : r.stop] = b"x" * len(r)
            inside, chosen = "AND substr(?, number + 1, 1) = x'78'", [bytes(marked)]
        with self._lock:
            rows = self._db.execute(
                "SELECT number, -bm25(keywords) AS score FROM keywords JOIN chunks ON keyword = keywords.rowid "
                f"WHERE keywords MATCH ? {inside} ORDER BY score DESC, number LIMIT ?",
                (" OR ".join(quoted), *chosen, limit),
            ).fetchall()
        return [(int(number), float(score)) for number, score in rows]

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """All stems of the keyword index."""
        with self._lock:
            return tuple(stem for (stem,) in self._db.execute("SELECT term FROM vocabulary"))


def _document(db: sqlite3.Connection, lock: threading.Lock, number: int) -> Document:
    with lock:
        row = db.execute(
            "SELECT id, path, sha256, text, source, anchors FROM documents WHERE number = ?", (number,)
        ).fetchone()
    if row is None:
        raise KeyError(number)
    source = Source.from_fields(json.loads(row[4]))
    return Document(row[0], row[1], row[2], row[3], source, tuple(map(Anchor.from_row, json.loads(row[5]))))


def _document_frequency(db: sqlite3.Connection, lock: threading.Lock, stem: str) -> int:
    with lock:
        row = db.execute("SELECT doc FROM vocabulary WHERE term = ?", (_plain(stem),)).fetchone()
    return row[0] if row else 0


def _plain(stem: str) -> str:
    """The stem without what SQLite cannot take or FTS5 would read as syntax: quotes, NUL, lone surrogates."""
    return stem.replace('"', "").replace("\0", "").encode("utf-8", "ignore").decode()
