"""Feedback: one JSON line a vote, with all that is needed to ask the question again and to compare."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rag.chat.conversation import Conversation, Turn
from rag.exporting import public_name
from rag.settings import Settings

FILE_NAME = "feedback.jsonl"
MAX_NOTE_CHARACTERS = 500
MAX_FILE_BYTES = 64 * 1024 * 1024
"""A visitor cannot fill the disk: beyond this nothing is written any more."""
_PRIVATE = ("cache_dir",)
"""Settings that say more of the machine than of the answer. Of an encoder in a folder only the name is written."""


class FeedbackFile:
    """A file of votes that only its owner can read. A later line of the same id and question replaces one."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        shown = replace(settings, encoder=public_name(settings.encoder))
        self._settings = {k: v for k, v in asdict(shown).items() if k not in _PRIVATE}
        self._lock = threading.Lock()

    def write(self, conversation: Conversation, position: int, turn: Turn, vote: bool | None, note: str) -> None:
        """Append a vote on a turn; None takes the vote back. Raises OSError where the file cannot be written."""
        earlier = replace(conversation, turns=conversation.turns[:position])
        record = {
            "id": f"{conversation.id}:{turn.ordinal}",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "vote": {True: "up", False: "down", None: None}[vote],
            "note": note.strip()[:MAX_NOTE_CHARACTERS],
            "question": turn.question,
            "history": earlier.earlier_questions(),
            "documents": list(turn.documents),
            **_answer(turn),
            "settings": self._settings,
        }
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.fstat(descriptor).st_size + len(line) > MAX_FILE_BYTES:
                    raise OSError(f"{self._path} is full")
                os.write(descriptor, line)
            finally:
                os.close(descriptor)


def _answer(turn: Turn) -> Mapping[str, object]:
    """What was said. Scores are null for an answer that a browser brought back from an earlier visit."""
    answer = turn.answer
    return {
        "answer": turn.text,
        "abstained": turn.abstained,
        "citations": [
            {
                "document": c.quote.document.id,
                "path": c.quote.document.path,
                "start": c.quote.start,
                "end": c.quote.end,
                "quote": c.quote.text,
                "location": c.location,
                "score": c.quote.score if answer else None,
            }
            for c in turn.citations
        ],
        "confidence": answer.confidence if answer else None,
        "signals": [asdict(signal) for signal in answer.signals] if answer else None,
        "passages": [
            {
                "document": p.document.id,
                "start": p.start,
                "end": p.end,
                "rank": p.rank,
                "score": p.score,
                **asdict(p.scores),
            }
            for p in answer.passages
        ]
        if answer
        else None,
        "timings_ms": answer.timings_ms if answer else None,
        "index_version": answer.index_version if answer else None,
        "encoder": answer.encoder if answer else None,
    }
