"""The commands of the life of an index, from the outside: what they print and how they end."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rag import doctor, verifying
from rag.cli import main
from rag.encoding import EncoderCard, HashingEncoder
from rag.errors import UserError
from rag.exporting import BUNDLED_SHA256
from rag.settings import Settings
from rag.verifying import Check
from rag.versions import CHUNK_VECTORS, IndexFolder
from rag.watching import follow
from tests.conftest import REPOSITORY

from .test_updates import folder, write

__all__ = ["folder"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on one index folder with the fake encoder: exit code, stdout and stderr."""
    monkeypatch.setattr("rag.upkeep.open_encoder", lambda *_: HashingEncoder())

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--index", str(tmp_path / "index")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_versions_come_and_go(run: Run, folder: Path, tmp_path: Path) -> None:
    """Build three versions, list, roll back, prune; the live one is never removed."""
    made = []
    for i in range(3):
        write(folder, "00.md", 50 + i)
        code, out, _ = run("index", str(folder))
        assert code == 0
        made.append(out.split()[1])
    listed = json.loads(run("versions", "--json")[1])
    assert [(entry["version"], entry["live"]) for entry in listed] == [*((v, False) for v in made[:2]), (made[2], True)]
    assert run("rollback") == (0, f"Index {made[1]} is live; before it was {made[2]}.\n", "")
    assert run("rollback", made[0])[0] == 0
    code, _, error = run("rollback")
    assert (code, "There is no version before" in error) == (1, True)
    code, _, error = run("rollback", "yesterday")
    assert (code, "Versions: " in error) == (1, True)
    assert run("prune", "--keep", "1")[1] == f"Removed 2 versions: {made[1]}, {made[2]}.\n"
    assert IndexFolder(tmp_path / "index").names() == [made[0]]
    assert run("prune", "--keep", "0")[0] == 1


@pytest.mark.parametrize("command", ["versions", "rollback", "prune"])
def test_folder_without_an_index_stays_as_it_was(run: Run, tmp_path: Path, command: str) -> None:
    """A mistyped --index is told of, and no folder is made of it."""
    code, _, error = run(command)
    assert (code, "There is no index in" in error) == (1, True)
    assert not (tmp_path / "index").exists()


def test_damaged_version_is_not_rolled_back_to(run: Run, folder: Path, tmp_path: Path) -> None:
    """A version that does not open stays where it is, and the live one live."""
    run("index", str(folder))
    write(folder, "00.md", 50)
    run("index", str(folder))
    index = IndexFolder(tmp_path / "index")
    live, old = index.current(), index.names()[0]
    (index.versions / old / CHUNK_VECTORS).write_bytes(b"")
    code, _, error = run("rollback")
    assert (code, index.current()) == (1, live)
    assert "is not the file that was built" in error
    assert run("verify")[0] == 0
    code, out, _ = run("verify", old)
    assert (code, "FAILED files" in out) == (1, True)


