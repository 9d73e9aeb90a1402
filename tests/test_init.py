"""The package: its public names, and what importing it and asking a question do not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rag
from tests.conftest import subprocess_environment

HEAVY = ("torch", "sentence_transformers", "transformers", "gradio", "langchain_text_splitters", "sklearn", "scipy")
PROBE = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(name.split(".")[0] for name in set(sys.modules) - before)), file=sys.stderr)
"""


def loaded(code: str, cache_dir: Path) -> tuple[set[str], str]:
    """Top-level modules that some code loads in a process of its own, and what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)],
        env=subprocess_environment(cache_dir),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(json.loads(result.stderr.splitlines()[-1])), result.stdout


def test_public_names() -> None:
    """These names, and no others, are what the package offers; each can be had."""
    assert rag.__all__ == [
        "Answer", "Assistant", "Citation", "Document", "Passage", "Quote", "Settings", "build", "build_corpus"
    ]  # fmt: skip
    assert all(getattr(rag, name) is not None for name in rag.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        rag.nonsense  # noqa: B018  the access is what is tested


def test_import_is_cheap_and_silent(cache_dir: Path) -> None:
    """`import rag` loads no library beside Python's own, prints nothing and makes no folder."""
    modules, out = loaded("import rag", cache_dir)
    assert out == ""
    assert {name for name in modules if name not in sys.stdlib_module_names} == {"rag"}


def test_asking_loads_no_torch_gradio_or_sentence_transformers(cache_dir: Path, real_index_dir: Path) -> None:
    """A question from a cold start, as text or JSON, pays for none of the heavy libraries."""
    for flags in ([], ["--json"]):
        arguments = ["ask", "What is the digital Silk Road?", "--index", str(real_index_dir), *flags]
        modules, out = loaded(f"from rag.cli import main\nassert main({arguments!r}) == 0", cache_dir)
        assert "[1]" in out or "citations" in out
        assert modules.isdisjoint(HEAVY)
        assert "onnxruntime" in modules


def test_info_and_refusals_load_no_model(cache_dir: Path, tmp_path: Path) -> None:
    """What needs no encoder loads none."""
    modules, _ = loaded(
        f"from rag.cli import main\nassert main(['ask', 'x', '--index', {str(tmp_path)!r}]) == 1", cache_dir
    )
    assert modules.isdisjoint({*HEAVY, "onnxruntime"})
