"""Updates: what is unchanged is copied, and the result is the one a build from nothing gives."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from rag.building import BuildReport, Incomplete, build_corpus
from rag.encoding import HashingEncoder
from rag.errors import BuildError
from rag.index import Index
from rag.planning import plan_corpus
from rag.settings import Settings
from rag.stash import Stash
from rag.vectorfile import VectorFile
from rag.vectors import FaissVectors
from rag.verifying import verify
from rag.versions import CHUNK_VECTORS, SEGMENT_VECTORS, STORE, IndexFolder

WORDS = "tide mill dam stone clay wheel barley flood pond current winter miller table door salt ferry".split()


def write(folder: Path, name: str, seed: int, sentences: int = 12) -> None:
    chosen = random.Random(seed)
    text = " ".join(" ".join(chosen.choices(WORDS, k=9)).capitalize() + "." for _ in range(sentences))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"# Number {seed}\n\n{text}\n", encoding="utf-8")


def build(folder: Path, index: Path, encoder: HashingEncoder | None = None, *, strict: bool = False) -> BuildReport:
    return build_corpus([folder], index, Settings(), lambda: encoder or HashingEncoder(), strict=strict)


def everything(index_dir: Path) -> tuple[object, ...]:
    """All that a reader can see of the live version, row by row."""
    index = Index.open(IndexFolder(index_dir).live())
    try:
        documents = [(d.path, d.id, d.text, d.anchors, d.source) for d in index.store.documents()]
        chunks = [index.store.chunk(i) for i in range(index.manifest.chunks)]
        segments = index.store.segments(range(index.manifest.segments))
        found = [index.store.search([word], 50) for word in (*WORDS, "number")]
        frequency = [index.store.document_frequency(word) for word in WORDS]
        rows = [
            vectors.rows(range(vectors.count)).tobytes() for vectors in (index.chunk_vectors, index.segment_vectors)
        ]
    finally:
        index.close()
    return documents, chunks, segments, found, frequency, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for i in range(12):
        write(source, f"{i:02}.md", i)
    return source


def test_random_updates_give_what_a_build_from_nothing_gives(tmp_path: Path, folder: Path) -> None:
    """After every round of edits, additions, removals and renames the index equals a new one, scores included."""
    chosen = random.Random(7)
    build(folder, tmp_path / "kept")
    for round_ in range(6):
        for _ in range(chosen.randint(1, 4)):
            names = sorted(path.name for path in folder.iterdir())
            match chosen.choice(["edit", "add", "remove", "rename"]):
                case "edit":
                    write(folder, chosen.choice(names), chosen.randint(100, 999), chosen.randint(3, 40))
                case "add":
                    write(folder, f"{chosen.randint(0, 99):02}-new.md", chosen.randint(100, 999))
                case "remove" if len(names) > 3:
                    (folder / chosen.choice(names)).unlink()
                case _:
                    (folder / chosen.choice(names)).rename(folder / f"{chosen.randint(0, 99):02}-renamed.md")
        build(folder, tmp_path / "kept")
        build(folder, tmp_path / f"new-{round_}")
        assert everything(tmp_path / "kept") == everything(tmp_path / f"new-{round_}")
        checks = list(verify(IndexFolder(tmp_path / "kept").live(), HashingEncoder))
        assert all(check.ok for check in checks), checks


def test_only_what_changed_is_encoded(tmp_path: Path, folder: Path) -> None:
    """A renamed file costs nothing, and an edit at the end of a long file only its last chunk."""
    write(folder, "05.md", 5, sentences=200)
    build(folder, tmp_path / "index")
    (folder / "03.md").rename(folder / "zz.md")
    encoder = HashingEncoder()
    report = build(folder, tmp_path / "index", encoder)
    assert (report.encoded, encoder.encoded, report.changes.renamed, report.changes.removed) == (0, 0, ("zz.md",), ())
    with open(folder / "05.md", "a", encoding="utf-8") as stream:
        stream.write("The very last sentence is new here.\n")
    report = build(folder, tmp_path / "index", encoder)
    assert (report.changes.changed, report.changes.unchanged) == (("05.md",), 11)
    assert 0 < report.encoded <= 4
    assert build(folder, tmp_path / "index", encoder).unchanged


def test_nothing_is_left_of_a_removed_document(tmp_path: Path, folder: Path) -> None:
    """Neither its words, in any file of the next version, nor the room that it took."""
    build(folder, tmp_path / "index")
    write(folder, "05-secret.md", 500, sentences=400)
    with open(folder / "05-secret.md", "a", encoding="utf-8") as stream:
        stream.write("The password was xylophonist.\n")
    build(folder, tmp_path / "index")
    before = (IndexFolder(tmp_path / "index").live() / STORE).read_bytes()
    assert b"xylophonist" in before
    (folder / "05-secret.md").unlink()
    build(folder, tmp_path / "index")
    live = IndexFolder(tmp_path / "index").live()
    for path in live.iterdir():
        data = path.read_bytes()
        assert b"ylophonist" not in data, path.name  # FTS5 leaves out what a word begins with as the one before does
        assert b"05-secret" not in data, path.name
    assert (live / STORE).stat().st_size < len(before)
    assert all(check.ok for check in verify(live, HashingEncoder))


def test_another_encoder_or_chunking_never_mixes(tmp_path: Path, folder: Path) -> None:
    """With other settings every vector is made anew, from the texts that are known."""
    first = build(folder, tmp_path / "index")
    wide = HashingEncoder(dimension=32, name="other")
    report = build(folder, tmp_path / "index", wide)
    assert (report.changes.unchanged, report.chunks) == (12, first.chunks)
    assert wide.encoded > 0
    assert VectorFile(IndexFolder(tmp_path / "index").live() / CHUNK_VECTORS).dimension == 32


def test_plan_says_what_the_build_then_does(tmp_path: Path, folder: Path) -> None:
    """The dry run names the changes and the texts that the build then makes and encodes."""
    build(folder, tmp_path / "index")
    write(folder, "05.md", 500)
    write(folder, "new.md", 501)
    (folder / "07.md").unlink()
    plan = plan_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)
    report = build(folder, tmp_path / "index")
    assert plan.changes == report.changes
    assert plan.chunks_to_encode + plan.segments_to_encode >= report.encoded > 0
    assert plan_corpus([folder], tmp_path / "index", Settings(), HashingEncoder).up_to_date


def _all_of(index: Path) -> list[tuple[Path, int, bytes]]:
    """Every file and folder with the time of its last change, and what is in the files."""
    return [(p, p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in sorted(index.rglob("*"))]


@pytest.mark.parametrize("state", ["closed", "being written", "left by a killed build"])
def test_plan_writes_nothing_and_knows_the_cache(tmp_path: Path, folder: Path, state: str) -> None:
    """Not one byte and no file comes or goes, whatever the state of the embedding cache; and what it holds counts."""
    index, path = tmp_path / "index", tmp_path / "index" / "cache" / "embeddings.sqlite"
    build(folder, index)
    write(folder, "05.md", 500)
    (tmp_path / "one").mkdir()
    shutil.copy(folder / "05.md", tmp_path / "one")
    build(tmp_path / "one", tmp_path / "other")
    other = tmp_path / "other" / "cache" / "embeddings.sqlite"
    with ExitStack() as stack:
        if state == "closed":
            shutil.copy(other, path)
        else:
            end = "time.sleep(60)" if state == "being written" else "os._exit(0)"
            code = (
                "import os, sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
                "db.execute('ATTACH ? AS other', (sys.argv[2],)); "
                "db.execute('INSERT OR REPLACE INTO main.vectors SELECT * FROM other.vectors'); "
                f"print(flush=True); {end}"
            )
            arguments = [sys.executable, "-c", code, str(path), str(other)]
            writer = stack.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE))
            stack.callback(writer.kill)
            assert writer.stdout is not None
            writer.stdout.readline()
        before = _all_of(index)
        plan = plan_corpus([folder], index, Settings(), HashingEncoder)
        assert _all_of(index) == before
    assert (plan.changes.changed, plan.chunks_to_encode, plan.segments_to_encode) == (("05.md",), 0, 0)


@pytest.mark.parametrize("data", [b"no database at all" * 100, b"", None])
def test_plan_takes_a_cache_that_cannot_be_read_for_an_empty_one(
    tmp_path: Path, folder: Path, data: bytes | None
) -> None:
    """A damaged, empty or missing embedding cache costs the estimate, not the plan."""
    build(folder, tmp_path / "index")
    path = tmp_path / "index" / "cache" / "embeddings.sqlite"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    write(folder, "05.md", 500)
    before = _all_of(tmp_path / "index")
    plan = plan_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)
    assert plan.chunks_to_encode > 0
    assert _all_of(tmp_path / "index") == before


@pytest.mark.parametrize("error", [OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), sqlite3.OperationalError("full")])
def test_plan_that_cannot_be_made_says_so(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A full temporary disk, or a process that cannot be started, is one error as in a build."""

    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(Stash, "put", refused)
    with pytest.raises(BuildError, match=re.escape(f"cannot be found out: {error}.")):
        plan_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)


