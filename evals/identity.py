"""What a run's numbers depend on: settings, source code, package versions."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from evals.gold import ROOT
from rag.settings import Settings, load_settings

PACKAGES = (
    "faiss-cpu", "ir-measures", "langchain-text-splitters", "numpy", "onnxruntime", "PyStemmer",
    "pytrec-eval-terrier", "rapidfuzz", "scipy", "tiktoken", "tokenizers",
)  # fmt: skip
"""Those that a number depends on."""
_NO_INFLUENCE = frozenset({"cache_dir", "keep_versions"})
"""Settings that cannot change a number."""
_NOT_BUILT_IN = _NO_INFLUENCE | {
    "answer_threshold", "max_file_mib", "max_question_characters", "max_quotes", "passage_cutoff", "passages", "reader",
}  # fmt: skip
"""Settings that an index does not depend on. A setting that is not named here is taken to matter to it."""


def settings_from(pairs: Mapping[str, object]) -> Settings:
    """The defaults with these changed; a rag.toml or RAG_ variable at hand has no say. Raises SettingsError."""
    return load_settings(pairs, file=Path(os.devnull), environment={}).settings


def described(settings: Settings) -> dict[str, str | int | float | bool]:
    """The settings that can change a number."""
    return {k: v for k, v in asdict(settings).items() if k not in _NO_INFLUENCE}


def build_settings(settings: Settings) -> dict[str, str | int | float | bool]:
    """The settings that an index depends on."""
    return {k: v for k, v in asdict(settings).items() if k not in _NOT_BUILT_IN}


def code_hash(modules: Sequence[str], root: Path = ROOT) -> str:
    """Hash of the sources of these modules, of all project modules they import, and of the data files beside rag's.

    First 16 hex digits. With it, a cached index or grid cell made by other code is never taken for this one's.
    """
    sources: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = root / (module.replace(".", "/") + ".py")
        if module not in sources and path.is_file():
            sources[module] = path.read_bytes()
            waiting.extend(_imports(sources[module]))
    data = {
        p.name: p.read_bytes() for p in sorted([*(root / "rag").glob("*.json"), *(root / "rag").glob("*.safetensors")])
    }
    digest = hashlib.sha256()
    for name, content in sorted({**sources, **data}.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=256)  # parsing all of them takes a quarter of a second, and a grid asks for every cell
def _imports(source: bytes) -> list[str]:
    """Names a module imports, wherever in it; those that are no modules of the project are simply not found."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.extend([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def versions() -> dict[str, str]:
    """Of Python and of the packages that a number depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def commit(root: Path = ROOT) -> str:
    """The commit checked out, with "+changes" where tracked sources differ from it; empty outside git."""
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    return head + (
        "+changes" if head and _git(root, "status", "--porcelain", "--", "rag", "evals/*.py", "seeds") else ""
    )


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
