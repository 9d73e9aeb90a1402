"""Running: a question set asked of the assistant, under given settings."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from evals import identity, scoring, spans
from evals.gold import Format, Question, QuestionSet, Stretch
from evals.runs import DIGITS, Identity, Outcome, Run, Shown
from rag.adapting import reader_for
from rag.assistant import Assistant
from rag.building import build
from rag.cache import EmbeddingCache
from rag.encoding import Encoder, EncoderCard, Matrix, Progress, Vector
from rag.errors import QuestionError, UserError
from rag.index import Index
from rag.records import Passage
from rag.settings import Settings
from rag.versions import IndexFolder

Notify = Callable[[str], None]
"""Told in one line what is going on."""

_REFUSED = "questions the assistant refuses to take (see max_question_characters)"
_PASSAGES_NOTED = 10
"""Of a set that only ranks documents: more would make its file large and say little."""
KEPT_INDEXES = 12
"""Indexes kept in the cache; the ones not used for longest go first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with the questions of a format."""

    asks: bool = False
    """Ask for an answer; else only search."""
    depth: int = 0
    """Documents ranked for each question by a search of its own; 0 for none."""
    word_budget: int | None = None
    """Search until this many words are shown."""
    own_documents: bool = False
    """Ask each question of the documents it was written for only."""

    @property
    def stage(self) -> str:
        """What a search of this plan is called among the timings: it is deeper than the product's own."""
        return f"search for {f'{self.word_budget} words' if self.word_budget else f'{self.depth} documents'}"


PLANS: dict[Format, Plan] = {
    Format.SEEDS: Plan(asks=True),
    Format.BEIR: Plan(depth=100),
    Format.SQUAD: Plan(asks=True, depth=10),
    Format.CHROMA: Plan(asks=True),
    Format.QMSUM: Plan(word_budget=2000, own_documents=True),
    Format.CLAPNQ: Plan(asks=True, depth=10),
}


