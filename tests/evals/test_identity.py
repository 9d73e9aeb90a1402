from __future__ import annotations

from pathlib import Path

import pytest

from evals.identity import build_settings, code_hash, commit, cores, described, settings_from, versions
from rag.errors import SettingsError
from rag.settings import Settings


def _write(root: Path, **files: str) -> None:
    for name, content in files.items():
        path = root / (name.replace("__", "/").replace("_json", ".json") + ("" if name.endswith("_json") else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_the_code_hash_follows_imports_wherever_they_stand(tmp_path: Path) -> None:
    """A change in a module imported by an imported one counts, in a function too; one that nothing imports does not."""
    _write(
        tmp_path,
        evals__a="from rag import b\nimport json\n",
        rag__b="def f():\n    from rag.c import g\n",
        rag__c="g = 1\n",
        rag__unrelated="x = 1\n",
    )
    seen = [code_hash(["evals.a"], tmp_path)]
    for name, content in (("rag__unrelated", "x = 2\n"), ("rag__c", "g = 2\n"), ("evals__a", "from rag import b\n")):
        _write(tmp_path, **{name: content})
        seen.append(code_hash(["evals.a"], tmp_path))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_the_code_hash_holds_the_data_that_the_code_reads(tmp_path: Path) -> None:
    """Fitted coefficients are part of what a number depends on."""
    _write(tmp_path, rag__b="", rag__fit_json="{}")
    before = code_hash(["rag.b"], tmp_path)
    _write(tmp_path, rag__fit_json="[]")
    assert code_hash(["rag.b"], tmp_path) != before


def test_an_index_depends_on_every_setting_that_is_not_known_to_be_of_the_query() -> None:
    """What is asked under other query settings may use the same index; what is cut differently may not."""
    settings = settings_from({})
    assert {"encoder", "chunk_tokens"} <= set(build_settings(settings))
    assert not {"passages", "answer_threshold", "cache_dir"} & set(build_settings(settings))
    assert {"passages", "answer_threshold", "chunk_tokens"} <= set(described(settings))
    assert not {"cache_dir", "keep_versions"} & set(described(settings))


def test_settings_come_from_the_command_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rag.toml or a RAG_ variable at hand cannot change a number unseen."""
    (tmp_path / "rag.toml").write_text("passages = 9\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_MAX_QUOTES", "2")
    default = Settings()
    assert (settings_from({}).passages, settings_from({}).max_quotes) == (default.passages, default.max_quotes)
    assert settings_from({"passages": "9"}).passages == 9
    with pytest.raises(SettingsError, match="Unknown setting 'pasages'"):
        settings_from({"pasages": "9"})


def test_versions_name_what_a_number_depends_on() -> None:
    """Python and every package are there with a version."""
    found = versions()
    assert {"python", "numpy", "faiss-cpu", "ir-measures", "rapidfuzz", "scipy"} <= found.keys()
    assert "absent" not in found.values()


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    """An unpacked archive is evaluated all the same."""
    assert commit(tmp_path) == ""
    assert cores() >= 1
