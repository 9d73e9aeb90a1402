"""Loading: encodings, marks and line ends, and every file that cannot be read."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BuildError, LoadError, SourcesError
from rag.loading import CorpusFile, find_files, load_document, load_markdown, unused_entries
from rag.records import AnchorKind, Document, Source
from rag.sources import SourceEntry
from rag.texts import decode

MIB = 2**20
SHA256 = {
    "000_97e6ae6e8d770790.txt": "acec2bb059f58e18892e3ad054d0b4780903895ed343313640d15652a0176193",
    "001_8a74b926aa5c5ac4.txt": "a2a7c373603b73127226c9ca63c40746bd79bbebed47f3beca25d7408fe37e22",
    "002_e80a375d7ef81597.txt": "e8fd38c34a11a01f4b3d586a1f360a10dd5531d12ce1f0ad422f2ffca9b5114c",
    "003_229cc8bde3708a77.txt": "9ffeaa9b4562e4abbd443fd81465829bf7f23239782b88a77210ebf362c02ee5",
    "004_1abdb6114702b570.txt": "dbdafe6889b4e02a56e56762fa27be7d3f8a073cb4af810d855b3af0555296d1",
}


def load(path: Path, max_bytes: int = MIB) -> Document:
    return load_document(CorpusFile(path, path.name, SourceEntry(Source())), max_bytes=max_bytes)


def test_seeds_are_the_files_that_were_given(seeds: Path) -> None:
    """The five documents are there byte for byte, and nothing else but their sources."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in seeds.glob("*.txt")}
    assert found == SHA256
    assert {path.name for path in seeds.iterdir()} == {*SHA256, "sources.toml"}


def test_seeds_load_as_their_own_characters(seeds: Path) -> None:
    """A seed's text is what Python reads from the file, with its own line ends."""
    for name, sha256 in SHA256.items():
        document = load(seeds / name)
        with open(seeds / name, encoding="utf-8", newline="") as stream:
            assert document.text == stream.read()
        assert document.sha256 == sha256
        assert document.id == hashlib.sha256(document.text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encoding_and_line_ends_are_kept(tmp_path: Path, encoding: str, ends: str) -> None:
    """In every encoding with a mark the text is its characters, line ends as they are, without the mark."""
    text = ends.join(["Ação in Ελλάδα", "数字经济 😀", "", "end"])
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert load(tmp_path / "a.txt").text == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf8_is_read_as_it_is(text: str) -> None:
    """Any text without NUL comes back from its UTF-8 bytes, with or without a mark."""
    text = text.replace("\0", "").lstrip("\ufeff")
    assert decode(text.encode()) == decode(text.encode("utf-8-sig")) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Le café est fermé : l’été, “on” dîne dehors à Besançon, où Noël se fête déjà."),
        ("cp1252", "A inovação tecnológica não é só uma questão de educação, disse o ministro em São Paulo."),
        ("cp1252", "The “digital economy” – as it’s called – grew fast… Proença said “yes”, he’s sure."),
        ("cp1250", "Największe miasta muszą decydować o swoich portach i cłach, napisał strażnik latarni."),
        ("cp1251", "Харбинский порт был построен инженером и долго кормил город, говорит смотритель маяка."),
        ("shift_jis", "港は技師によって建てられ、町を百年のあいだ支えました。漁師たちは通行料を払いました。"),
        ("gb18030", "港口由工程师建造，一个世纪以来一直维持着这座城市。渔民们支付通行费，然后罢工。"),
    ],
)
def test_other_encodings_are_detected(encoding: str, text: str) -> None:
    """A text in a common encoding without a mark is read as written."""
    assert decode((text * 3).encode(encoding)) == text * 3


def test_detection_looks_where_the_encoding_shows() -> None:
    """A long file whose first accent comes late is read, not refused as ASCII that is none."""
    text = "plain words " * 40_000 + "déjà vu au café, l'été à Besançon, où Noël se fête"
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n", "is empty"),
        (b"\xef\xbb\xbf \n", "has no text in it"),
        (b"PK\x03\x04\x00\x00\x08", "is a binary file"),
        (b"\x7fELF" + bytes(range(256)) * 20, "is a binary file"),
        (b"\xff\xfea", "begins with a utf-16-le mark but is not utf-16-le text"),
        (b"\xef\xbb\xbf\xff\xfe", "begins with a utf-8 mark but is not utf-8 text"),
    ],
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """An empty, binary or mis-encoded file is refused with its reason."""
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(LoadError, match=reason):
        load(tmp_path / "a.txt")