def test_strict_build_refuses_any_loss(tmp_path: Path, folder: Path) -> None:
    """An unreadable file, or a page of a PDF that is only a picture, leaves the live index as it was."""
    version = build(folder, tmp_path / "index").version
    files = Path(__file__).parent.parent / "loaders" / "files"
    shutil.copy(files / "mixed.pdf", folder)
    (folder / "empty.txt").touch()
    with pytest.raises(Incomplete, match="--strict") as caught:
        build(folder, tmp_path / "index", strict=True)
    assert caught.value.losses == ("empty.txt is empty", "mixed.pdf: p. 2 is a picture without text")
    assert IndexFolder(tmp_path / "index").current() == version
    report = build(folder, tmp_path / "index")
    assert (report.files, report.documents, len(report.skipped)) == (14, 13, 1)
    assert (report.pages.seen, report.pages.empty) == (4, 1)
    assert report.pages.dropped == ("mixed.pdf: p. 2 is a picture without text",)


def test_duplicate_takes_over_when_the_first_one_goes(tmp_path: Path, folder: Path) -> None:
    """Two files of one text are one document; when the first is removed the second is it."""
    (folder / "99.md").write_bytes((folder / "00.md").read_bytes())
    report = build(folder, tmp_path / "index", strict=True)
    assert [(s.path, s.lost) for s in report.skipped] == [("99.md", False)]
    (folder / "00.md").unlink()
    assert build(folder, tmp_path / "index").changes.renamed == ("99.md",)


