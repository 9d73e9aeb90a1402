"""Failures: killed builds, full and read-only disks, damaged files: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from rag.assistant import Assistant
from rag.building import build_corpus
from rag.cli import main
from rag.encoding import HashingEncoder
from rag.errors import BuildError, IndexUnavailable
from rag.freshness import FILE_NAME
from rag.index import Index
from rag.loading import CorpusFile, Skipped, find_files
from rag.records import Document, Source
from rag.settings import Settings
from rag.stash import Stash
from rag.verifying import verify
from rag.versions import IndexFolder

from .test_updates import build, folder, write

__all__ = ["folder"]
BUILDER = Path(__file__).parent / "builder.py"


def test_killed_builds_leave_the_live_version(tmp_path: Path, folder: Path) -> None:
    """Builds killed at random moments: what is live always opens and verifies, and the next build finishes."""
    build(folder, tmp_path / "index")
    chosen = random.Random(3)
    killed = 0
    for round_ in range(8):
        for i in range(12):
            write(folder, f"{i:02}.md", 1000 * (round_ + 1) + i)
        started = subprocess.Popen([sys.executable, str(BUILDER), str(folder), str(tmp_path / "index")])
        time.sleep(chosen.uniform(0.3, 1.6))
        started.send_signal(signal.SIGKILL)
        killed += started.wait() == -signal.SIGKILL
        live = IndexFolder(tmp_path / "index").live()
        assert all(check.ok for check in verify(live, HashingEncoder)), f"after round {round_}"
    build(folder, tmp_path / "index")
    assert all(check.ok for check in verify(IndexFolder(tmp_path / "index").live(), HashingEncoder))
    assert not list((tmp_path / "index" / "versions").glob(".*"))
    assert killed > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=False)


def test_full_disk(small_disk: Path, folder: Path) -> None:
    """The build says that the disk is full, leaves nothing behind, and the live version answers."""
    version = build(folder, small_disk / "index").version
    for i in range(200):
        write(folder, f"more-{i}.md", 5000 + i, sentences=40)
    with pytest.raises(BuildError, match=r"could not be written: .*(full|No space)"):
        build(folder, small_disk / "index")
    assert IndexFolder(small_disk / "index").current() == version
    assert not list((small_disk / "index" / "versions").glob(".*"))
    assert all(check.ok for check in verify(IndexFolder(small_disk / "index").live(), HashingEncoder))


@pytest.mark.parametrize("left", [0, 4, 40, 80, 160, 240, 320])
def test_disk_that_fills_up_at_any_stage(small_disk: Path, folder: Path, left: int) -> None:
    """With so many KiB left, a build is done or says that it is not, and never says one for the other."""
    index = small_disk / "index"
    before = build(folder, index).version
    write(folder, "00.md", 500, sentences=60)
    (small_disk / "filler").write_bytes(bytes(_free(small_disk) - 1024 * left))
    try:
        after = build(folder, index).version
    except BuildError as error:
        after, said = before, str(error)
    else:
        said = ""
    assert ("The live index is as it was" in said) == (after == before)
    assert IndexFolder(index).current() == after
    assert all(check.ok for check in verify(IndexFolder(index).live(), HashingEncoder))
    (small_disk / "filler").unlink()
    build(folder, index)
    assert IndexFolder(index).current() != before


def test_rollback_and_prune_on_a_full_disk(
    small_disk: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going back is refused in one line, and the live version stays; pruning, which makes room, is done."""
    index = small_disk / "index"
    old = build(folder, index).version
    write(folder, "00.md", 500)
    live = build(folder, index).version
    (small_disk / "filler").write_bytes(bytes(_free(small_disk)))
    assert main(["rollback", "--index", str(index)]) == 1
    error = capsys.readouterr().err
    assert ("could not be written" in error, error.count("\n")) == (True, 1)
    assert IndexFolder(index).current() == live
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _refused)
        assert main(["prune", "--keep", "1", "--index", str(index)]) == 1
        assert "could not be written" in capsys.readouterr().err
    assert main(["prune", "--keep", "1", "--index", str(index)]) == 0
    assert IndexFolder(index).names() == [live]
    assert old in capsys.readouterr().out


