"""The index folder: one live version, swapped in one step, and nothing damaged ever opened."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.building import build_corpus
from rag.encoding import EncoderCard, HashingEncoder
from rag.errors import BuildError, IndexUnavailable
from rag.index import Index
from rag.settings import Settings
from rag.versions import FORMAT, IndexFolder, Manifest

CARD = EncoderCard("hashing", "0" * 64, 64, 256)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index folder with one small version."""
    root = tmp_path_factory.mktemp("small")
    (root / "corpus").mkdir()
    (root / "corpus" / "a.txt").write_text("The toll of the harbour was two crowns. Nobody paid it. " * 20)
    build_corpus([root / "corpus"], root / "index", Settings(), HashingEncoder)
    return root / "index"


def test_missing_index_names_the_command(tmp_path: Path) -> None:
    """Where there is no index, the message names the command that builds one."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(IndexUnavailable, match=r"There is no index in .*Build one with: rag index"):
            IndexFolder(folder).live()


@pytest.mark.parametrize("current", ["", "nonsense", "../../etc", "20240101T000000-00000000", "\0", "a" * 5000])
def test_current_that_names_nothing_is_refused(small: Path, tmp_path: Path, current: str) -> None:
    """A CURRENT that is empty, foreign, or names a version that is gone is refused with the remedy."""
    shutil.copytree(small, tmp_path / "index")
    (tmp_path / "index" / "CURRENT").write_text(current)
    with pytest.raises(IndexUnavailable, match=r"CURRENT names no version that is there\. Build it again"):
        IndexFolder(tmp_path / "index").live()


def test_current_that_is_no_text_is_refused(small: Path, tmp_path: Path) -> None:
    """A CURRENT of bytes that are no text, or an index that is a file, is refused with the remedy."""
    shutil.copytree(small, tmp_path / "index")
    (tmp_path / "index" / "CURRENT").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "index", tmp_path / "file"):
        with pytest.raises(IndexUnavailable, match=r"CURRENT cannot be read .*Build it again with: rag index"):
            IndexFolder(folder).live()


def test_manifest_survives_writing(tmp_path: Path) -> None:
    """A manifest read back equals the one written."""
    manifest = Manifest.read(_written(tmp_path))
    assert manifest.encoder == CARD
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def _written(folder: Path) -> Path:
    values = {f.name: f.default for f in dataclasses.fields(Manifest)}
    made: dict[str, object] = {
        name: 0 if value is dataclasses.MISSING else value for name, value in values.items() if name != "files"
    }
    texts = {"version": "v", "created": "2024", "corpus_sha256": "0" * 64}
    Manifest(**{**made, **texts, "encoder": CARD, "files": {}}).write(folder)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"format": 2}'])
def test_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """A manifest that is empty, cut or something else is damage, with the remedy."""
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(IndexUnavailable, match=r"Build it again with: rag index"):
        Manifest.read(tmp_path)


def test_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    """A version of an older or newer format is refused by both numbers."""
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(IndexUnavailable, match=rf"has format 99; this program reads {FORMAT}\. Build it again"):
        Manifest.read(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(("manifest.json", "store.sqlite", "vectors.faiss", "segments.faiss")), data=st.data())
def test_any_flipped_bit_is_refused(small: Path, tmp_path: Path, name: str, data: st.DataObject) -> None:
    """One bit changed anywhere in any file of a version, or the file cut anywhere: it is refused with the remedy."""
    version = IndexFolder(small).live()
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    shutil.copytree(version, tmp_path / "copy")
    content = bytearray((tmp_path / "copy" / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    (tmp_path / "copy" / name).write_bytes(content)
    with pytest.raises(IndexUnavailable, match=r"Build it again with: rag index") as caught:
        Index.open(tmp_path / "copy")
    assert name.removesuffix(".json") in str(caught.value) or "format" in str(caught.value)


@pytest.mark.parametrize("name", ["manifest.json", "store.sqlite", "vectors.faiss", "segments.faiss"])
def test_missing_file_is_refused_by_name(small: Path, tmp_path: Path, name: str) -> None:
    """A version without one of its files is refused by that file's name."""
    shutil.copytree(IndexFolder(small).live(), tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(IndexUnavailable, match=rf"{name.removesuffix('.json')}.*Build it again"):
        Index.open(tmp_path / "copy")


def test_versions_are_kept_rolled_back_and_pruned(tmp_path: Path) -> None:
    """Old versions are kept up to the number set; one that is made live again answers, and is never pruned.

    Without a live one as many are kept.
    """
    corpus, index = tmp_path / "corpus", tmp_path / "index"
    corpus.mkdir()
    folder, built = IndexFolder(index), []
    for i in range(4):
        (corpus / "a.txt").write_text(f"The toll was {i} crowns in those days.")
        built.append(build_corpus([corpus], index, Settings(keep_versions=3), HashingEncoder).version)
    assert folder.names() == built[1:]
    assert folder.current() == built[3]
    folder.make_live(built[1])
    opened = Index.open(folder.live())
    assert opened.manifest.version == built[1]
    assert "1 crowns" in opened.store.document(0).text
    (index / "CURRENT").unlink()
    assert folder.prune(3) == []
    folder.make_live(built[1])
    assert folder.prune(1) == built[2:]
    assert folder.names() == [built[1]]
    assert "1 crowns" in opened.store.document(0).text
    opened.close()
    with pytest.raises(BuildError, match=rf"There is no version 'gone'\. Versions: {built[1]}"):
        folder.make_live("gone")
    assert folder.current() == built[1]


def test_swap_that_the_disk_does_not_confirm_is_told_as_it_is(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once CURRENT has its new name nobody may be told that the live index is as it was."""
    shutil.copytree(small, tmp_path / "index")
    folder = IndexFolder(tmp_path / "index")
    name = folder.current()
    assert name is not None
    (folder.root / "CURRENT").unlink()

    def fails_on_the_root(path: Path) -> None:
        if path == folder.root:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("rag.versions._sync", fails_on_the_root)
    with pytest.raises(BuildError, match=rf"Index {name} is live, but the disk did not confirm it"), folder.writing():
        folder.make_live(name)
    assert folder.current() == name


def test_damaged_version_is_opened_once(small: Path, tmp_path: Path) -> None:
    """Only where another version has become live is it worth another try."""
    shutil.copytree(small, tmp_path / "index")
    folder, tried = IndexFolder(tmp_path / "index"), list[Path]()
    (folder.live() / "store.sqlite").write_bytes(b"damaged")

    def opened(path: Path) -> Index:
        tried.append(path)
        return Index.open(path)

    with pytest.raises(IndexUnavailable, match=r"store\.sqlite is not the file"):
        folder.with_live(opened)
    assert tried == [folder.live()]


def test_names_sort_by_age_whatever_the_clock_does(tmp_path: Path) -> None:
    """A new name comes after all others, even where the clock was set back or a second holds many builds."""
    folder = IndexFolder(tmp_path)
    for _ in range(12):
        name = folder.new_name("ab" * 32)
        (folder.versions / name).mkdir(parents=True)
        assert folder.names()[-1] == name
    (folder.versions / "29990101T000000-00000000").mkdir()
    name = folder.new_name("ab" * 32)
    (folder.versions / name).mkdir()
    assert folder.names()[-1] == name
    assert len(folder.names()) == 14


def test_second_writer_is_refused(tmp_path: Path) -> None:
    """While one writes, another is told so, with the process and what to do; afterwards it may."""
    folder = IndexFolder(tmp_path)
    with (
        folder.writing(),
        pytest.raises(BuildError, match=r"Another process is writing .*process \d+.*--index"),
        IndexFolder(tmp_path).writing(),
    ):
        pass
    with folder.writing():
        pass


def test_folder_that_cannot_be_locked_is_not_called_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk knows no locks there is no other process to wait for."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("rag.versions.fcntl.flock", flock)
    with pytest.raises(BuildError, match=r"cannot be locked: No locks available\."), IndexFolder(tmp_path).writing():
        pass


def test_scratch_is_removed_with_what_a_killed_build_left(tmp_path: Path) -> None:
    """What is not published leaves no trace, and neither do leftovers of earlier builds."""
    folder = IndexFolder(tmp_path)
    for leftover in (".building-1", ".removing-x"):
        (tmp_path / "versions" / leftover).mkdir(parents=True)
    (tmp_path / ".CURRENT-1").write_text("x")
    with folder.writing(), folder.scratch() as scratch:
        (scratch / "half").write_text("x")
        assert [path.name for path in folder.versions.iterdir()] == [scratch.name]
    assert list(folder.versions.iterdir()) == []
    assert not list(tmp_path.glob(".CURRENT*"))


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """An index folder that cannot be made is a build error with its name."""
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(BuildError, match=r"The index folder .*file cannot be written"),
        IndexFolder(tmp_path / "file").writing(),
    ):
        pass
