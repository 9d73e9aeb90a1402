"""Reading files of JSON so that whatever is wrong in them is said in one line that names the place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rag.errors import UserError


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON object and where it stands."""

    where: str
    """As a person finds it: "corpus.jsonl, line 3"."""
    values: Mapping[str, object]

    def text(self, key: str, default: str | None = None) -> str:
        """A text; a number counts as one, for ids written without quotation marks."""
        value = self._value(key, default)
        return str(value) if isinstance(value, str) or _is_number(value) else self._refuse(key, "a text")

    def whole(self, key: str) -> int:
        """A whole number."""
        value = self._value(key, None)
        return value if isinstance(value, int) and _is_number(value) else self._refuse(key, "a whole number")

    def number(self, key: str, default: float | None = None) -> float:
        """Any number."""
        value = self._value(key, default)
        return float(value) if isinstance(value, int | float) and _is_number(value) else self._refuse(key, "a number")

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._value(key, default)
        return value if isinstance(value, bool) else self._refuse(key, "true or false")

    def texts(self, key: str, default: list[object] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        values = self.items(key, default)
        return tuple(v for v in values if isinstance(v, str) or self._refuse(key, "a list of texts"))

    def items(self, key: str, default: list[object] | None = None) -> list[object]:
        """A list of anything."""
        value = self._value(key, default)
        return value if isinstance(value, list) else self._refuse(key, "a list")

    def row(self, key: str) -> Row:
        """An object."""
        value = self._value(key, None)
        return Row(f"{self.where}, {key}", value) if isinstance(value, dict) else self._refuse(key, "an object")

    def rows(self, key: str, default: list[object] | None = None) -> list[Row]:
        """A list of objects."""
        return [
            Row(f"{self.where}, {key} {i}", v) if isinstance(v, dict) else self._refuse(key, "a list of objects")
            for i, v in enumerate(self.items(key, default))
        ]

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key, default)
        if value is None:
            raise UserError(f"{self.where}: {key!r} is missing. It has: {', '.join(self.values) or 'nothing'}.")
        return value

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        raise UserError(f"{self.where}: {key!r} must be {wanted}, not {str(self.values.get(key))[:60]!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_text(path: Path) -> str:
    """A UTF-8 file with its own line ends, without a byte-order mark. Raises UserError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start} does not fit. Save it as UTF-8.") from error


def parse_object(text: str, where: str) -> Row:
    """One JSON object. Raises UserError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UserError(f'{where}: must be a JSON object, such as {{"id": …}}.')
    return Row(where, value)


def read_lines(path: Path) -> Iterator[Row]:
    """The objects of a JSON Lines file; blank lines are passed over. Raises UserError."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield parse_object(line, f"{path.name}, line {number}")
