"""docs/index-format.md: its example reads an index, and what it says of the files is what they hold."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.encoding import EncoderCard
from rag.index import Index
from rag.records import Source
from rag.versions import FORMAT, IndexFolder
from tests.conftest import REPOSITORY

from .test_updates import build, folder

__all__ = ["folder"]
PAGE = (REPOSITORY / "docs" / "index-format.md").read_text(encoding="utf-8")


def test_the_example_reads_a_chunk_and_its_vector(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of the page, run as they stand there, give the chunk and the vector that the program itself reads."""
    build(folder, tmp_path / "index")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    seen: dict[str, Any] = {}
    exec(code, seen)
    seen["store"].close()
    index = Index.open(IndexFolder(tmp_path / "index").live())
    document, span, _ = index.store.chunk(seen["number"])
    assert seen["chunk"] == index.store.document(document).text[span.start : span.end]
    assert np.array_equal(seen["vector"], index.chunk_vectors.rows([seen["number"]])[0])
    index.close()
    assert seen["path"] in capsys.readouterr().out


def test_every_column_and_key_is_on_the_page(tmp_path: Path, folder: Path) -> None:
    """Columns of the tables, keys of the manifest, of the encoder and of a source, and the format's number."""
    build(folder, tmp_path / "index")
    live = IndexFolder(tmp_path / "index").live()
    named = set(re.findall(r"`(\w+)`", PAGE))
    with sqlite3.connect(live / "store.sqlite") as store:
        columns = {
            column
            for table in ("documents", "chunks", "segments")
            for (column,) in store.execute("SELECT name FROM pragma_table_info(?)", (table,))
        }
    store.close()
    manifest = json.loads((live / "manifest.json").read_text(encoding="utf-8"))
    keys = {*manifest, *EncoderCard.__dataclass_fields__, *Source.__dataclass_fields__}
    assert (columns | keys) - named == set()
    assert f"| `format` | {FORMAT};" in PAGE
