"""Building: killed, raced, starved of disk or fed rubbish, the live version stays, and the next build finishes."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.building import build, build_corpus
from rag.encoding import Encoder, HashingEncoder
from rag.errors import BuildError
from rag.index import Index
from rag.records import Document, Source
from rag.settings import Settings
from rag.versions import IndexFolder
from tests.conftest import REPOSITORY

BUILDER = """
import resource, sys
from pathlib import Path
from rag.building import build_corpus
from rag.encoding import HashingEncoder
from rag.errors import RagError
from rag.settings import Settings
corpus, index, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
print("ready", flush=True)
try:
    print(build_corpus([Path(corpus)], Path(index), Settings(), HashingEncoder).version)
except RagError as error:
    sys.exit(f"refused: {error}")
"""


def corpus(folder: Path, count: int, mark: str) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        lines = (f"In {mark} keeper number {i} counted {i * j} herring on day {j} of the strike." for j in range(40))
        (folder / f"{i:03}.txt").write_text("\n".join(lines))
    return folder


def started(folder: Path, index: Path, limit: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), str(index), str(limit)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out.strip(), err.strip()


def live_text(index: Path) -> str:
    """The first document of the live version, which is checked whole as it is opened."""
    opened = Index.open(IndexFolder(index).live())
    opened.check_spans()
    text = opened.store.document(0).text
    opened.close()
    return text


def test_killed_build_leaves_the_live_version_and_the_next_finishes(tmp_path: Path) -> None:
    """A build killed at any of many moments leaves a whole live version, old or new; the build after it finishes."""
    index, moments = tmp_path / "index", random.Random(4)
    folder = corpus(tmp_path / "corpus", 30, "1900")
    began = time.perf_counter()
    version = build_corpus([folder], index, Settings(), HashingEncoder).version
    took = time.perf_counter() - began
    killed = 0
    for attempt in range(12):
        year = str(1901 + attempt)
        corpus(folder, 30, year)
        before = live_text(index)
        process = started(folder, index)
        time.sleep(moments.random() * took)
        process.send_signal(signal.SIGKILL)
        code, _, _ = finished(process)
        killed += code == -signal.SIGKILL
        after = live_text(index)
        assert after == before or year in after
    assert killed >= 4, "hardly any build was killed: the moments miss it"
    report = build_corpus([folder], index, Settings(), HashingEncoder)
    assert "1912" in live_text(index)
    assert report.version == IndexFolder(index).current() != version
    assert [path.name for path in (index / "versions").iterdir() if path.name.startswith(".")] == []


def test_second_build_is_refused_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    """Of two builds at once, the second is refused in one line; the first goes live."""
    folder, index = corpus(tmp_path / "corpus", 3, "1900"), tmp_path / "index"
    refusals: list[str] = []

    def watch(done: int, total: int) -> None:
        if done == 1:
            code, out, err = finished(started(folder, index))
            assert (code, out) == (1, "")
            refusals.append(err)

    report = build_corpus([folder], index, Settings(), HashingEncoder, watch)
    assert len(refusals) == 1
    assert re.fullmatch(
        rf"refused: Another process is writing the index in .* \(process {os.getpid()}\)\. .*", refusals[0]
    )
    assert IndexFolder(index).current() == report.version


@pytest.mark.parametrize("limit", [2_000, 30_000, 60_000, 120_000])
def test_full_disk_is_one_line_and_changes_nothing(tmp_path: Path, limit: int) -> None:
    """Where no more can be written, the build ends with one line, and the live version answers as before."""
    index = tmp_path / "index"
    build_corpus([corpus(tmp_path / "corpus", 1, "1900")], index, Settings(), HashingEncoder)
    current = IndexFolder(index).current()
    code, out, err = finished(started(corpus(tmp_path / "corpus", 30, "1901"), index, limit))
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("refused: ")
    assert "Traceback" not in err
    assert IndexFolder(index).current() == current
    assert "1900" in live_text(index)
    build_corpus([tmp_path / "corpus"], index, Settings(), HashingEncoder)
    assert "1901" in live_text(index)


def test_unchanged_text_is_never_encoded_twice(tmp_path: Path) -> None:
    """A rebuild encodes nothing; one more document encodes no more than that document's own texts."""
    folder, index, encoder = corpus(tmp_path / "corpus", 3, "1900"), tmp_path / "index", HashingEncoder()
    first = build_corpus([folder], index, Settings(), lambda: encoder)
    assert first.encoded == encoder.encoded > 0
    again = build_corpus([folder], index, Settings(), lambda: encoder)
    assert (again.unchanged, again.version, again.encoded) == (True, first.version, 0)
    (folder / "new.txt").write_text("One sentence about a lighthouse.")
    third = build_corpus([folder], index, Settings(), lambda: encoder)
    assert third.encoded == encoder.encoded - first.encoded == 1  # chunk and segment are the same text
    (folder / "000.txt").unlink()
    fourth = build_corpus([folder], index, Settings(), lambda: encoder)
    assert (fourth.encoded, fourth.documents) == (0, 3)
    texts = build_corpus([folder], tmp_path / "other", Settings(), HashingEncoder)
    assert texts.encoded < texts.chunks + texts.segments