def test_damaged_live_version_is_not_copied_from(tmp_path: Path, folder: Path) -> None:
    """One flipped bit, and the next build makes everything again, from the cache."""
    build(folder, tmp_path / "index")
    vectors = IndexFolder(tmp_path / "index").live() / CHUNK_VECTORS
    data = bytearray(vectors.read_bytes())
    data[len(data) // 2] ^= 1
    vectors.write_bytes(data)
    encoder = HashingEncoder()
    assert not build(folder, tmp_path / "index", encoder).unchanged
    assert encoder.encoded == 0
    build(folder, tmp_path / "new")
    assert everything(tmp_path / "index") == everything(tmp_path / "new")


def test_vector_file_is_faiss_own(tmp_path: Path, folder: Path) -> None:
    """What is written row by row is read by FAISS, and holds the same rows."""
    build(folder, tmp_path / "index")
    path = IndexFolder(tmp_path / "index").live() / SEGMENT_VECTORS
    rows = np.concatenate(list(VectorFile(path).blocks()))
    opened = FaissVectors.read(path)
    assert opened.count == len(rows)
    assert np.array_equal(opened.rows(range(len(rows))), rows)


def test_index_within_the_folder_is_no_part_of_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built again beside its documents, an index neither holds nor reports its own files; planning does the same."""
    monkeypatch.chdir(folder)
    for _ in range(2):
        report = build(Path(), Path("index"))
        assert (report.documents, report.skipped) == (12, ())
    assert report.unchanged
    assert plan_corpus([folder], folder / "index", Settings(), HashingEncoder).skipped == ()


def test_hostile_names(tmp_path: Path) -> None:
    """Names with line ends, dots, emoji and 255 bytes are indexed under the name they have."""
    folder = tmp_path / "source"
    folder.mkdir()
    names = ["line\nend.md", "a..md", "🦊🧂.md", "x" * 252 + ".md", "a'b\"c;--.md", "$(touch x).md"]
    for i, name in enumerate(names):
        write(folder, name, i)
    (folder / "loop").symlink_to(folder)
    (folder / "self.md").symlink_to(folder / "self.md")
    (folder / "out.md").symlink_to("/etc/hostname")
    report = build(folder, tmp_path / "index")
    index = Index.open(IndexFolder(tmp_path / "index").live())
    assert sorted(d.path for d in index.store.documents()) == sorted(names)
    index.close()
    assert {skipped.path for skipped in report.skipped} == {"loop", "self.md", "out.md"}


def test_clock_set_back(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version built by an earlier clock is still the newer one, and rollback goes to the one before it."""
    import datetime as real

    from rag import versions

    first = build(folder, tmp_path / "index").version

    class Earlier(real.datetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> Earlier:
            return cls(2001, 1, 1, tzinfo=tz)

    class Module:
        datetime = Earlier
        UTC = real.UTC

    monkeypatch.setattr(versions, "datetime", Module)
    write(folder, "05.md", 500)
    second = build(folder, tmp_path / "index").version
    assert IndexFolder(tmp_path / "index").names() == [first, second]


def test_second_build_is_refused(tmp_path: Path, folder: Path) -> None:
    """Two builds at once: the second ends at once, naming the first."""
    build(folder, tmp_path / "index")
    with IndexFolder(tmp_path / "index").writing(), pytest.raises(BuildError, match="Another process is writing"):
        build(folder, tmp_path / "index")
