from __future__ import annotations

from pathlib import Path

import pytest

from evals.reading import Row, parse_object, read_lines, read_text
from rag.errors import UserError


def test_each_getter_gives_the_value_of_its_type() -> None:
    """Texts, numbers, flags, lists and objects come out as they stand in the JSON."""
    row = parse_object(
        '{"t": "x", "i": 3, "f": 0.5, "b": true, "l": ["a"], "o": {"k": "v"}, "r": [{"k": "w"}]}', "here"
    )
    assert (row.text("t"), row.whole("i"), row.number("f"), row.flag("b")) == ("x", 3, 0.5, True)
    assert row.texts("l") == ("a",)
    assert row.row("o").text("k") == "v"
    assert [each.text("k") for each in row.rows("r")] == ["w"]
    assert row.text("i") == "3"  # ids written without quotation marks


@pytest.mark.parametrize(
    ("getter", "value"),
    [
        ("text", ["x"]),
        ("whole", 1.5),
        ("whole", True),
        ("number", "1"),
        ("flag", 1),
        ("items", "x"),
        ("row", []),
        ("rows", [1]),
        ("texts", [1]),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(getter: str, value: object) -> None:
    """The message names the file, the line and the key."""
    with pytest.raises(UserError, match=r"questions\.jsonl, line 4: 'k' must be"):
        getattr(Row("questions.jsonl, line 4", {"k": value}), getter)("k")


def test_a_missing_key_is_refused_and_the_ones_there_are_named() -> None:
    """A reader sees at once what the file has instead."""
    with pytest.raises(UserError, match=r"'id' is missing\. It has: _id, text\."):
        Row("f", {"_id": 1, "text": ""}).text("id")


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    """Blank lines count but give no row, a byte-order mark is no text, U+2028 within a text ends no line."""
    path = tmp_path / "q.jsonl"
    path.write_bytes('\ufeff{"a": 1}\r\n\r\n{"a": "x\u2028y"}\n'.encode())
    assert [(row.where, row.text("a")) for row in read_lines(path)] == [
        ("q.jsonl, line 1", "1"),
        ("q.jsonl, line 3", "x\u2028y"),
    ]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"[" * 100_000, b"\xff\xfe", b"NaN"])
def test_what_is_no_json_object_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    """Neither broken JSON, nor another value, nor another encoding ends in a traceback."""
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        list(read_lines(path))
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """It says which file and why."""
    with pytest.raises(UserError, match=r"none\.json cannot be read: No such file"):
        read_text(tmp_path / "none.json")
