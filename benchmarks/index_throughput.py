"""Building against sentence-transformers: texts encoded in a second, of the same texts, in one run.

Run: python benchmarks/index_throughput.py [--rounds 3]. A build here is everything: reading, cutting up, encoding
chunks and segments, writing, verifying. The other side is one call of `SentenceTransformer.encode` on the texts of that
build, each different one once, with its own batch size; and the same for the chunks alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import measured  # noqa: E402  the path comes first

from rag.building import build_corpus  # noqa: E402
from rag.exporting import load_model, open_encoder  # noqa: E402
from rag.index import Index  # noqa: E402
from rag.settings import load_settings  # noqa: E402
from rag.versions import IndexFolder  # noqa: E402

LEAST_RATIO = 1.0


def main() -> None:
    """Print the rates of every round, interleaved, and the ratio of the medians; exit code 1 where it is too low."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path, default=REPOSITORY / "seeds")
    given = parser.parse_args()
    settings = load_settings().settings
    encoder = open_encoder(settings.encoder, settings.cache_dir)
    model = load_model(settings.encoder)
    encoder.encode_documents(["warm"] * 8)
    model.encode(["warm"] * 8, show_progress_bar=False)
    builds: list[float] = []
    encodes: list[float] = []
    chunk_encodes: list[float] = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(prefix="rag-throughput-") as folder:
            started = time.perf_counter()
            build_corpus([given.source], Path(folder), settings, lambda: encoder)
            builds.append(time.perf_counter() - started)
            chunks, texts = _texts(Path(folder))
        for found, seconds in ((texts, encodes), (chunks, chunk_encodes)):
            started = time.perf_counter()
            model.encode(found, show_progress_bar=False)
            seconds.append(time.perf_counter() - started)
        print(
            f"build {builds[-1]:6.1f} s   encode() of its {len(texts)} texts {encodes[-1]:6.1f} s, "
            f"of its {len(chunks)} chunks alone {chunk_encodes[-1]:6.1f} s",
            flush=True,
        )
    build, encode, chunk = (sorted(times)[len(times) // 2] for times in (builds, encodes, chunk_encodes))
    figures = {
        "chunks": len(chunks),
        "texts": len(texts),
        "texts a second, build": round(len(texts) / build, 1),
        "texts a second, encode()": round(len(texts) / encode, 1),
        "ratio on the same texts": round(encode / build, 2),
        "ratio of chunks a second, the build's segments thrown in": round(chunk / build, 2),
    }
    for name, value in figures.items():
        print(f"{value:>8} {name}")
    measured.write("index_throughput", figures, {"encoder": encoder.card.id, "rounds": given.rounds})
    sys.exit(encode / build < LEAST_RATIO)


def _texts(index_dir: Path) -> tuple[list[str], list[str]]:
    """The chunks of the live version, and its chunks and segments, each different text once."""
    index = Index.open(IndexFolder(index_dir).live())
    chunks: list[str] = []
    segments: list[str] = []
    for i in range(index.manifest.chunks):
        number, span, inside = index.store.chunk(i)
        text = index.store.document(number).text
        chunks.append(text[span.start : span.end])
        segments += [text[s.start : s.end] for s, _ in index.store.segments(inside)]
    index.close()
    return list(dict.fromkeys(chunks)), list(dict.fromkeys([*chunks, *segments]))


if __name__ == "__main__":
    main()
