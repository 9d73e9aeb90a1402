"""Settings: file below environment below flags, bounds, and every value that cannot be used."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import Settings, load_settings, unknown_variables


def test_later_sources_win_and_are_named(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file, which beats the default; each origin is kept."""
    file = tmp_path / "s.toml"
    file.write_text('passages = 1\nmax_quotes = 1\nchunk_tokens = 64\nencoder = "x"\n')
    effective = load_settings(
        {"passages": 3, "max_quotes": None},
        file=file,
        environment={"RAG_PASSAGES": "2", "RAG_MAX_QUOTES": "2", "HOME": "/x"},
    )
    settings, origins = effective.settings, effective.origins
    assert (settings.passages, settings.max_quotes, settings.chunk_tokens, settings.encoder) == (3, 2, 64, "x")
    assert origins["passages"] == "flag"
    assert origins["max_quotes"] == "environment RAG_MAX_QUOTES"
    assert origins["chunk_tokens"] == f"file {file}"
    assert origins["keep_versions"] == "default"
    assert set(origins) == {field.name for field in dataclasses.fields(Settings)}


def test_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """As some editors write it."""
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbfpassages = 9\n")
    assert load_settings(file=tmp_path / "s.toml", environment={}).settings.passages == 9


def test_file_of_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rag.toml of the working folder is taken where no file is named; without one there are the defaults."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}).settings == Settings()
    (tmp_path / "rag.toml").write_text("passages = 9\n")
    assert load_settings(environment={}).settings.passages == 9


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("passage = 3", r"Unknown setting 'passage' \(file .*\)\. Valid settings: answer_threshold, .*passages"),
        ("passages = 0", r"Setting passages \(file .*\) is 0; it must lie between 1 and 100"),
        ("passages = 101", "between 1 and 100"),
        ("passages = 1.5", "must be a whole number"),
        ("passages = true", "must be a whole number"),
        ('passages = "many"', "must be a whole number"),
        ("passages = [3]", "must be a whole number"),
        ("answer_threshold = nan", "between 0 and 1"),
        ("answer_threshold = inf", "between 0 and 1"),
        ('answer_threshold = "x"', "must be a number"),
        ('encoder = ["x"]', "must be text"),
        ("encoder = 3", "must be text"),
        ("cache_dir = { a = 1 }", "must be a folder"),
        ('cache_dir = "~no-such-user/x"', "must be a folder"),
        ('cache_dir = "a\\u0000b"', "must be a folder"),
        ('cache_dir = ""', "is ''; it must be a folder"),
        ('cache_dir = " "', "must be a folder"),
        ("passages = ", "cannot be read"),
    ],
)
def test_wrong_value_is_named_with_what_is_right(tmp_path: Path, toml: str, message: str) -> None:
    """An unknown key, a wrong type or a number out of bounds is refused with its origin and what would do."""
    (tmp_path / "s.toml").write_text(toml)
    with pytest.raises(SettingsError, match=message):
        load_settings(file=tmp_path / "s.toml", environment={})


@pytest.mark.parametrize("value", ["", "x", "1.5", "0", "9" * 5000])
def test_wrong_variable_is_named(value: str) -> None:
    """A variable that cannot be used is refused by its own name."""
    with pytest.raises(SettingsError, match=r"Setting passages \(environment RAG_PASSAGES\) is .*; it must"):
        load_settings(environment={"RAG_PASSAGES": value})


def test_unknown_flag_is_a_mistake() -> None:
    """A name that is no setting is refused wherever it comes from."""
    with pytest.raises(SettingsError, match=r"Unknown setting 'colour' \(flag\)"):
        load_settings({"colour": "red"}, environment={})


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A settings file that is gone, a folder, or no text, is refused by name."""
    (tmp_path / "latin").write_bytes(b'encoder = "\xe9"')
    (tmp_path / "deep").write_text("x = " + "[" * 100_000)
    for name in ("gone", "", "latin", "deep"):
        with pytest.raises(SettingsError, match=r"The settings file .* cannot be read"):
            load_settings(file=tmp_path / name, environment={})


def test_bounds_are_allowed_themselves() -> None:
    """The lowest and the highest value of every bounded setting can be set."""
    for field in dataclasses.fields(Settings):
        for bound in field.metadata.get("bounds", ()):
            value = int(bound) if str(field.type) == "int" else bound
            assert getattr(load_settings({field.name: value}, environment={}).settings, field.name) == value


def test_bounds_hold_for_programs_too() -> None:
    """Settings that are made without a file are refused the same values."""
    with pytest.raises(SettingsError, match=r"Setting passages is 0; it must lie between 1 and 100\."):
        Settings(passages=0)
    with pytest.raises(SettingsError, match="Setting answer_threshold is nan"):
        dataclasses.replace(Settings(), answer_threshold=float("nan"))


def test_home_is_expanded_and_settings_cannot_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may begin with ~; what was read is frozen."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(environment={"RAG_CACHE_DIR": "~/x"}).settings
    assert settings.cache_dir == tmp_path / "x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.passages = 3  # type: ignore[misc]  # this is the point


def test_no_home_folder_is_no_matter_where_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where HOME is not set and the user has no name, the setting to use instead is named."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with pytest.raises(SettingsError, match=r"no home folder .* cache_dir"):
        load_settings(environment={})
    assert load_settings({"cache_dir": tmp_path}, environment={}).settings.cache_dir == tmp_path


def test_misspelt_variables_are_found() -> None:
    """A variable with our prefix that is no setting is named; settings and other variables are not."""
    assert unknown_variables({"RAG_PASAGES": "1", "RAG_PASSAGES": "1", "RAGTIME": "x", "HOME": "/"}) == ["RAG_PASAGES"]
