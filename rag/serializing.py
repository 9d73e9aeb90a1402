"""The JSON that programs read and write. Its keys are stable; see "For programs" in the README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rag.errors import QuestionError
from rag.records import Answer, Document, Listed, Passage
from rag.settings import Effective
from rag.versions import Manifest

Json = dict[str, object]


def answer_json(answer: Answer) -> Json:
    """One answer. Offsets are characters of the document's text as loaded, from 0, end exclusive."""
    return {
        "question": answer.question,
        "read_as": answer.read_as,
        "answer": answer.text,
        "abstained": answer.abstained,
        "confidence": round(answer.confidence, 4),
        "citations": [
            {
                "number": citation.number,
                "quote": citation.quote.text,
                "document": document_json(citation.quote.document),
                "start": citation.quote.start,
                "end": citation.quote.end,
                "location": citation.location,
                "score": round(citation.quote.score, 4),
            }
            for citation in answer.citations
        ],
        "passages": [passage_json(passage) for passage in answer.passages],
        "index": {"version": answer.index_version, "encoder": answer.encoder},
        "timings_ms": answer.timings_ms,
        "stale": {document: str(state) for document, state in answer.stale.items()},
    }


def passage_json(passage: Passage) -> Json:
    """One passage."""
    return {
        "rank": passage.rank,
        "score": round(passage.score, 4),
        "document": document_json(passage.document),
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
    }


def document_json(document: Document | Listed) -> Json:
    """What names a document."""
    return {"id": document.id, "title": document.title, "path": document.path, "sha256": document.sha256}


def info_json(effective: Effective, index_dir: Path, manifest: Manifest | None) -> Json:
    """Settings with their origins, and the live index, None where there is none."""
    values = asdict(effective.settings)
    settings: Json = {
        name: {"value": str(value) if isinstance(value, Path) else value, "from": effective.origins[name]}
        for name, value in values.items()
    }
    live: Json | None = None
    if manifest is not None:
        described: Mapping[str, object] = asdict(manifest)
        live = {key: value for key, value in described.items() if key != "files"}
    return {"index_dir": str(index_dir), "index": live, "settings": settings}


def read_batch(line: str) -> tuple[str, list[str]]:
    """Question and history of one line of a batch. Raises QuestionError, naming the shape that is read."""
    shape = 'write {"question": "…", "history": ["earlier question", …]}, history may be left out'
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"This is no JSON object ({error}); {shape}.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("question"), str):
        raise QuestionError(f'There is no text under "question"; {shape}.')
    history = raw.get("history", [])
    if not isinstance(history, list) or not all(isinstance(item, str) for item in history):
        raise QuestionError(f'"history" is no list of texts; {shape}.')
    return raw["question"], history
