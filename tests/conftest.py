"""What the tests share: no network, no settings of the developer's own, and indexes built once."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rag.assistant import Assistant
from rag.building import build_corpus
from rag.encoding import HashingEncoder, OnnxEncoder
from rag.exporting import BUNDLED, open_encoder
from rag.index import Index
from rag.records import Document
from rag.settings import Settings
from rag.versions import IndexFolder

REPOSITORY = Path(__file__).resolve().parent.parent
SEEDS = REPOSITORY / "seeds"
OFFLINE = Path(__file__).resolve().parent / "data" / "offline"

runpy.run_path(str(OFFLINE / "sitecustomize.py"))  # from here on, nothing but this machine can be reached

settings.register_profile(
    "rag", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rag")

_OWN_CACHE = os.environ.get("RAG_CACHE_DIR")
for name in [name for name in os.environ if name.startswith("RAG_")]:
    del os.environ[name]  # a developer's settings are not the tests'

Rag = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cache_dir(request: pytest.FixtureRequest) -> Path:
    """A folder that lives from one run to the next: exporting the encoder takes some 15 seconds."""
    if _OWN_CACHE:
        return Path(_OWN_CACHE)
    cache = request.config.cache
    assert cache is not None
    return cache.mkdir("rag")


@pytest.fixture(scope="session")
def seeds() -> Path:
    """The five documents that ship."""
    return SEEDS


@pytest.fixture(scope="session")
def hashing_index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index folder over the seeds by the deterministic fake encoder. Read it only."""
    folder = tmp_path_factory.mktemp("hashing-index")
    build_corpus([SEEDS], folder, Settings(), HashingEncoder)
    return folder


@pytest.fixture(scope="session")
def hashing_index(hashing_index_dir: Path) -> Iterator[Index]:
    """The same index, opened."""
    index = Index.open(IndexFolder(hashing_index_dir).live())
    yield index
    index.close()


@pytest.fixture(scope="session")
def seed_documents(hashing_index: Index) -> tuple[Document, ...]:
    """The seeds as loaded, in order of their paths."""
    return tuple(hashing_index.store.documents())


@pytest.fixture(scope="session")
def real_encoder(cache_dir: Path) -> OnnxEncoder:
    """The encoder that ships, exported."""
    encoder = open_encoder(BUNDLED, cache_dir)
    assert isinstance(encoder, OnnxEncoder)
    return encoder


@pytest.fixture(scope="session")
def real_settings(cache_dir: Path) -> Settings:
    """The defaults, but for where the exported encoder is kept."""
    return Settings(cache_dir=cache_dir)


@pytest.fixture(scope="session")
def real_index_dir(cache_dir: Path, real_settings: Settings, real_encoder: OnnxEncoder) -> Path:
    """An index folder over the seeds by the encoder that ships. Read it only."""
    folder = cache_dir / "index-of-seeds"
    build_corpus([SEEDS], folder, real_settings, lambda: real_encoder)
    return folder


@pytest.fixture(scope="session")
def assistant(real_index_dir: Path, real_settings: Settings) -> Iterator[Assistant]:
    """An assistant over the seeds, as a user has it."""
    with Assistant.open(real_index_dir, real_settings) as opened:
        yield opened


@pytest.fixture
def rag(cache_dir: Path, tmp_path: Path) -> Rag:
    """Runs the command in a process of its own, in an empty folder, without network."""

    def run(
        *arguments: str | Path, given: str | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rag", *map(str, arguments)],
            cwd=tmp_path,
            env=subprocess_environment(cache_dir, environment),
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


def subprocess_environment(cache_dir: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that a test starts: this code, no network, the shared cache."""
    paths: Sequence[str] = (str(OFFLINE), str(REPOSITORY))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RAG_CACHE_DIR": str(cache_dir), **(more or {})}