def test_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    """A file of 200 MB is refused by its size, with the setting that governs it, before it is read."""
    with open(tmp_path / "a.txt", "wb") as stream:
        stream.truncate(200 * 10**6)
    started = time.perf_counter()
    with pytest.raises(LoadError, match=r"is 191 MiB, more than the 64 MiB that max_file_mib allows"):
        load(tmp_path / "a.txt", 64 * MIB)
    assert time.perf_counter() - started < 0.1


def test_limit_is_inclusive(tmp_path: Path) -> None:
    """A file of exactly the limit is read; one byte more is refused."""
    (tmp_path / "a.txt").write_bytes(b"a" * 1000)
    assert len(load(tmp_path / "a.txt", 1000).text) == 1000
    with pytest.raises(LoadError, match="max_file_mib"):
        load(tmp_path / "a.txt", 999)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A named pipe that nobody writes does not stop the build, and a folder called like a file is none."""
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(LoadError, match="is not a regular file"):
        load(tmp_path / "pipe.txt")
    with pytest.raises(LoadError, match="cannot be read"):
        load(tmp_path / "folder.txt")


def test_missing_and_forbidden_files_are_refused(tmp_path: Path) -> None:
    """A file that is gone, or may not be read, is refused in the system's words."""
    with pytest.raises(LoadError, match="cannot be read: No such file or directory"):
        load(tmp_path / "gone.txt")
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "a.txt").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root may read anything")
    with pytest.raises(LoadError, match="cannot be read: Permission denied"):
        load(tmp_path / "a.txt")


def test_kind_that_is_not_read_names_those_that_are(tmp_path: Path) -> None:
    """A file of another kind is refused with the list of kinds."""
    (tmp_path / "a.xyz").write_text("text")
    with pytest.raises(LoadError, match=r"these are: \.csv, .*\.md, .*\.txt"):
        load(tmp_path / "a.xyz")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_markdown_headings_are_anchors(end: str) -> None:
    """Headings are found whatever the line ends, without closing marks, and not inside fenced code."""
    lines = ["# One", "text", "```python", "# comment", "~~~", "```", "  ## Two ##  ", "####### no", "#no", "# C#", "#"]
    text, anchors = load_markdown(end.join(lines).encode())
    assert [anchor.label for anchor in anchors] == ["One", "Two", "C#"]
    assert all(anchor.kind is AnchorKind.HEADING for anchor in anchors)
    assert all(text[anchor.start :].lstrip(" ").startswith("#") for anchor in anchors)
    assert text == end.join(lines)


@pytest.mark.parametrize(
    "lines",
    [
        ["````", "```", "# not", "```", "````"],
        ["~~~~~ md", "~~~", "# not", "~~~~~~ "],
        ["```", "``` python", "# not", "`````"],
        ["a", "``` code ```"],
    ],
)
def test_code_ends_at_a_fence_as_long_as_its_first(lines: list[str]) -> None:
    """A shorter fence, or one with words after it, stands in the code; one with its own end on its line opens none."""
    _, anchors = load_markdown("\n".join([*lines, "# Yes"]).encode())
    assert [anchor.label for anchor in anchors] == ["Yes"]


def test_markdown_takes_linear_time() -> None:
    """Headings of white space, and thousands of fences and headings, do not slow loading down."""
    started = time.perf_counter()
    load_markdown(b"# a" + b" \t" * 100_000 + b"x" + b" #" * 100_000 + b"y")
    _, anchors = load_markdown(b"```\n```\n# h\n" * 20_000)
    assert len(anchors) == 20_000
    assert time.perf_counter() - started < 2


def test_first_heading_is_the_title(tmp_path: Path) -> None:
    """A Markdown file without an entry is cited by its first heading, a text file by its name."""
    (tmp_path / "a.md").write_text("intro\n\n# The Harbour\n\ntext\n")
    (tmp_path / "a.txt").write_text("# The Harbour\n")
    assert load(tmp_path / "a.md").title == "The Harbour"
    assert load(tmp_path / "a.txt").title == "a.txt"


def test_turns_become_anchors_in_order(tmp_path: Path) -> None:
    """The turns of an entry are anchors at their first words, sorted together with the headings."""
    (tmp_path / "a.md").write_text("# Talk\ngood\nmorning all # thank you\n## End\nbye")
    entry = SourceEntry(Source(), (("Ada", "good morning"), ("", "thank you")))
    document = load_document(CorpusFile(tmp_path / "a.md", "a.md", entry), max_bytes=MIB)
    assert [(document.text[a.start :][:4], a.label) for a in document.anchors] == [
        ("# Ta", "Talk"),
        ("good", "Ada"),
        ("than", ""),
        ("## E", "End"),
    ]
    wrong = SourceEntry(Source(), (("Ada", "thank you"), ("Bob", "good morning")))
    with pytest.raises(SourcesError, match=r'entry "a.md".*Bob.*good morning.*after the turn before'):
        load_document(CorpusFile(tmp_path / "a.md", "a.md", wrong), max_bytes=MIB)


