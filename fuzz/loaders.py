"""Coverage-guided fuzzing of one loader: python fuzz/loaders.py KIND [libFuzzer options], such as -max_total_time=600.

KIND is a file name ending without its dot: vtt, srt, csv, html, docx, pptx, epub, pdf, md or txt. Anything but content
or a LoadError is a finding, and so is content whose anchors do not fit its text. Needs: pip install atheris
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["rag"]):
    from rag.errors import LoadError
    from rag.loaders.content import Content
    from rag.loaders.registry import DIRECT, ISOLATED, loader
    from rag.loading import LOADERS

SUFFIX = "." + sys.argv.pop(1)
with atheris.instrument_imports(include=["rag"]):
    LOAD = loader(SUFFIX) if SUFFIX in {**ISOLATED, **DIRECT} else None

FILES = Path(__file__).parent.parent / "tests" / "loaders" / "files"
ZIPPED = SUFFIX in (".docx", ".pptx", ".epub")


def load(data: bytes) -> Content:
    """The content by whichever loader reads the kind."""
    return LOAD(data) if LOAD else Content(*LOADERS[SUFFIX](data))


def one_input(data: bytes) -> None:
    """One run. For zipped formats the input is one part, put into a real file where its first byte says."""
    try:
        content = load(_packed(data) if ZIPPED else data)
    except LoadError:
        return
    content.text.encode("utf-8")
    starts = [anchor.start for anchor in content.anchors]
    if starts != sorted(starts) or any(not 0 <= start < len(content.text) for start in starts):
        raise AssertionError(f"anchors {starts[:20]} in a text of {len(content.text)}")
    if Content.from_json(content.to_json()) != content:
        raise AssertionError("content does not survive the way from the process that reads")


def _packed(data: bytes) -> bytes:
    if data[:2] == b"PK":
        return data
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for i, (name, part) in enumerate(PARTS):
            package.writestr(name, data[1:] if data and i == data[0] % len(PARTS) else part)
    return buffer.getvalue()


def _parts() -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(next(FILES.glob(f"*{SUFFIX}"))) as package:
        wanted = [name for name in package.namelist() if name.endswith((".xml", ".rels", ".opf", ".xhtml", ".html"))]
        return [(name, package.read(name)) for name in wanted]


PARTS = _parts() if ZIPPED else []

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as seeds:
        for path in FILES.glob(f"*{SUFFIX}"):
            (Path(seeds) / path.name).write_bytes(path.read_bytes())
        for i, (_, part) in enumerate(PARTS[:250]):
            (Path(seeds) / f"part-{i}").write_bytes(bytes([i]) + part)
        # Every part of a package is kept as a seed: they all cover the same, for the rest of the package is there too.
        options = ["-rss_limit_mb=4096", "-timeout=25", "-len_control=0", "-keep_seed=1"]
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], seeds], one_input)
        atheris.Fuzz()
