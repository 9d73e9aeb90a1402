"""How fast each format is read: python benchmarks/loading_speed.py [--rounds 20]

Every real file among the tests is read in this process, `rounds` times over after one that is not counted; printed is
the median of a format's files together, in processor time, and by the clock through the process with limits in which a
build reads them.
Where pypdf, pdfminer.six, or Beautiful Soup with html5lib are installed they get the same files, for their bare text.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

Load = Callable[[bytes], object]
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
    logging.disable()  # pypdf has much to say of the files
    figures: dict[str, dict[str, float]] = {}
    with Isolated() as isolated:
        for suffix, files in sorted(by_suffix.items()):
            load = loader(suffix) if suffix not in LOADERS else None
            if load is None:
                continue
            read = (_read(load, data) for data in files)
            characters = sum(len(content.text) for content in read if isinstance(content, Content))
            seconds = _median(given.rounds, load, files)
            figures[suffix] = {
                "files": len(files),
                "kB": round(sum(map(len, files)) / 1000, 1),
                "characters": characters,
                "ms": round(1000 * seconds, 2),
            }
            if suffix in ISOLATED:
                seconds = _median(given.rounds, partial(isolated.load, suffix), files, time.perf_counter)
                figures[suffix]["ms of the clock within limits"] = round(1000 * seconds, 2)
            for name, other in OTHERS.get(suffix, {}).items():
                try:
                    figures[suffix][f"ms by {name}"] = round(1000 * _median(given.rounds, other, files), 2)
                except ImportError:
                    continue
            print(f"{suffix:6}" + ", ".join(f"{value} {name}" for name, value in figures[suffix].items()), flush=True)
    measured.write("loading_speed", figures, {"rounds": given.rounds})


def pypdf(data: bytes) -> object:
    """The text of a PDF by pypdf."""
    reader = importlib.import_module("pypdf").PdfReader(BytesIO(data))
    return None if reader.is_encrypted else [page.extract_text() for page in reader.pages]


def pdfminer(data: bytes) -> object:
    """The text of a PDF by pdfminer.six."""
    high_level = importlib.import_module("pdfminer.high_level")
    if b"/Encrypt" in data:
        return None
    return high_level.extract_text(BytesIO(data))


def html5lib(data: bytes) -> object:
    """The text of a page by Beautiful Soup on html5lib, which parses as browsers do too."""
    importlib.import_module("html5lib")
    return importlib.import_module("bs4").BeautifulSoup(data, "html5lib").get_text()


OTHERS: dict[str, dict[str, Load]] = {
    ".pdf": {"pypdf": pypdf, "pdfminer.six": pdfminer},
    ".html": {"html5lib": html5lib},
}


def _read(load: Load, data: bytes) -> object:
    try:
        return load(data)
    except LoadError:  # the scan and the encrypted file: refusing takes time too
        return None


def _median(rounds: int, load: Load, files: Sequence[bytes], clock: Callable[[], float] = time.process_time) -> float:
    seconds = []
    for _ in range(rounds + 1):
        started = clock()
        for data in files:
            _read(load, data)
        seconds.append(clock() - started)
    return sorted(seconds[1:])[rounds // 2]


if __name__ == "__main__":
    main()