def test_find_files_walks_sorted_and_reports(tmp_path: Path) -> None:
    """Files come sorted by path; hidden ones are passed over, other kinds reported."""
    for name in ("b/z.txt", "a.TXT", "b/.hidden/x.txt", ".hidden.txt", "c.md", "b/picture.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "sources.toml").write_text('["b/z.txt"]\ntitle = "Zed"\n')
    files, skipped = find_files([tmp_path])
    assert [file.path for file in files] == ["a.TXT", "b/z.txt", "c.md"]
    assert files[1].entry.source.title == "Zed"
    assert [item.path for item in skipped] == ["b/picture.png"]


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    """A link within the folder is read; one that leads out, to itself, or to a folder is reported by name."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "real.txt").write_text("real")
    (corpus / "inside.txt").symlink_to("real.txt")
    (corpus / "out.txt").symlink_to("../outside/secret.txt")
    (corpus / "loop.txt").symlink_to("loop.txt")
    (corpus / "folder").symlink_to("../outside")
    files, skipped = find_files([corpus])
    assert [file.path for file in files if file.path != "loop.txt"] == ["inside.txt", "real.txt"]
    assert [(item.path, item.reason) for item in skipped] == [
        ("folder", "is a link to a folder, which is not followed"),
        ("out.txt", "is a link that leads out of the folder"),
    ]
    with pytest.raises(LoadError, match="cannot be read"):
        load(corpus / "loop.txt")


def test_files_of_several_roots_keep_their_own_paths(tmp_path: Path) -> None:
    """Files of one name from different folders are all there, each under a path of its own."""
    for folder in ("1/docs", "2/docs", "3/docs"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.txt").write_text(folder)
    folders, _ = find_files([tmp_path / name for name in ("1/docs", "2/docs", "3/docs")])
    single, _ = find_files([tmp_path / name / "a.txt" for name in ("1/docs", "2/docs", "3/docs")])
    for files in (folders, single):
        assert len({file.path for file in files}) == len({file.location for file in files}) == 3
        assert "a.txt" in {file.path for file in files}


def test_single_file_takes_its_entry(tmp_path: Path) -> None:
    """A file named alone takes its entry from the sources.toml beside it."""
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "sources.toml").write_text('["a.txt"]\ntitle = "Alpha"\n')
    files, skipped = find_files([tmp_path / "a.txt"])
    assert [(file.path, file.entry.source.title) for file in files] == [("a.txt", "Alpha")]
    assert skipped == []


def test_entries_that_are_not_used_are_named(tmp_path: Path) -> None:
    """What is written otherwise than the file's path, is no file that is read, or is not there; and nothing else."""
    (tmp_path / "b").mkdir()
    for name in ("a.txt", "b/z.txt", "p.png"):
        (tmp_path / name).write_text("x")
    entries = ["a.txt", "b/z.txt", "./a.txt", f"{tmp_path}/b/z.txt", "b", "p.png", "gone.txt", "\\u0000", ""]
    (tmp_path / "sources.toml").write_text("".join(f'["{name}"]\n' for name in entries))
    unused = unused_entries([tmp_path], find_files([tmp_path])[0])
    assert [line.removeprefix(f"{tmp_path / 'sources.toml'} names ") for line in unused] == [
        "'./a.txt', which must be written 'a.txt'",
        f"'{tmp_path}/b/z.txt', which must be written 'b/z.txt'",
        "'b', which is no file that is read",
        "'p.png', which is no file that is read",
        "'gone.txt', which is not there",
        "'\\x00', which is not there",
        "'', which is no file that is read",
    ]


def test_sources_of_a_folder_below_are_reported(tmp_path: Path) -> None:
    """Only those of the root are read; others are named, and no loss."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "z.txt").write_text("x")
    for name in ("sources.toml", "b/sources.toml"):
        (tmp_path / name).write_text('["z.txt"]\ntitle = "Zed"\n')
    files, skipped = find_files([tmp_path])
    assert [file.entry.source.title for file in files] == [""]
    assert [(item.path, item.lost) for item in skipped] == [("b/sources.toml", False)]


@pytest.mark.parametrize("name", ["nowhere", "n" * 300])
def test_root_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    """A root that does not exist, or cannot, is a build error that names it."""
    with pytest.raises(BuildError, match=name):
        find_files([tmp_path / name])


def test_file_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    """A file name of bytes that are no UTF-8 is indexed under a path that can be stored and printed."""
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as stream:
        stream.write("text")
    files, _ = find_files([tmp_path])
    assert [file.path for file in files] == ["caf\ufffd.txt"]
    assert load(files[0].location).text == "text"