def test_vectors_are_those_of_the_texts(tmp_path: Path) -> None:
    """Row i of the vectors is the encoding of chunk i, row j of segment j, by their own characters."""
    encoder = HashingEncoder()
    build_corpus([corpus(tmp_path / "corpus", 3, "1900")], tmp_path / "index", Settings(), lambda: encoder)
    index = Index.open(IndexFolder(tmp_path / "index").live())
    for number in range(index.manifest.chunks):
        document, span, inside = index.store.chunk(number)
        text = index.store.document(document).text
        assert (index.chunk_vectors.rows([number])[0] == encoder.encode_query(text[span.start : span.end])).all()
        for segment, (place, _) in zip(inside, index.store.segments(inside), strict=True):
            expected = encoder.encode_query(text[place.start : place.end])
            assert (index.segment_vectors.rows([segment])[0] == expected).all()
    index.close()


def test_builds_of_the_same_are_the_same(tmp_path: Path) -> None:
    """Two builds of one corpus have files with equal checksums."""
    folder = corpus(tmp_path / "corpus", 2, "1900")
    manifests = []
    for name in ("a", "b"):
        build_corpus([folder], tmp_path / name, Settings(), HashingEncoder)
        opened = Index.open(IndexFolder(tmp_path / name).live())
        manifests.append(opened.manifest)
        opened.close()
    assert manifests[0].files == manifests[1].files
    assert manifests[0].corpus_sha256 == manifests[1].corpus_sha256


def test_bad_files_are_named_and_the_rest_is_indexed(tmp_path: Path) -> None:
    """Empty, binary, oversized and repeated files are reported by name and reason; the rest is there."""
    folder = corpus(tmp_path / "corpus", 1, "1900")
    (folder / "binary.txt").write_bytes(b"\x7fELF\0\0\0")
    (folder / "copy.txt").write_bytes((folder / "000.txt").read_bytes())
    (folder / "empty.txt").touch()
    with open(folder / "huge.txt", "wb") as stream:
        stream.truncate(200 * 10**6)
    os.mkfifo(folder / "pipe.txt")
    report = build_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)
    assert report.documents == 1
    reasons = {item.path: item.reason for item in report.skipped}
    assert set(reasons) == {"binary.txt", "copy.txt", "empty.txt", "huge.txt", "pipe.txt"}
    assert "000.txt" in reasons["copy.txt"]


@pytest.mark.parametrize("names", [[], ["empty.txt"]])
def test_nothing_to_index_is_refused_before_the_encoder_is_opened(tmp_path: Path, names: Sequence[str]) -> None:
    """A folder without a usable document changes nothing and costs no model."""
    (tmp_path / "corpus").mkdir()
    for name in names:
        (tmp_path / "corpus" / name).touch()

    def never() -> Encoder:
        raise AssertionError("the encoder was opened")

    with pytest.raises(BuildError, match="There is nothing to index in"):
        build_corpus([tmp_path / "corpus"], tmp_path / "index", Settings(), never)
    assert IndexFolder(tmp_path / "index").names() == []


def test_damaged_live_version_is_built_again(tmp_path: Path) -> None:
    """The remedy that messages name works: building again replaces a damaged version, or a CURRENT of nothing."""
    folder, index = corpus(tmp_path / "corpus", 1, "1900"), tmp_path / "index"
    build_corpus([folder], index, Settings(), HashingEncoder)
    (IndexFolder(index).live() / "store.sqlite").write_bytes(b"damaged")
    assert not build_corpus([folder], index, Settings(), HashingEncoder).unchanged
    assert "1900" in live_text(index)
    (index / "CURRENT").write_text("nonsense")
    assert not build_corpus([folder], index, Settings(), HashingEncoder).unchanged
    assert "1900" in live_text(index)


def test_index_folder_may_have_any_name(tmp_path: Path) -> None:
    """Spaces, percent signs, question marks and foreign letters in the folder's name do no harm."""
    folder = tmp_path / "ein Ordner? 100% #1 数字 'x'"
    document = Document("0" * 16, "a.txt", "0" * 64, "The toll of the harbour.", Source())
    build([document], folder, Settings(), HashingEncoder())
    assert live_text(folder) == document.text


def test_settings_that_change_the_index_build_it_anew(tmp_path: Path) -> None:
    """Another chunk length or encoder makes a new version; a setting of the answers does not."""
    folder, index = corpus(tmp_path / "corpus", 1, "1900"), tmp_path / "index"
    build_corpus([folder], index, Settings(), HashingEncoder)
    assert build_corpus([folder], index, Settings(max_quotes=2), HashingEncoder).unchanged
    assert not build_corpus([folder], index, Settings(chunk_tokens=64), HashingEncoder).unchanged
    assert not build_corpus([folder], index, Settings(chunk_tokens=64), lambda: HashingEncoder(32)).unchanged