class SharedEncoder:
    """An encoder whose vectors of documents are kept in one cache for all indexes.

    A question asked and then searched for is encoded once: the timings are those of the asking, which is first.
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self._encoder, self._cache = encoder, cache
        self._query = lru_cache(maxsize=8)(encoder.encode_query)

    @property
    def card(self) -> EncoderCard:
        return self._encoder.card

    def count_tokens(self, text: str) -> int:
        return self._encoder.count_tokens(text)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        return self._cache.encode(texts, self._encoder, progress)

    def encode_query(self, text: str) -> Vector:
        return self._query(text)


def run(
    questions: QuestionSet,
    settings: Settings,
    encoder: Encoder,
    cache: Path,
    *,
    limit: int | None = None,
    own_documents: bool = False,
    notify: Notify = lambda _: None,
) -> Run:
    """Ask every question and score what came. The index is built below `cache`, or taken from there.

    `limit` is only noted: `questions` are all asked. Raises BuildError and whatever the assistant raises.
    """
    plan = PLANS[questions.format]
    if own_documents and not all(question.own for question in questions.questions if question.answerable is not False):
        raise UserError(f"Not all questions of {questions.name} name their documents. Run it without --own-documents.")
    own_documents = own_documents or plan.own_documents
    outcomes: list[Outcome] = []
    rankings: dict[str, tuple[str, ...]] = {}
    left_out = dict(questions.left_out)
    with _opened(questions, settings, encoder, cache, notify) as (index, shared):
        assistant = Assistant(index, shared, settings, reader=reader_for(encoder, settings))
        chunks: dict[str, list[Stretch]] = {}
        for chunk in index.store.chunks():
            chunks.setdefault(chunk.document_id, []).append(Stretch(chunk.document_id, chunk.start, chunk.end))
        texts = {document.id: document.text for document in questions.documents}
        asking = _Asking(assistant, plan, own_documents, questions.names, texts, chunks)
        for number, question in enumerate(questions.questions):
            if number % 25 == 0:
                notify(f"{questions.name}: {number} of {len(questions.questions)} questions")
            try:
                outcome, rankings[question.id] = asking.outcome(question)
            except QuestionError:
                left_out[_REFUSED] = left_out.get(_REFUSED, 0) + 1
                continue
            outcomes.append(outcome)
        notify(f"{questions.name}: {len(outcomes)} questions asked; scoring")
    if plan.depth:
        outcomes = scoring.add_rank_measures(outcomes, questions.questions, rankings, plan.depth)
    return Run(
        identity=identify(questions, settings, encoder, limit=limit, own_documents=own_documents),
        left_out=left_out,
        outcomes=tuple(outcomes),
        aggregates=scoring.aggregate(outcomes),
        latency_ms=scoring.latency(outcomes),
        rankings=rankings,
    )


def identify(
    questions: QuestionSet,
    settings: Settings,
    encoder: Encoder,
    *,
    limit: int | None = None,
    own_documents: bool = False,
) -> Identity:
    """What a run of these questions under these settings would be, without running it."""
    return Identity(
        set=questions.name,
        format=questions.format,
        questions_hash=questions.questions_hash,
        corpus_hash=questions.corpus_hash,
        limit=limit,
        own_documents=own_documents or PLANS[questions.format].own_documents,
        settings=identity.described(settings),
        encoder=encoder.card.id,
        code_hash=identity.code_hash(["evals.running"]),
        versions=identity.versions(),
        commit=identity.commit(),
        cores=identity.cores(),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


@contextlib.contextmanager
def _opened(
    questions: QuestionSet, settings: Settings, encoder: Encoder, cache: Path, notify: Notify
) -> Iterator[tuple[Index, Encoder]]:
    """The index of the set's documents. What it depends on is in its folder's name, so a stale one is never used."""
    depends = [
        questions.corpus_hash,
        encoder.card.id,
        identity.build_settings(settings),
        identity.code_hash(["rag.building"]),
    ]
    indexes = cache / "indexes"
    folder = indexes / hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]
    with contextlib.closing(EmbeddingCache(cache / "embeddings.sqlite")) as embeddings:
        shared = SharedEncoder(encoder, embeddings)
        build(
            questions.documents,
            folder,
            settings,
            shared,
            watch=lambda done, total: notify(f"{questions.name}: {done} of {total} documents indexed"),
        )
        shutil.rmtree(IndexFolder(folder).cache, ignore_errors=True)  # the shared cache has it all
        os.utime(folder)
        for old in sorted(indexes.iterdir(), key=lambda p: -p.stat().st_mtime)[KEPT_INDEXES:]:
            shutil.rmtree(old, ignore_errors=True)
        with contextlib.closing(Index.open(IndexFolder(folder).live())) as index:
            yield index, shared


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks one question at a time."""

    assistant: Assistant
    plan: Plan
    own_documents: bool
    names: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]
    chunks: Mapping[str, Sequence[Stretch]]

    def outcome(self, question: Question) -> tuple[Outcome, tuple[str, ...]]:
        """What a question got, and the items it ranked, best first."""
        within = question.own if self.own_documents and question.own else None
        answer = self.assistant.ask(question.text, question.history, within) if self.plan.asks else None
        started = time.perf_counter()
        found = self._search(question, within) if self.plan.depth or self.plan.word_budget else ()
        taken = (time.perf_counter() - started) * 1000
        passages = [(Stretch(p.document.id, p.start, p.end), p.score) for p in (answer.passages if answer else found)]
        if self.plan.word_budget:
            cut = spans.within_words([stretch for stretch, _ in passages], self.texts, self.plan.word_budget)
            passages = [(stretch, score) for stretch, (_, score) in zip(cut, passages, strict=False)]
        quotes = [
            (Stretch(q.document.id, q.start, q.end), q.score)
            for q in ([c.quote for c in answer.citations] if answer else [])
        ]
        seen = scoring.Seen(
            passages=tuple(stretch for stretch, _ in passages),
            quotes=tuple(stretch for stretch, _ in quotes),
            abstained=answer.abstained if answer else None,
            word_budget=self.plan.word_budget,
        )
        outcome = Outcome(
            id=question.id,
            question=question.text,
            kind=question.kind,
            split=question.split,
            answerable=question.answerable,
            facets=len(question.facets),
            abstained=seen.abstained,
            confidence=round(answer.confidence, DIGITS) if answer else None,
            passages=self._shown(passages if answer or self.plan.word_budget else passages[:_PASSAGES_NOTED]),
            quotes=self._shown(quotes),
            measures=scoring.score(question, seen, self.texts, self.chunks),
            timings_ms={s: round(t, 1) for s, t in (answer.timings_ms if answer else {self.plan.stage: taken}).items()},
        )
        if self.plan.depth:
            return outcome, tuple(dict.fromkeys(n for p in found for n in self.names[p.document.id]))[: self.plan.depth]
        return outcome, tuple(f"{shown.document}:{shown.start}-{shown.end}" for shown in outcome.passages)

    def _search(self, question: Question, within: Sequence[str] | None) -> tuple[Passage, ...]:
        """As many passages as the plan needs, or all there are: several may be of one document, so more are taken."""
        if self.plan.word_budget:
            return self.assistant.search_within(question.text, self.plan.word_budget, within)
        k = 2 * self.plan.depth
        while True:
            found = self.assistant.search(question.text, k, within)
            if len(found) < k or len({passage.document.id for passage in found}) >= self.plan.depth:
                return found
            k *= 2

    def _shown(self, stretches: Sequence[tuple[Stretch, float]]) -> tuple[Shown, ...]:
        return tuple(Shown(self.names[s.document][0], s.start, s.end, round(score, DIGITS)) for s, score in stretches)