def test_version_removed_while_it_is_checked_is_not_called_damaged(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build may prune what is being verified; then the message says so, and not that it should be built again."""
    run("index", str(folder))
    index = IndexFolder(tmp_path / "index")
    name = index.live().name

    def verify(path: Path, *given: object) -> Iterator[Check]:
        checks = verifying.verify(path, None)
        yield next(checks)
        index.remove(name)
        yield from checks

    monkeypatch.setattr("rag.upkeep.verify", verify)
    code, _, error = run("verify", name)
    assert (code, f"The version {name} was removed by a build while it was checked" in error) == (1, True)


def test_report_says_what_was_done(run: Run, folder: Path) -> None:
    """On screen and as JSON: files seen, what changed, what was left out and why."""
    (folder / "picture.png").write_bytes(b"\x89PNG")
    code, out, error = run("index", str(folder))
    assert code == 3
    assert "  13 files seen, 12 indexed, 1 left out\n  added: 12 (00.md, " in out
    assert "left out: 'picture.png' has a kind that is not read" in error
    report = json.loads(run("index", str(folder), "--json")[1])
    assert (report["unchanged"], report["files"], report["changes"]["unchanged"]) == (True, 13, 12)
    assert [entry["path"] for entry in report["skipped"]] == ["picture.png"]


def test_what_is_no_loss_ends_well(run: Run, folder: Path) -> None:
    """A second file of the same text and an entry for a file that is not there are named; neither is a failure."""
    (folder / "again.md").write_bytes((folder / "00.md").read_bytes())
    (folder / "sources.toml").write_text('["00.md"]\ntitle = "Zero"\n["gone.md"]\ntitle = "Gone"\n')
    for _ in range(2):  # the second time nothing is built, and it is said all the same
        code, _out, error = run("index", str(folder))
        assert code == 0
        assert "left out: 'again.md' has the same text as 00.md" in error
        assert "sources.toml names 'gone.md', which is not there" in error
        assert "00.md', which" not in error
    report = json.loads(run("index", str(folder), "--json")[1])
    assert len(report["unused_entries"]) == 1


@pytest.mark.parametrize("way", [[], ["--dry-run"], ["--watch"]])
@pytest.mark.parametrize("root", ["index", "index/documents", "index/a.md", "link"])
def test_documents_in_the_index_folder_are_refused(run: Run, tmp_path: Path, root: str, way: list[str]) -> None:
    """The error names both and what to do, and nothing is written."""
    (tmp_path / "index" / "documents").mkdir(parents=True)
    (tmp_path / "index" / "a.md").write_text("The ferry sails at six.")
    (tmp_path / "link").symlink_to("index")
    code, _, error = run("index", str(tmp_path / root), *way)
    assert (code, f"lie in the index folder '{tmp_path}/index'. Name a folder for the index" in error) == (1, True)
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["a.md", "documents"]


def test_misspelt_variable_is_named(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RAG_ variable that is no setting is said to be ignored."""
    monkeypatch.setenv("RAG_CHUNK_TOKEN", "100")
    code, _, error = run("index", str(folder))
    assert (code, "RAG_CHUNK_TOKEN in the environment is no setting" in error) == (0, True)


def test_dry_run_and_strict(run: Run, folder: Path, tmp_path: Path) -> None:
    """A dry run makes no version; with --strict both a dry run and a build fail for a loss."""
    code, out, _ = run("index", str(folder), "--dry-run")
    assert (code, "added: 12" in out, "to encode: " in out) == (0, True, True)
    assert not (tmp_path / "index").exists()
    (folder / "empty.md").touch()
    assert run("index", str(folder), "--dry-run", "--strict")[0] == 1
    code, _, error = run("index", str(folder), "--strict")
    assert (code, "would be left out: empty.md is empty" in error) == (1, True)


def test_doctor_names_what_is_not_well(run: Run, folder: Path, tmp_path: Path) -> None:
    """Each line is ok or names the command that mends it, and the exit code says which."""
    code, out, _ = run("doctor")
    assert (code, "FAILED index: There is no index" in out, "rag index" in out) == (1, True, True)
    run("index", str(folder))
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert {check["name"]: check["ok"] for check in report["checks"]}["index"]
    assert code == (0 if report["ok"] else 1)


class _Bundled(HashingEncoder):
    """Gives itself out as the encoder that the reader goes with."""

    @property
    def card(self) -> EncoderCard:
        return replace(super().card, sha256=BUNDLED_SHA256)


def test_doctor_looks_at_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged one is named with what mends it; one that is not used is no matter."""

    def damaged(_trained: bytes, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "encoder.json").write_text('{"model_sha256": ""}')
        (folder / "model.onnx").write_text("cut off")

    monkeypatch.setattr("rag.adapting._export", damaged)
    for settings, encoder, ok, said in (
        (Settings(cache_dir=tmp_path), _Bundled, False, "damaged. Delete that folder"),
        (Settings(cache_dir=tmp_path, reader=False), _Bundled, True, "not used"),
        (Settings(cache_dir=tmp_path), HashingEncoder, True, "not used"),
    ):
        checks = {check.name: check for check in doctor.examine(tmp_path / "index", settings, encoder, 7860)}
        assert checks["encoder"].ok
        assert (checks["reader"].ok, said in checks["reader"].said) == (ok, True)


def test_doctor_looks_at_every_dependency() -> None:
    """The packages it looks for are those that the project names."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [re.split("[^A-Za-z0-9-]", dependency)[0] for dependency in project["dependencies"]]
    assert named == doctor._PACKAGES


def test_doctor_sees_a_port_in_use() -> None:
    """A port that someone listens on is named, with another one."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        check = doctor._port(port)
    assert (check.ok, f"--port {port + 1}" in check.said) == (False, True)


@contextmanager
def _forbidden(path: Path, mode: int = 0) -> Iterator[None]:
    """Nobody may enter the folder meanwhile: root, who always may, is another user."""
    root = os.geteuid() == 0
    path.chmod(mode)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o700)


@pytest.fixture
def shared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with documents and an index of them, where all may read; those of the tests are for their user only."""
    monkeypatch.setattr("rag.upkeep.open_encoder", lambda *_: HashingEncoder())
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        shutil.copytree(folder, path / "source")
        assert main(["index", str(path / "source"), "--index", str(path / "index")]) == 0
        yield path


def _by_another(shared: Path, where: str, arguments: str, mode: int = 0) -> int:
    """The exit code of a command where a folder may not be entered."""
    words = [str(shared / word) if word == "source" else word for word in arguments.split()]
    command = [*words, "--index", str(shared / "index")]
    main(command)  # what it imports, another user may not read
    with _forbidden(shared / where, mode):
        return main(command)


@pytest.mark.parametrize("command", ["versions", "doctor", "info", "verify", "rollback", "prune"])
@pytest.mark.parametrize("where", [".", "index", "index/versions"])
def test_folder_that_may_not_be_entered(
    shared: Path, capsys: pytest.CaptureFixture[str], where: str, command: str
) -> None:
    """Every command that needs it says so in a line."""
    assert _by_another(shared, where, command) == 1
    said = capsys.readouterr()
    assert "cannot be" in said.out + said.err


@pytest.mark.parametrize("where", ["index", "index/versions", "index/cache"])
def test_plan_beside_a_folder_that_may_not_be_entered(shared: Path, where: str) -> None:
    """A dry run does without the index and its cache where it may not look."""
    assert _by_another(shared, where, "index --dry-run source") == 0


def test_folder_that_may_be_listed_only(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies below it is reported, file by file and folder by folder, and the rest is planned."""
    write(shared / "source", "listed/a.md", 60)
    write(shared / "source", "listed/deeper/b.md", 61)
    assert _by_another(shared, "source/listed", "index --dry-run source", 0o444) == 0
    error = capsys.readouterr().err
    for name in ("listed/a.md", "listed/deeper"):
        assert f"left out: '{name}' cannot be read: Permission denied" in error


@pytest.mark.parametrize("command", ["versions", "doctor", "info", "verify", "rollback", "prune"])
def test_index_of_an_endless_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no disk takes is told of in words."""
    assert main([command, "--index", "i" * 300]) == 1
    said = capsys.readouterr()
    assert "too long" in said.out + said.err


def test_watch_follows_a_folder(folder: Path) -> None:
    """A change is built once it has settled, one during the first build too; the index folder's are no changes."""
    index = folder / "index"
    index.mkdir()
    stopped, built = threading.Event(), list[float]()

    def build() -> None:
        (index / "CURRENT").write_text(str(len(built)))
        if not built:
            write(folder, "00.md", 98)
        built.append(time.time())

    thread = threading.Thread(target=follow, args=([folder], index, build, stopped))
    thread.start()
    try:
        _until(lambda: len(built) == 2)
        write(folder, "00.md", 99)
        _until(lambda: len(built) == 3)
        (index / "CURRENT").write_text("y")
        (folder / ".hidden.md").write_text("y")
        time.sleep(1.5)
        assert len(built) == 3
    finally:
        stopped.set()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("linked", [False, True])
def test_an_index_below_a_relative_root_is_no_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """What a build writes below a root named as `.`, or reached through a link, does not start the next build."""
    monkeypatch.chdir(folder)
    (folder / "index").mkdir()
    (tmp_path / "link").symlink_to(folder)
    root, index = (tmp_path / "link", tmp_path / "link" / "index") if linked else (Path(), Path("index"))
    stopped, built = threading.Event(), list[float]()

    def build() -> None:
        (index / "LOCK").write_text(str(len(built)))
        built.append(time.time())

    thread = threading.Thread(target=follow, args=([root], index, build, stopped))
    thread.start()
    try:
        _until(lambda: len(built) == 1)
        time.sleep(2)
        assert len(built) == 1
        write(folder, "00.md", 99)
        _until(lambda: len(built) == 2)
    finally:
        stopped.set()
        thread.join(10)


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_is_followed_over_every_save(folder: Path, tmp_path: Path, linked: bool) -> None:
    """A file that is saved by renaming another over it, again and again; what lies beside it is no change."""
    file = folder / "00.md"
    root = tmp_path / "link.md" if linked else file
    if linked:
        root.symlink_to(file)
    stopped, built = threading.Event(), list[float]()

    def times(count: int) -> Callable[[], bool]:
        return lambda: len(built) == count

    thread = threading.Thread(
        target=follow, args=([root], tmp_path / "index", lambda: built.append(time.time()), stopped)
    )
    thread.start()
    try:
        for saved in range(1, 4):
            _until(times(saved))
            write(folder, "01.md", 50 + saved)
            write(folder, "new.md", 90 + saved)
            os.replace(folder / "new.md", file)
        _until(times(4))
        write(folder, "01.md", 60)
        time.sleep(1.5)
        assert len(built) == 4
    finally:
        stopped.set()
        thread.join(10)


def test_watch_opens_the_encoder_once(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it builds."""
    opened = list[HashingEncoder]()

    def open_encoder(*_: object) -> HashingEncoder:
        opened.append(HashingEncoder())
        return opened[-1]

    def follow_two_changes(_roots: object, _index: object, build: Callable[[], None]) -> None:
        for seed in (50, 51):
            write(folder, "00.md", seed)
            build()

    monkeypatch.setattr("rag.upkeep.open_encoder", open_encoder)
    monkeypatch.setattr("rag.watching.follow", follow_two_changes)
    assert run("index", str(folder), "--watch")[1].count("is live") == 2
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere", "no file or folder"), ("n" * 300, "name too long"), ("od\udce9", "surrogates")]
)
def test_what_cannot_be_watched_is_named(tmp_path: Path, name: str, said: str) -> None:
    """A root that is missing, has an endless name, or one that is no UTF-8, is one error before anything is built."""
    if name.startswith("od"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=said) as caught:
        follow([tmp_path / name], tmp_path / "index", lambda: pytest.fail("it was built"))
    assert name in str(caught.value)


def test_a_name_that_is_no_utf8_ends_the_watch_in_one_line(run: Run, folder: Path) -> None:
    """Such a file that comes later cannot be told of by the system's notices: the watch ends and says so."""

    def come() -> None:
        time.sleep(1.5)
        (folder / "od\udce9.md").write_text("x")

    thread = threading.Thread(target=come)
    thread.start()
    code, _, error = run("index", str(folder), "--watch")
    thread.join()
    assert (code, "cannot be watched" in error.splitlines()[-1], "Traceback" in error) == (1, True, False)


def _until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
