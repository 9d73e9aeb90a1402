"""The same functions for programs: named endpoints for gradio_client, and tools for MCP clients.

Gradio gives an MCP client the Python repr of anything but text, so each returns JSON text. The docstrings are what an
MCP client shows to a language model.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import gradio as gr

from rag.chat.asking import WORKERS, client_address
from rag.chat.backend import Backend
from rag.chat.limits import Limiter, Slots
from rag.chat.places import find_document
from rag.chat.texts import Texts
from rag.errors import UserError
from rag.location import location
from rag.serializing import answer_json, document_json, passage_json

MAX_RESULTS = 20
MAX_HISTORY = 20
MAX_SOURCE_CHARACTERS = 20_000
"""Of a document in one call; the offset reads on."""
Endpoint = Callable[..., Coroutine[Any, Any, str]]


def endpoints(backend: Backend, limiter: Limiter, slots: Slots, texts: Texts) -> tuple[Endpoint, ...]:
    """The functions ask, search, documents and source over a backend. Gradio names them after themselves.

    Calls count with the questions of the page: `limiter` bounds those of an address, `slots` those of all.
    """
    workers = ThreadPoolExecutor(WORKERS, "endpoint")

    async def guarded(request: gr.Request, work: Callable[[], object]) -> str:
        """What the work gives, as JSON. Arguments are read in it: Gradio passes on whatever a client sends."""
        if not limiter.allow(client_address(request)):
            raise gr.Error(texts.too_fast, print_exception=False)
        if not slots.take():
            raise gr.Error(texts.busy, print_exception=False)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(workers, lambda: json.dumps(work(), ensure_ascii=False))
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        finally:
            slots.give_back()

    async def ask(
        request: gr.Request, question: str, history: list[str] | None = None, document_ids: list[str] | None = None
    ) -> str:
        """Answer a question from the documents with exact, numbered quotes, as JSON; says so where they do not answer.

        Args:
            question: The question, in plain words.
            history: The earlier questions of the same conversation, oldest first.
            document_ids: Only ask the documents with these ids.
        """

        def work() -> object:
            earlier = _texts("history", history)[-MAX_HISTORY:]
            within = _texts("document_ids", document_ids) or None
            return answer_json(backend.ask(_text("question", question), earlier, within))

        return await guarded(request, work)

    async def search(request: gr.Request, query: str, results: int = 5, document_ids: list[str] | None = None) -> str:
        """Search the documents and give the passages nearest to the query, word for word, as JSON.

        Args:
            query: What to look for, in plain words.
            results: How many passages to give, from 1 to 20.
            document_ids: Only search the documents with these ids.
        """

        def work() -> object:
            wanted = max(1, min(_whole("results", results), MAX_RESULTS))
            within = _texts("document_ids", document_ids) or None
            return [passage_json(p) for p in backend.search(_text("query", query), wanted, within)]

        return await guarded(request, work)

    async def documents(request: gr.Request) -> str:
        """List the documents that can be asked, with their ids and what is known of them, as JSON."""
        return await guarded(
            request,
            lambda: [
                {
                    **document_json(d),
                    "characters": d.characters,
                    **{k: v for k, v in asdict(d.source).items() if v and k != "title"},
                }
                for d in backend.catalogue()
            ],
        )

    async def source(request: gr.Request, document_id: str, start: int = 0, end: int | None = None) -> str:
        """Read a document's text, or a stretch of it, word for word, as JSON with the place of the stretch.

        Args:
            document_id: The id of the document, as the other tools give it.
            start: Character to begin at, counted from 0.
            end: Character to stop before; at most 20000 characters are given at once.
        """
        return await guarded(request, lambda: _stretch(backend, document_id, start, end))

    return ask, search, documents, source


def _stretch(backend: Backend, document_id: object, start: object, end: object) -> dict[str, object]:
    document = find_document(backend, document_id)
    if document is None:
        raise UserError(f"There is no document {str(document_id)[:40]!r}. The endpoint `documents` lists the ids.")
    size = len(document.text)
    begin = max(0, min(_whole("start", start), size))
    stop = min(size, begin + MAX_SOURCE_CHARACTERS, size if end is None else max(begin, _whole("end", end)))
    return {
        "document": document_json(document),
        "start": begin,
        "end": stop,
        "text": document.text[begin:stop],
        "location": location(document, begin, stop) if begin < stop else "",
        "characters": size,
    }


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    return value


def _texts(name: str, value: object) -> list[str]:
    """A list of texts; null, as clients send for what they leave out, is an empty one."""
    texts = [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
        raise _wrong(name, "a list of texts", value)
    return texts


def _whole(name: str, value: object) -> int:
    """A whole number, also as clients write it that know no other than floating-point ones."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number", value)
    return value


def _wrong(name: str, wanted: str, value: object) -> UserError:
    return UserError(f"The argument {name!r} must be {wanted}, not {json.dumps(value)[:40]}.")
