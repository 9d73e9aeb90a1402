"""Memory of a build by the size of the corpus: what grows with it is what does not stream.

Run: python benchmarks/index_memory.py [--mb 20 200 2000] [--file-kb 16] [--dimension 64]

Each size, in millions of bytes of small files, is built in a process of its own, and its highest resident memory is
printed. Vectors are made of hashes of the texts, at 64 numbers each: a real model would take days for the largest size,
and would come on top with the same memory for every size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured

from rag.building import build_corpus
from rag.encoding import HashingEncoder, Matrix, Progress
from rag.settings import Settings

WORDS = "tide mill dam stone clay wheel barley flood pond current winter miller table door salt ferry".split()
WORDS_PER_SENTENCE = 24
LIMIT_MIB = 2048


class DigestEncoder(HashingEncoder):
    """Texts to the bytes of their hashes: vectors without meaning, at hardly any cost."""

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        if progress is not None:
            progress(len(texts))
        dimension = self.card.dimension
        digests = b"".join(hashlib.shake_128(text.encode("utf-8", "replace")).digest(dimension) for text in texts)
        rows: Matrix = np.frombuffer(digests, dtype=np.int8).reshape(len(texts), dimension).astype(np.float32)
        normalised: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return normalised


def main() -> None:
    """Print a line a size; exit code 1 where one takes more than 2 GiB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--file-kb", type=int, default=16)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--build", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(given.build[0], given.build[1], given.dimension)
        return
    sizes: dict[str, dict[str, object]] = {}
    for mb in given.mb:
        with tempfile.TemporaryDirectory(prefix="rag-memory-") as folder:
            source = Path(folder) / "source"
            write_corpus(source, mb, 1000 * given.file_kb)
            command = [sys.executable, __file__, "--dimension", str(given.dimension), "--build"]
            done = subprocess.run(
                [*command, source, Path(folder) / "index"], check=True, capture_output=True, text=True
            )
        sizes[f"{mb} MB"] = figures = json.loads(done.stdout)
        print(f"{mb:6} MB: " + ", ".join(f"{value} {name}" for name, value in figures.items()), flush=True)
        settings = {"encoder": "hashes of the texts", "dimension": given.dimension, "kB a file": given.file_kb}
        measured.write("index_memory" if given.file_kb == 16 else "index_memory_of_a_file", sizes, settings)
    sys.exit(any(int(str(figures["MiB at most"])) > LIMIT_MIB for figures in sizes.values()))


def write_corpus(source: Path, mb: int, file_bytes: int) -> None:
    """Files of sentences that are all different."""
    chosen = random.Random(0)  # noqa: S311  nothing secret
    for i in range(mb * 1_000_000 // file_bytes):
        words = chosen.choices(WORDS, k=file_bytes // 5)
        starts = words[::WORDS_PER_SENTENCE]
        words[::WORDS_PER_SENTENCE] = [f"w{i}x{j}. Then" for j in range(len(starts))]
        path = source / f"{i // 1000:03}" / f"{i:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(words)[:file_bytes], encoding="utf-8")


def peak_mib() -> int:
    """Highest resident memory of this process so far. (`getrusage` counts that of the process that started it, too.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def build(source: Path, index: Path, dimension: int) -> None:
    """One build; print what it took, as JSON."""
    before = peak_mib()
    started = time.perf_counter()
    report = build_corpus([source], index, Settings(), lambda: DigestEncoder(dimension))
    figures = {
        "documents": report.documents,
        "chunks": report.chunks,
        "segments": report.segments,
        "MiB before the build": before,
        "MiB at most": peak_mib(),
        "seconds": round(time.perf_counter() - started),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
