"""Hostile files: each costs itself alone, within limits, and says why."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from rag.building import build_corpus
from rag.encoding import HashingEncoder
from rag.errors import LoadError
from rag.loaders.isolation import Isolated, LimitReached, Limits, ReaderFailed
from rag.loaders.registry import DIRECT, ISOLATED, loader
from rag.loading import ENDINGS
from rag.settings import Settings

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def isolated() -> Iterator[Isolated]:
    """One reading process for all files."""
    with Isolated(Limits(seconds=20, memory_mib=1024)) as opened:
        yield opened


def replaced(name: str, part: str, data: bytes) -> bytes:
    """A real package with one part replaced."""
    buffer = BytesIO()
    with zipfile.ZipFile(FILES / name) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, data if entry == part else old.read(entry))
    return buffer.getvalue()


LAUGHS = b'<!DOCTYPE z [<!ENTITY a "haha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 50) for i in range(8)
)
PARTS = [
    ("report.docx", "word/document.xml"),
    ("slides.pptx", "ppt/slides/slide2.xml"),
    ("report.epub", "EPUB/content.opf"),
]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_zip_bomb(name: str, part: str, isolated: Isolated) -> None:
    """A part of 100 MB of spaces in 100 kB is not unpacked."""
    bomb = replaced(name, part, b"<x>" + b" " * 100_000_000 + b"</x>")
    assert len(bomb) < 200_000
    _refused(Path(name).suffix, bomb, isolated, "unpacks to far more|slide 2 unpacks|has no text")


@pytest.mark.parametrize(("name", "part"), PARTS)
@pytest.mark.parametrize(
    ("doctype", "inside", "reason"),
    [
        (
            LAUGHS + b"]>",
            b"&i;",
            "declares a document type|is no XML that is safe to read",
        ),  # the parser may see it too
        (b'<!DOCTYPE z [<!ENTITY a "haha">]>', b"&a;", "declares a document type"),
        (b'<!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/passwd">]>', b"&a;", "declares a document type"),
        (b"", b"<a>" * 100_000 + b"</a>" * 100_000, "is no XML that is safe to read"),
    ],
    ids=["laughs", "entity", "external", "deep"],
)
def test_xml_bomb(name: str, part: str, doctype: bytes, inside: bytes, reason: str, isolated: Isolated) -> None:
    """In a part that is valid otherwise, entities and bottomless nesting are refused as that, at no cost."""
    with zipfile.ZipFile(FILES / name) as package:
        declaration, end, rest = package.read(part).partition(b"?>")
    text = re.compile(rb"(<(?:w:t|a:t|dc:title)(?: [^>]*)?>)")
    bomb, places = text.subn(lambda tag: tag[1] + inside, declaration + end + doctype + rest, count=1)
    assert (end, places) == (b"?>", 1)
    started = time.perf_counter()
    try:
        said = " ".join(isolated.load(Path(name).suffix, replaced(name, part, bomb)).pages.dropped)
    except ReaderFailed:
        raise
    except LoadError as error:
        said = str(error)
    assert re.search(reason, said)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_xml_that_is_cut(name: str, part: str, isolated: Isolated) -> None:
    """A part that ends too early, or holds nothing, is named; a deck keeps its other slides."""
    for xml in (b"<a", b""):
        _refused(Path(name).suffix, replaced(name, part, xml), isolated, f"'{part}' is no XML that is safe to read")


@pytest.mark.parametrize("part", ["ppt/notesSlides/notesSlide1.xml", "ppt/slides/_rels/slide2.xml.rels"])
def test_damaged_notes_cost_themselves_alone(part: str, isolated: Isolated) -> None:
    """A deck keeps its slides, also the one of the damaged notes, and says what was dropped."""
    content = isolated.load(".pptx", replaced("slides.pptx", part, b"<a"))
    assert content.pages.dropped == (f"the notes page of slide 2 is damaged: '{part}' is no XML that is safe to read",)
    assert "Nobody has to wait for rain" in content.text
    assert "clay | 27 | 5" in content.text
    assert not any("notes" in anchor.label for anchor in content.anchors)


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".epub"])
def test_locked_office_file(suffix: str, isolated: Isolated) -> None:
    """An encrypted Office file, which is no zip, is named as one."""
    _refused(suffix, bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 512, isolated, "encrypted with a password")


@pytest.mark.parametrize("suffix", sorted({*ISOLATED, *DIRECT}))
@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe\x00"]
)
def test_wrong_ending(suffix: str, data: bytes, isolated: Isolated) -> None:
    """Bytes of another kind end in a reason or in text, never in another error."""
    assert "Error" not in _said(suffix, data, isolated)


def test_empty_and_huge_files_cost_themselves_alone(tmp_path: Path) -> None:
    """Of every kind, a file of 0 bytes and one of 1 GB are left out with their reasons, and the rest is indexed."""
    source = tmp_path / "source"
    source.mkdir()
    for suffix in ENDINGS:
        (source / f"empty{suffix}").touch()
        with open(source / f"huge{suffix}", "wb") as stream:
            stream.truncate(10**9)  # the file system stores nothing of it, and a reader would see it all
    (source / "good.txt").write_text("The dam always held.", encoding="utf-8")
    report = build_corpus([source], tmp_path / "index", Settings(), HashingEncoder)
    reasons = {skipped.path: skipped.reason for skipped in report.skipped}
    assert report.documents == 1
    for suffix in ENDINGS:
        assert reasons[f"empty{suffix}"] == "is empty"
        assert "is 954 MiB, more than the 64 MiB that max_file_mib allows" in reasons[f"huge{suffix}"]


def test_pdf_of_pages_in_a_circle(isolated: Isolated) -> None:
    """A page tree that contains itself ends in a reason."""
    pdf = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000>>endobj\n"
        b"trailer<</Root 1 0 R>>\n"
    )
    with pytest.raises(LoadError):
        isolated.load(".pdf", pdf)


def test_html_with_a_million_nested_tags() -> None:
    """The words in the middle are read or a limit is reached, and the next file is read."""
    data = b"<div>" * 1_000_000 + b"the middle" + b"</div>" * 1_000_000
    with Isolated(Limits(seconds=3, seconds_per_mib=0)) as isolated:
        assert _said(".html", data, isolated) in ("the middle\n", "takes longer than 3 seconds to read")
        assert isolated.load(".html", b"<p>next</p>").text == "next\n"


def test_time_limit_costs_one_file() -> None:
    """A file that takes too long is given up, and the next one is read."""
    slow = b"WEBVTT\n\n"
    with Isolated(Limits(seconds=2.5, seconds_per_mib=0)) as isolated:
        isolated.load(".html", b"<p>warm</p>")
        deep = b"<b><i>" * 2_000_000 + slow  # misnested inline tags: each makes the next more expensive
        with pytest.raises(LimitReached, match=r"takes longer than|memory"):
            isolated.load(".html", deep + b"<p>" * 2_000_000)
        assert isolated.load(".html", b"<p>next</p>").text == "next\n"


def test_memory_limit_costs_one_file() -> None:
    """A file that needs more memory than it may is given up, and the next one is read."""
    with Isolated(Limits(memory_mib=256)) as isolated:
        with pytest.raises(LoadError, match=r"memory|crash|parse HTML"):
            isolated.load(".html", b"<p>x" * 8_000_000)
        assert isolated.load(".html", b"<p>next</p>").text == "next\n"


def test_modules_in_the_working_directory_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of documents that holds a selectolax.py is read by selectolax."""
    (tmp_path / "selectolax.py").write_text("import os; os.abort()")
    monkeypatch.chdir(tmp_path)
    with Isolated() as isolated:
        assert isolated.load(".html", b"<p>next</p>").text == "next\n"


