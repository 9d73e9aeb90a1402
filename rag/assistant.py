"""The assistant: one open index and one encoder, asked by everyone who uses them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from rag.adapting import reader_for
from rag.answering import cite, compose
from rag.confidence import Model, measure
from rag.conversation import understand
from rag.encoding import Encoder
from rag.errors import QuestionError, UserError
from rag.exporting import open_encoder
from rag.freshness import Freshness
from rag.index import Index
from rag.quoting import rules_for, select_quotes
from rag.reading import A_SEARCH, Extent, Reader, extent_for, reread
from rag.records import Answer, Document, Listed, Passage
from rag.retrieval import Retrieved, retrieve
from rag.scoring import RANKING, Query
from rag.segmenting import first_words, word_count
from rag.settings import Settings
from rag.spelling import corrected
from rag.terms import Analyzer
from rag.versions import IndexFolder, Manifest

_PASSAGE_CHARACTERS = 1200
_CHARACTERS_A_WORD = 2.5
"""Of a passage, for each word that a search may show in all: what is said on a subject stands together."""
_LEAST, _LEAST_OF_SEVERAL = 0.7, 0.5
"""Passages that score less than this times the best one are not considered for an answer."""


@dataclass(slots=True)
class _Clock:
    """Milliseconds of each stage."""

    started: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = round((now - self.started) * 1000, 3)
        self.started = now

    def all(self) -> dict[str, float]:
        return {**self.stages, "total": round(sum(self.stages.values()), 3)}


class Assistant:
    """Answers questions from an index. All methods may be called from several threads."""

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        settings: Settings,
        *,
        reader: Reader | None = None,
        index_dir: Path | None = None,
    ) -> None:
        """Without a reader, quotes and confidence rest on retrieval alone.

        Raises IndexUnavailable where the index was not built with this encoder.
        """
        index.manifest.check_encoder(encoder.card)
        self._index = index
        self._encoder = encoder
        self._reader = reader
        self._settings = settings
        self._index_dir = index_dir
        self._freshness = None if index_dir is None else Freshness(index_dir)
        self._analyzer = Analyzer()
        self._model = Model.shipped(reading=reader is not None)
        self._refreshing = threading.Lock()

    @classmethod
    def open(cls, index_dir: Path, settings: Settings, notify: Callable[[str], None] = lambda _: None) -> Assistant:
        """Open the live version of an index. Raises IndexUnavailable or EncoderError, naming the remedy."""
        index = IndexFolder(index_dir).with_live(Index.open)
        encoder = open_encoder(settings.encoder, settings.cache_dir, notify)
        reader = reader_for(encoder, settings)
        return cls(index, encoder, settings, reader=reader, index_dir=index_dir)

    def __enter__(self) -> Assistant:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    @property
    def version(self) -> str:
        """The index version that answers now."""
        return self._index.manifest.version

    @property
    def encoder_id(self) -> str:
        """Name and fingerprint of the encoder."""
        return self._encoder.card.id

    def documents(self) -> tuple[Document, ...]:
        """All documents, in order of their paths."""
        return tuple(self._index.store.documents())

    def catalogue(self) -> tuple[Listed, ...]:
        """What there is to say of each document, in order of their paths; cheap from the second time on."""
        return self._index.store.catalogue

    def document(self, document_id: str) -> Document | None:
        """A document by id; None where the index has none of that id."""
        store = self._index.store
        number = store.document_number(document_id)
        return None if number is None else store.document(number)

    def ask(self, question: str, history: Sequence[str] = (), documents: Sequence[str] | None = None) -> Answer:
        """Answer a question, or say that the documents do not.

        `history` are the earlier questions of the conversation, oldest first, each read as far as a question may
        go; `documents` limits the answer to documents of these ids. Raises QuestionError for a question that is empty
        or too long, and UserError for an id that is not in the index.
        """
        index, clock = self._index, _Clock()
        question = self._checked(question)
        query, retrieved = self._consider(index, question, history, documents, clock)
        quotes = select_quotes(retrieved, self._settings.max_quotes, rules_for(query.several, retrieved))
        clock.lap("quote")
        confidence, signals = self._model.estimate(measure(query, retrieved, self._analyzer))
        abstained = confidence < self._settings.answer_threshold or not quotes
        clock.lap("confidence")
        citations = () if abstained else cite(quotes)
        text = compose(citations)
        clock.lap("compose")
        shown = (
            [passage.document for passage in retrieved.passages] if abstained else [c.quote.document for c in citations]
        )
        stale = {} if self._freshness is None else self._freshness.stale(shown)
        clock.lap("sources")
        return Answer(
            question=question,
            text=text,
            citations=citations,
            abstained=abstained,
            confidence=confidence,
            signals=signals,
            passages=retrieved.passages,
            index_version=index.manifest.version,
            encoder=index.manifest.encoder.id,
            timings_ms=clock.all(),
            stale=stale,
            read_as="" if query.text == question else query.text,
        )

    def consider(self, question: str, history: Sequence[str] = ()) -> tuple[Query, Retrieved]:
        """What an answer is chosen from: the question as it is understood, and what was found and read for it."""
        return self._consider(self._index, self._checked(question), history, None, _Clock())

    def _consider(
        self, index: Index, question: str, history: Sequence[str], documents: Sequence[str] | None, clock: _Clock
    ) -> tuple[Query, Retrieved]:
        query = self._understood(index, question, history)
        extent = extent_for(query.several)
        clock.lap("encode")
        retrieved = retrieve(
            index,
            query,
            self._depth(self._settings.passages, extent),
            characters=_PASSAGE_CHARACTERS,
            least=_LEAST_OF_SEVERAL if query.several else _LEAST,
            within=self._within(index, documents),
        )
        clock.lap("retrieve")
        if self._reader is not None:
            retrieved = reread(
                self._reader, query, retrieved, extent, k=self._settings.passages, least=self._settings.passage_cutoff
            )
            clock.lap("read")
        return query, retrieved

    def _understood(self, index: Index, question: str, history: Sequence[str]) -> Query:
        """The question, spelt as the documents spell it, with what the earlier ones add."""
        spelt = corrected(question, index, self._encoder, self._analyzer)
        earlier = [item[: self._settings.max_question_characters] for item in history]
        return understand(spelt, earlier, self._encoder, self._analyzer)

    def search(self, query: str, k: int | None = None, documents: Sequence[str] | None = None) -> tuple[Passage, ...]:
        """The `k` best passages for a query (by default as many as the settings say), whether they answer it or not.

        Raises UserError for less than 1 passage.
        """
        return self.retrieve(query, k, documents).passages

    def search_within(self, query: str, words: int, documents: Sequence[str] | None = None) -> tuple[Passage, ...]:
        """The best passages for a query, `words` words in all: longer ones than those of `search`, and fewer.

        One that is too long for what is left is cut after the last whole segment that fits; an only one after a word.
        Raises UserError for less than 1 word.
        """
        if words < 1:
            raise UserError(f"A search for {words} words finds nothing. Ask for 1 or more.")
        index, k = self._index, self._settings.passages
        asked = self._understood(index, self._checked(query), ())
        within = self._within(index, documents)
        chunks = index.manifest.chunks if within is None else sum(map(len, within))
        while True:
            found = self._found(index, asked, k, within, characters=round(words * _CHARACTERS_A_WORD))
            # Fewer passages than `k` are not all there is: they grow among the chunks that were found.
            if k >= chunks or sum(word_count(passage.text) for passage in found.passages) >= words:
                break
            k *= 2
        found = self._ranked(asked, found, len(found.passages))
        kept: list[Passage] = []
        for passage, inside in zip(found.passages, found.inside, strict=True):
            ends = [segment.span.end for segment in inside]
            fitting = bisect_right(ends, words, key=partial(_words_until, passage))
            if fitting:
                kept.append(replace(passage, end=ends[fitting - 1]))
                words -= word_count(kept[-1].text)
            elif not kept:  # fewer words are wanted than the first segment has
                kept.append(replace(passage, end=passage.start + first_words(passage.text, words)))
        return tuple(kept)

    def retrieve(self, question: str, k: int | None = None, documents: Sequence[str] | None = None) -> Retrieved:
        """What `search` finds, with the scores of every segment. Raises UserError for less than 1 passage."""
        wanted = self._settings.passages if k is None else k
        if wanted < 1:
            raise UserError(f"A search for {wanted} passages finds nothing. Ask for 1 or more.")
        index = self._index
        query = self._understood(index, self._checked(question), ())
        return self._ranked(query, self._found(index, query, wanted, self._within(index, documents)), wanted)

    def _found(
        self,
        index: Index,
        query: Query,
        wanted: int,
        within: Sequence[range] | None,
        *,
        characters: int = _PASSAGE_CHARACTERS,
    ) -> Retrieved:
        """What a search ranks: passages of about `characters`, more than are wanted where they will be read."""
        depth = self._depth(wanted, A_SEARCH)
        return retrieve(index, query, depth, characters=characters, within=within, weights=RANKING)

    def _ranked(self, query: Query, found: Retrieved, k: int) -> Retrieved:
        """The best `k` of what was found, once it is read."""
        return found if self._reader is None else reread(self._reader, query, found, A_SEARCH, k=k)

    def _depth(self, wanted: int, extent: Extent) -> int:
        """Passages to retrieve, so that reading can choose those that are wanted."""
        return wanted if self._reader is None else max(wanted, extent.passages)

    def suggestions(self, near: Sequence[Document] = ()) -> tuple[str, ...]:
        """Questions that the documents answer, as their sources name them: those of the documents `near` first."""
        sources = [*(document.source for document in near), *(item.source for item in self.catalogue())]
        return tuple(dict.fromkeys(question for source in sources for question in source.questions))

    def refresh(self) -> bool:
        """Go over to a newer version where there is one that opens; True where it did. Answers under way keep theirs.

        Raises IndexUnavailable where the newer version is damaged; the one that was open goes on answering.
        """
        if self._index_dir is None:
            return False
        with self._refreshing:
            newer = IndexFolder(self._index_dir).with_live(self._newer)
            if newer is None:
                return False
            self._index = newer  # the old one is closed once the last answer under way has let go of it
            return True

    def _newer(self, folder: Path) -> Index | None:
        """The version in `folder`, opened; None where it is the one that is open."""
        if folder.name == self.version:
            return None
        Manifest.read(folder).check_encoder(self._encoder.card)  # first, for to open it takes long
        return Index.open(folder)

    def _checked(self, question: str) -> str:
        question = question.strip()
        limit = self._settings.max_question_characters
        if not question:
            raise QuestionError(
                "The question is empty. Write what you want to know, such as: What is the digital Silk Road?"
            )
        if len(question) > limit:
            raise QuestionError(
                f"The question has {len(question):,} characters; {limit:,} are read. Ask in fewer words."
            )
        return question

    def _within(self, index: Index, documents: Sequence[str] | None) -> list[range] | None:
        """The chunk numbers of the documents with these ids."""
        if documents is None:
            return None
        ranges = []
        for document_id in documents:
            number = index.store.document_number(document_id)
            if number is None:
                known = ", ".join(d.id for d in index.store.kept()[:20])
                raise UserError(f"There is no document {document_id!r} in the index. Documents: {known}.")
            ranges.append(index.store.chunk_range(number))
        return ranges


def _words_until(passage: Passage, end: int) -> int:
    """Words of a passage that ends there."""
    return word_count(passage.document.text[passage.start : end])
