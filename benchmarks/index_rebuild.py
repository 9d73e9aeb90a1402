"""What an update costs: N documents, one changed. python benchmarks/index_rebuild.py [--documents 10000]

Encodes with the small deterministic encoder of the tests, at the real one's 384 numbers a vector: with a real model the
build from nothing takes far longer and the update hardly, so the ratio printed here is the worst one. Work is processor
time, which other work on the machine does not change much; the seconds of the clock are printed beside it. All builds
are of one process: a command line adds its start, some 0.7 s.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured

from rag.building import build_corpus
from rag.encoding import HashingEncoder
from rag.loading import find_files, load_key, read_file
from rag.settings import Settings

WORDS = "tide mill dam stone clay wheel barley flood pond current winter miller table door salt ferry".split()
MOST_SECONDS = 1.0
"""Of work beyond the scan."""


class Times(NamedTuple):
    """What something took, in seconds."""

    work: float
    """Of the processor."""
    clock: float


def main() -> None:
    """Print seconds and ratios of one run; exit code 1 where the update takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--sentences", type=int, default=8, help="of 12 words, in each document")
    parser.add_argument("--updates", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-rebuild-") as folder:
        source, index = Path(folder) / "source", Path(folder) / "index"
        write_corpus(source, given.documents, given.sentences)
        encoder = HashingEncoder(dimension=384)

        def build() -> Times:
            return timed(lambda: build_corpus([source], index, Settings(), lambda: encoder))

        full = build()
        updates, scans = [], []
        for i in range(given.updates):
            number = min(5000 + i, given.documents - 1)
            path = source / f"{number // 100:03}" / f"{number:06}.txt"
            path.write_text(f"This one is new, for the {i}. time.", encoding="utf-8")
            scans.append(timed(lambda: scan(source)))
            updates.append(build())
        unchanged = build()
    update, scanned = sorted(updates)[len(updates) // 2], sorted(scans)[len(scans) // 2]
    beyond = update.work - scanned.work
    rows = {
        "build from nothing": full,
        "scan alone: find, read and hash every file": scanned,
        "one document changed (median)": update,
        "nothing changed": unchanged,
    }
    figures: dict[str, float] = {}
    for name, times in rows.items():
        figures[f"{name}, s of work"], figures[f"{name}, s of the clock"] = round(times.work, 2), round(times.clock, 2)
    figures["one document changed, s of work beyond the scan (must be less than 1)"] = round(beyond, 2)
    figures["one document changed / build from nothing, work"] = round(update.work / full.work, 3)
    for name, value in figures.items():
        print(f"{value:8} {name}")
    settings = {"encoder": encoder.card.name, "dimension": 384, "documents": given.documents, "updates": given.updates}
    measured.write("index_rebuild", figures, settings)
    sys.exit(beyond >= MOST_SECONDS)


def write_corpus(source: Path, documents: int, sentences: int) -> None:
    """Documents whose sentences are all different."""
    chosen = random.Random(0)  # noqa: S311  nothing secret
    for i in range(documents):
        words = [" ".join([*chosen.choices(WORDS, k=11), f"n{i}s{j}."]) for j in range(sentences)]
        path = source / f"{i // 100:03}" / f"{i:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(words), encoding="utf-8")


def timed(do: Callable[[], object]) -> Times:
    """What a call takes."""
    work, clock = time.process_time(), time.perf_counter()
    do()
    return Times(time.process_time() - work, time.perf_counter() - clock)


def scan(source: Path) -> None:
    """Find, read and hash every file: what any update must do."""
    for file in find_files([source])[0]:
        load_key(file, hashlib.sha256(read_file(file, 2**26)).hexdigest())


if __name__ == "__main__":
    main()