@pytest.mark.parametrize("fault", ["raise ImportError('gone')", "import os; os.abort()"])
def test_file_that_the_reader_failed_on_is_tried_again(tmp_path: Path, fault: str) -> None:
    """A library that was missing, or that crashed, is not held against the file once it is there."""
    source, broken = tmp_path / "source", tmp_path / "broken"
    source.mkdir()
    broken.mkdir()
    (source / "good.txt").write_text("The dam always held.")
    (source / "page.html").write_text("<p>So did the mill.</p>")
    (broken / "selectolax.py").write_text(fault)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.loaders.isolation._OWN_PATH", [str(broken)])
        report = build_corpus([source], tmp_path / "index", Settings(), HashingEncoder)
    assert [skipped.path for skipped in report.skipped] == ["page.html"]
    assert build_corpus([source], tmp_path / "index", Settings(), HashingEncoder).skipped == ()


def test_cut_and_flipped_files_end_in_a_reason_or_text(isolated: Isolated) -> None:
    """Every real file, cut at some places and with some bytes changed, is read in part or refused."""
    for path in sorted(FILES.iterdir()):
        data = path.read_bytes()
        for share in (0.1, 0.5, 0.95):
            cut = int(len(data) * share)
            flipped = bytearray(data)
            flipped[cut] ^= 0xFF
            for damaged in (data[:cut], bytes(flipped)):
                assert "Error:" not in _said(path.suffix, damaged, isolated)


@pytest.mark.parametrize("path", sorted((FILES.parent / "findings").iterdir()), ids=lambda path: path.name)
def test_what_fuzzing_found(path: Path) -> None:
    """Files that once made a loader fail are read, or refused with a reason: one of them never comes to an end."""
    with Isolated(Limits(seconds=3, memory_mib=1024)) as isolated:
        said = _said(path.suffix, path.read_bytes(), isolated)
        assert "Error" not in said
        assert ("takes longer than 3 seconds to read" in said) == path.name.startswith("endless")


def _refused(suffix: str, data: bytes, isolated: Isolated, reason: str) -> None:
    assert re.search(reason, _said(suffix, data, isolated))


def _said(suffix: str, data: bytes, isolated: Isolated) -> str:
    """The text with what was dropped of it, or the reason why there is none."""
    try:
        content = isolated.load(suffix, data) if suffix in ISOLATED else loader(suffix)(data)
    except LoadError as error:
        return str(error)
    content.text.encode()
    return content.text + " ".join(content.pages.dropped)