def test_version_that_cannot_be_removed(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build is done all the same: the new version is live, where its files are is written down, others are pruned."""
    index, rename, made = IndexFolder(tmp_path / "index"), Path.rename, list[str]()
    for i in range(3):
        write(folder, "00.md", 500 + i)
        made.append(build(folder, index.root).version)
    (index.root / FILE_NAME).unlink()

    def all_but_the_first(path: Path, to: Path) -> Path:
        return _refused(path, to) if path.name == made[0] else rename(path, to)

    monkeypatch.setattr(Path, "rename", all_but_the_first)
    write(folder, "00.md", 510)
    report = build_corpus([folder], index.root, Settings(keep_versions=1), HashingEncoder)
    assert report.pruned == (made[1], made[2])
    assert index.names() == [made[0], report.version]
    assert index.current() == report.version
    assert (index.root / FILE_NAME).exists()


def _refused(path: Path, _to: Path) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _free(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_bsize


def test_folder_that_may_not_be_written(tmp_path: Path, folder: Path) -> None:
    """A read-only index folder is named as such."""
    build(folder, tmp_path / "index")
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "index").chmod(0o500)
    try:
        write(folder, "05.md", 77)
        with pytest.raises(BuildError, match="cannot be written"):
            build(folder, tmp_path / "index")
    finally:
        (tmp_path / "index").chmod(0o700)


def test_disk_that_may_not_be_written(small_disk: Path, folder: Path) -> None:
    """On a disk mounted read-only a build is refused in one line, and questions and checks go on."""
    version = build(folder, small_disk / "index").version
    write(folder, "05.md", 77)
    done = subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted anew here: {done.stderr.strip()}")
    with pytest.raises(BuildError, match="cannot be written"):
        build(folder, small_disk / "index")
    assert IndexFolder(small_disk / "index").current() == version
    assert all(check.ok for check in verify(IndexFolder(small_disk / "index").live(), HashingEncoder))
    opened = Index.open(IndexFolder(small_disk / "index").live())
    with Assistant(opened, HashingEncoder(), Settings(), index_dir=small_disk / "index") as assistant:
        assert assistant.ask("What does the miller say of the tide?").passages


def test_two_builds_at_once(tmp_path: Path, folder: Path) -> None:
    """Of several processes that build one index, those that cannot write say so, and what is live verifies."""
    started = [
        subprocess.Popen([sys.executable, str(BUILDER), str(folder), str(tmp_path / "index")], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [(process.communicate()[1].decode(), process.returncode) for process in started]
    assert any(code == 0 for _, code in said)
    assert all(code == 0 or "Another process is writing the index" in error for error, code in said)
    index = IndexFolder(tmp_path / "index")
    assert all(check.ok for check in verify(index.live(), HashingEncoder))
    assert not list(index.versions.glob(".*"))


def test_cut_and_flipped_files_are_found(tmp_path: Path, folder: Path) -> None:
    """Whatever byte of a version is changed, and wherever a file is cut, it does not open."""
    build(folder, tmp_path / "index")
    live = IndexFolder(tmp_path / "index").live()
    chosen = random.Random(5)
    for path in sorted(live.iterdir()):
        whole = path.read_bytes()
        for _ in range(6):
            at = chosen.randrange(len(whole))
            for damaged in (whole[:at] + bytes([whole[at] ^ (1 << chosen.randrange(8))]) + whole[at + 1 :], whole[:at]):
                path.write_bytes(damaged)
                with pytest.raises(IndexUnavailable):
                    Index.open(live)
                assert not all(check.ok for check in verify(live, HashingEncoder))
        path.write_bytes(whole)
    Index.open(live).close()


def _stash(path: Path) -> None:
    with Stash(path) as stash:
        for i in range(300):
            stash.put(
                str(i), Document(str(i), "a.txt", "0" * 64, random.Random(i).randbytes(3000).hex(), Source()), "", ""
            )


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
def test_damaged_stash_is_made_anew(tmp_path: Path, folder: Path, place: float) -> None:
    """A cache of documents damaged at its beginning or further in costs time only."""
    path = tmp_path / "index" / "cache" / "documents.sqlite"
    _stash(path)
    data = path.read_bytes()
    at = int(place * len(data)) // 4096 * 4096
    path.write_bytes(data[:at] + b"no database!" * 6000 + data[at + 72_000 :])
    assert build(folder, tmp_path / "index").documents == 12


def test_damaged_document_in_the_stash_is_named(tmp_path: Path) -> None:
    """A document that is not the one that was put is refused, with the file to delete."""
    path = tmp_path / "documents.sqlite"
    _stash(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE loaded SET document = CAST(zeroblob(100) || document AS BLOB)")
    with Stash(path) as stash, pytest.raises(BuildError, match=r"documents.sqlite is damaged .* Delete it"):
        stash.document("7", "a.txt")


def test_file_deleted_while_the_build_reads(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone once its turn comes is reported, and the rest is indexed."""

    def found_then_gone(roots: Sequence[Path], index_dir: Path) -> tuple[list[CorpusFile], list[Skipped]]:
        found = find_files(roots, index_dir)
        (folder / "05.md").unlink()
        return found

    monkeypatch.setattr("rag.scanning.find_files", found_then_gone)
    report = build_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)
    assert [(s.path, s.reason) for s in report.skipped] == [("05.md", "cannot be read: No such file or directory")]
    assert report.documents == 11
