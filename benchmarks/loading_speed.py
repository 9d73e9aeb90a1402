"""How fast each format is read: python benchmarks/loading_speed.py [--rounds 20]

Every real file among the tests is read in this process, `rounds` times over after one that is not counted; printed is
the median of a format's files together, and the same through the process with limits in which a build reads them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import measured  # noqa: E402  the path comes first

from rag.errors import LoadError  # noqa: E402
from rag.loaders.content import Content  # noqa: E402
from rag.loaders.isolation import Isolated  # noqa: E402
from rag.loaders.registry import ISOLATED, loader  # noqa: E402
from rag.loading import LOADERS  # noqa: E402


def main() -> None:
    """Print a line a format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    by_suffix: dict[str, list[bytes]] = defaultdict(list)
    for path in sorted((REPOSITORY / "tests" / "loaders" / "files").iterdir()):
        by_suffix[path.suffix].append(path.read_bytes())
    figures: dict[str, dict[str, float]] = {}
    with Isolated() as isolated:
        for suffix, files in sorted(by_suffix.items()):
            load = loader(suffix) if suffix not in LOADERS else None
            if load is None:
                continue
            characters = sum(len(content.text) for data in files if (content := _read(load, data)))
            seconds = _median(given.rounds, load, files)
            figures[suffix] = {
                "files": len(files),
                "kB": round(sum(map(len, files)) / 1000, 1),
                "characters": characters,
                "ms": round(1000 * seconds, 2),
            }
            if suffix in ISOLATED:
                seconds = _median(given.rounds, partial(isolated.load, suffix), files)
                figures[suffix]["ms within limits"] = round(1000 * seconds, 2)
            print(f"{suffix:6}" + ", ".join(f"{value} {name}" for name, value in figures[suffix].items()), flush=True)
    measured.write("loading_speed", figures, {"rounds": given.rounds})


def _read(load: Callable[[bytes], Content], data: bytes) -> Content | None:
    try:
        return load(data)
    except LoadError:  # the scan and the encrypted file: refusing takes time too
        return None


def _median(rounds: int, load: Callable[[bytes], Content], files: Sequence[bytes]) -> float:
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        for data in files:
            _read(load, data)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[rounds // 2]


if __name__ == "__main__":
    main()
