"""How a reader came to be: the rounds of training behind it, in a .json beside its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.errors import UserError
from rag.exporting import BUNDLED


@dataclass(frozen=True, slots=True)
class Round:
    """One run of training."""

    trained: str
    """The day, as YYYY-MM-DD."""
    command: str
    longest_text: int
    """Characters."""
    examples_seen: int
    sets: dict[str, int]
    """Examples that were there to be seen, by their origin."""


@dataclass(frozen=True, slots=True)
class History:
    """All rounds behind a reader, in order, and which of them it is the average of, counted from 1."""

    rounds: tuple[Round, ...] = ()
    average_of: tuple[int, ...] = ()

    @classmethod
    def read(cls, reader: Path) -> History:
        """That of the reader in this file. Raises UserError where nothing stands beside it."""
        beside = reader.with_suffix(".json")
        try:
            told = json.loads(beside.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"{beside} is missing: what training and averaging write beside a reader.") from error
        return cls(tuple(Round(**row) for row in told["rounds"]), tuple(told["average_of"]))

    def write(self, reader: Path) -> None:
        """Beside the reader in this file."""
        told = {"base": BUNDLED, **asdict(self)}
        reader.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    def then(self, latest: Round) -> History:
        """With another round after these, whose reader is the average of that one alone."""
        return History((*self.rounds, latest), (len(self.rounds) + 1,))


def merged(histories: Sequence[History]) -> History:
    """That of the average of the readers with these histories; rounds they share are told once."""
    rounds: list[Round] = []
    for history in histories:
        rounds += [each for each in history.rounds if each not in rounds]
    of = {rounds.index(history.rounds[number - 1]) + 1 for history in histories for number in history.average_of}
    return History(tuple(rounds), tuple(sorted(of)))
