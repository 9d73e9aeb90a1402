"""Builds killed at random moments while questions are asked.

Run: python benchmarks/index_crash.py [--kills 200] [--minutes 20]

A build is killed with SIGKILL at a moment drawn over its whole length, again and again, over documents that all change
with every generation. After each kill the live version must verify; half of the time the next build is killed too, half
of the time it must finish, and what it made live must verify. All the while questions are asked of an assistant that
goes over to new versions as a server does. Counted: questions that failed, answers that mix generations, live versions
that do not verify, builds that failed, and texts that were encoded again though their vector was kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured

from rag.assistant import Assistant
from rag.building import build_corpus
from rag.cache import EmbeddingCache
from rag.encoding import HashingEncoder, Matrix, Progress
from rag.index import Index
from rag.settings import Settings
from rag.verifying import verify
from rag.versions import IndexFolder

DOCUMENTS = 40
WORDS = "tide mill dam stone clay wheel barley flood pond current winter miller table door salt ferry".split()
MUST_BE_ZERO = (
    "questions that failed",
    "answers that mixed generations",
    "live versions that did not verify",
    "builds that failed",
    "texts encoded though their vector was kept",
)


class Logging(HashingEncoder):
    """Writes down, before it encodes, how many texts, and how many of them the cache keeps: there must be none."""

    def __init__(self, index: Path) -> None:
        super().__init__()
        self.index = index

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        cache = EmbeddingCache(self.index / "cache" / "embeddings.sqlite")
        again = len(set(texts)) - len(cache.missing(texts, HashingEncoder()))
        cache.close()
        with open(self.index / "encoded.log", "a", encoding="ascii") as log:
            log.write(f"{len(texts)} {again}\n")
        time.sleep(0.05)  # a real encoder takes its time, and may be killed there
        return super().encode_documents(texts, progress)


def build(source: Path, index: Path) -> None:
    """One build, in a process of its own."""
    build_corpus([source], index, Settings(), lambda: Logging(index))


def write(source: Path, generation: int) -> None:
    """All documents of a generation; every sentence names it."""
    chosen = random.Random(generation)  # noqa: S311  nothing secret
    for i in range(DOCUMENTS):
        lines = [f"Generation g{generation} says {' '.join(chosen.choices(WORDS, k=8))}." for _ in range(30)]
        (source / f"{i:02}.txt").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Print the counts; exit code 1 where any is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20.0, help="stop then, whatever is done")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="rag-crash-") as folder:
        source, index = Path(folder) / "source", Path(folder) / "index"
        source.mkdir()
        write(source, 0)
        build(source, index)
        assistant = Assistant(Index.open(IndexFolder(index).live()), HashingEncoder(), Settings(), index_dir=index)
        stopped = threading.Event()
        asker = threading.Thread(target=ask, args=(assistant, counts, stopped))
        asker.start()
        try:
            kill_builds(source, index, given.kills, time.monotonic() + 60 * given.minutes, counts)
        finally:
            stopped.set()
            asker.join()
        log = [tuple(map(int, line.split())) for line in (index / "encoded.log").read_text().splitlines()]
        with sqlite3.connect(index / "cache" / "embeddings.sqlite") as cache:
            ((kept,),) = cache.execute("SELECT count(*) FROM vectors")
    counts["texts encoded"] = sum(texts for texts, _ in log)
    counts["of them in a block that a kill cut off before it was kept"] = counts["texts encoded"] - kept
    counts["texts encoded though their vector was kept"] = sum(again for _, again in log)
    figures = {name: count for name, count in counts.items() if name not in MUST_BE_ZERO}
    figures |= {f"{name} (must be 0)": counts[name] for name in MUST_BE_ZERO}
    for name, count in figures.items():
        print(f"{count:8} {name}")
    measured.write("index_crash", figures, {"encoder": HashingEncoder().card.name, "documents": DOCUMENTS})
    sys.exit(any(counts[name] for name in MUST_BE_ZERO) or counts["builds killed"] < given.kills)


def kill_builds(source: Path, index: Path, kills: int, end: float, counts: Counter[str]) -> None:
    """Kill builds until there were so many; each that may finish makes the next generation."""
    # Forked from a process that has imported everything: what is killed is a build, not the start of Python.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["rag.building", "rag.verifying", "rag.assistant"])
    chosen = random.Random(1)  # noqa: S311  nothing secret
    generation, length = 0, 1.0
    while counts["builds killed"] < kills and time.monotonic() < end:
        may_finish = generation == 0 or chosen.random() < 0.5
        started = time.perf_counter()
        process = processes.Process(target=build, args=(source, index))
        process.start()
        process.join(None if may_finish else chosen.uniform(0, 0.9 * length))
        if process.is_alive():
            process.kill()
            process.join()
            counts["builds killed"] += 1
            counts["of them while files of a version were written"] += any((index / "versions").glob(".building-*"))
        elif process.exitcode == 0:
            counts["builds that finished"] += 1
            if may_finish:
                length = time.perf_counter() - started
            generation += 1
            write(source, generation)
        else:
            counts["builds that failed"] += 1
        live = IndexFolder(index).live()
        counts["live versions that did not verify"] += not all(c.ok for c in verify(live, HashingEncoder, 16))
        counts["times the live version was verified"] += 1


def ask(assistant: Assistant, counts: Counter[str], stopped: threading.Event) -> None:
    """Ask until stopped; every passage of an answer must be of one generation."""
    chosen = random.Random(2)  # noqa: S311  nothing secret
    versions = {assistant.version}
    while not stopped.is_set():
        try:
            assistant.refresh()
            answer = assistant.ask(f"What does the generation say of the {chosen.choice(WORDS)}?")
            named = {word for passage in answer.passages for word in re.findall(r"\bg\d+\b", passage.text)}
            counts["answers that mixed generations"] += len(named) > 1
            versions.add(answer.index_version)
        except Exception as error:
            counts["questions that failed"] += 1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        counts["questions asked meanwhile"] += 1
        stopped.wait(0.02)
    counts["versions that answered"] = len(versions)


if __name__ == "__main__":
    main()
