"""Many people asking at once: does everyone get an answer, the right one, and how soon?

python benchmarks/chat_load.py --index index --people 50 --seconds 120

Each person asks one question after another through the page's own event, and
begins a new chat before the next, as a browser would.
Every answer is compared with the one that the index gives to the same question outside the server. Bounded in
people, questions and time; talks to a server that it starts itself on this computer. Prints one JSON line and writes
results/chat_load.json.

The crowd is on the same cores as the server. "processor_ms_per_answer" says what one answer takes of a core on either
side; other work on the machine changes it little. "load" is the load average before it began: the waiting times
are those of a machine that is busy with so many other programs.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import re
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import measured
from chat_first_paint import served

from rag.assistant import Assistant
from rag.chat.places import place_of
from rag.settings import Settings

PAUSE_S = 2.5
"""Between an answer and the next question of the same person; a person who reads takes longer. Fifty people then stay
below the 20 questions a second that one address may ask."""
MOST_QUESTIONS = 20_000
PATIENCE_S = 30.0


@dataclass(slots=True)
class Tally:
    """What came back."""

    submit: int
    """The number of the page's event for Enter in the question box."""
    new_chat: int
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    refused: int = 0


async def _person(
    client: httpx.AsyncClient, number: int, expected: dict[str, list[str]], until: float, tally: Tally
) -> None:
    questions = list(expected)
    asked = number
    session = uuid.uuid4().hex[:12]
    await asyncio.sleep(PAUSE_S * (number % 50) / 50)
    while time.monotonic() < until and len(tally.seconds) + tally.lost < MOST_QUESTIONS:
        question = questions[asked % len(questions)]
        asked += 1
        begun = time.monotonic()
        try:
            answer = await _ask(client, session, question, begun, tally)
        except (httpx.HTTPError, TimeoutError):
            tally.lost += 1
        else:
            if answer is None:
                tally.refused += 1
            else:
                tally.seconds.append(time.monotonic() - begun)
                tally.wrong += answer != (question, expected[question])
        fresh = {"data": [None], "fn_index": tally.new_chat, "session_hash": session}
        await client.post("/gradio_api/run/predict", json=fresh)
        await asyncio.sleep(PAUSE_S)


async def _ask(
    client: httpx.AsyncClient, session: str, question: str, begun: float, tally: Tally
) -> tuple[str, list[str]] | None:
    """The question and the answer's quotes as the page stores them; None where the server politely refused."""
    payload = {"data": [question, None], "fn_index": tally.submit, "session_hash": session}
    joined = await client.post("/gradio_api/queue/join", json=payload)
    if joined.status_code in (429, 503):
        return None
    joined.raise_for_status()
    painted = False
    async with (
        asyncio.timeout(PATIENCE_S),
        client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream,
    ):
        async for line in stream.aiter_lines():
            message: dict[str, Any] = json.loads(line[5:]) if line.startswith("data:") else {"msg": ""}
            if message["msg"] == "process_generating" and not painted:
                painted = True
                tally.first.append(time.monotonic() - begun)
            if message["msg"] == "process_completed":
                ledger = html.unescape(re.sub(r"<[^>]+>", "", message["output"]["data"][3]))
                turns = json.loads(ledger)["turns"]
                return (turns[-1]["question"], turns[-1]["citations"]) if turns else None
    raise TimeoutError


async def _crowd(url: str, people: int, seconds: float, expected: dict[str, list[str]]) -> Tally:
    limits = httpx.Limits(max_connections=4 * people, max_keepalive_connections=people)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, limits=limits) as client:
        config = (await client.get("/config")).json()
        events = {d["api_name"]: d["id"] for d in config["dependencies"]}
        tally = Tally(events["submit"], events["new_chat"])
        until = time.monotonic() + seconds
        await asyncio.gather(*(_person(client, n, expected, until, tally) for n in range(people)))
    return tally


def _spread(seconds: list[float]) -> dict[str, int]:
    ordered = sorted(seconds) or [0.0]
    return {
        "median": round(1000 * statistics.median(ordered)),
        "p95": round(1000 * ordered[int(0.95 * (len(ordered) - 1))]),
    }


def _processor_s(pid: int) -> float:
    """Processor time that a process has used, user and system, in seconds; from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print; exits with 1 where an answer was lost, wrong or refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--people", type=int, default=50, choices=range(1, 201), metavar="1-200")
    parser.add_argument("--seconds", type=int, default=120, choices=range(1, 301), metavar="1-300")
    given = parser.parse_args()
    with Assistant.open(given.index, Settings()) as assistant:
        expected = {
            question: [place_of(citation).ref for citation in assistant.ask(question).citations]
            for question in assistant.suggestions()
        }
    with served(given.index) as server:
        server_before, crowd_before = _processor_s(server.pid), time.process_time()
        tally = asyncio.run(_crowd(server.url, given.people, given.seconds, expected))
        server_s, crowd_s = _processor_s(server.pid) - server_before, time.process_time() - crowd_before
    answers = max(1, len(tally.seconds))
    result = {
        "answers": len(tally.seconds),
        "lost": tally.lost,
        "wrong": tally.wrong,
        "refused": tally.refused,
        "first_words_ms": _spread(tally.first),
        "whole_answer_ms": _spread(tally.seconds),
        "processor_ms_per_answer": {
            "server": round(1000 * server_s / answers),
            "crowd": round(1000 * crowd_s / answers),
        },
    }
    settings = {"people": given.people, "seconds": given.seconds}
    measured.write("chat_load", result, settings)
    print(json.dumps({**settings, **result}))
    sys.exit(1 if tally.lost or tally.wrong or tally.refused or not tally.seconds else 0)


if __name__ == "__main__":
    main()
