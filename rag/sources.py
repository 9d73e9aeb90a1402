"""`sources.toml`: what people know of the documents in a folder, beside what the files say themselves.

One table a file, named by its path relative to the folder:

    ["talk.txt"]
    title = "…"
    kind = "transcript"
    date = "2024-09"
    speakers = ["Ada", "Grace"]
    turns = [{ speaker = "Ada", from = "verbatim first words of the turn" }, { speaker = "", from = "…" }]

Every key may be left out. A turn holds until the next one; one without a speaker says that who speaks is not known.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from rag.errors import SourcesError
from rag.records import Anchor, AnchorKind, Source

FILE_NAME = "sources.toml"
_LISTS = ("authors", "speakers", "questions")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One file's entry."""

    source: Source
    turns: tuple[tuple[str, str], ...] = ()
    """Pairs of speaker and the verbatim words the turn begins with, in the order of the text."""


def read_sources(folder: Path) -> dict[str, SourceEntry]:
    """The entries of `folder`/sources.toml by path; empty where there is no such file.

    Raises SourcesError, naming the entry and the valid keys, for anything that cannot be used.
    """
    path = folder / FILE_NAME
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourcesError(f"{path} cannot be read: {error}.") from error
    return {name: _entry(path, name, table) for name, table in tables.items()}


def _entry(path: Path, name: str, table: object) -> SourceEntry:
    where = f'{path}, entry "{name}"'
    if not isinstance(table, dict):
        raise SourcesError(f'{where}: write a table, such as ["{name}"] and below it title = "…".')
    valid = [f.name for f in fields(Source)]
    values: dict[str, str | tuple[str, ...]] = {}
    for key, value in table.items():
        if key == "turns":
            continue
        if key not in valid:
            raise SourcesError(f"{where}: unknown key {key!r}. Valid keys: {', '.join([*valid, 'turns'])}.")
        if key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise SourcesError(f'{where}: {key} must be a list of texts, such as ["Ada Lovelace"].')
            values[key] = tuple(value)
        else:
            if isinstance(value, bool | list | dict):
                raise SourcesError(f"{where}: {key} must be a text.")
            values[key] = str(value).strip()  # a TOML date prints as ISO 8601
    turns = table.get("turns", [])
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict) and set(turn) == {"speaker", "from"} and all(isinstance(v, str) for v in turn.values())
        for turn in turns
    ):
        raise SourcesError(f'{where}: turns must be a list such as [{{ speaker = "Ada", from = "first words" }}].')
    return SourceEntry(
        Source(**values),  # type: ignore[arg-type]  # each key was checked against its field above
        tuple((turn["speaker"], turn["from"]) for turn in turns),
    )


def speaker_anchors(text: str, entry: SourceEntry, path: str) -> tuple[Anchor, ...]:
    """The entry's turns as anchors in the text.

    Raises SourcesError where a turn's first words do not stand in the text after the turn before.
    """
    anchors: list[Anchor] = []
    position = 0
    for speaker, words in entry.turns:
        pattern = re.compile(r"\s+".join(re.escape(word) for word in words.split()))  # a line may break anywhere
        found = pattern.search(text, position) if words.strip() else None
        if found is None:
            raise SourcesError(
                f'{FILE_NAME}, entry "{path}": the turn of {speaker or "an unknown speaker"} begins with {words!r}, '
                "which does not stand in the file after the turn before. Copy the words exactly as they are there."
            )
        anchors.append(Anchor(found.start(), AnchorKind.SPEAKER, speaker))
        position = found.end()
    return tuple(anchors)
