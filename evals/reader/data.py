"""Examples to train the reader on: a question, a text, and where in the text the answer stands, if it does.

Training sets hold few questions that a text on the same subject does not answer, so most of these are made:
near (the nearest other texts of the set), own (another part of the text that answers) and swapped (a name,
number or opposite in the question put in the place of another). A machine's near misses are easy, though: those of
`written.jsonl.xz` were written to be hard, by reading each passage.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from rag.errors import UserError
from rag.reading import Reader

SHORTEST, LONGEST = 150, 700
"""Characters of a text: a window is made of whole sentences, up to a length chosen between the two."""
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[A-Z\"“‘(])|\n+")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w'’-]+(?: (?:of |the )?[A-Z][\w'’-]+)*")
"""Words with a capital within a sentence."""
_OPPOSITES = (
    ("first", "last"),
    ("before", "after"),
    ("increase", "decrease"),
    ("increased", "decreased"),
    ("more", "less"),
    ("most", "least"),
    ("largest", "smallest"),
    ("highest", "lowest"),
    ("north", "south"),
    ("east", "west"),
    ("northern", "southern"),
    ("eastern", "western"),
    ("oldest", "youngest"),
    ("early", "late"),
    ("advantages", "disadvantages"),
    ("public", "private"),
    ("import", "export"),
    ("supported", "opposed"),
    ("began", "ended"),
    ("started", "stopped"),
    ("won", "lost"),
    ("old", "new"),
    ("male", "female"),
    ("major", "minor"),
    ("above", "below"),
    ("allowed", "forbidden"),
    ("domestic", "foreign"),
    ("urban", "rural"),
)
_BLOCK = 512
"""Questions compared with all texts at once."""
_FOLLOWING = 0.12
"""How often a question comes after another one."""
_NEAREST = 5
"""Nearest texts whose windows are near misses."""
_READ = 6
"""Candidates among which one is chosen."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question and one text."""

    question: str
    text: str
    start: int
    """Characters; -1 where the text does not answer."""
    end: int
    origin: str
    """The set, and how the example was made where the set does not hold it."""

    @property
    def answered(self) -> bool:
        return self.start >= 0


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a set is used, in questions, and how many unanswered examples are made of it."""

    most: int
    made: float = 0.0
    """Made examples as a share of the set's answered ones."""
    times: int = 1
    """How often each question is seen, in windows of its own."""


SHARES = {
    "squadshifts/new_wiki": Share(4000, made=0.5),
    "squad_train_val5": Share(2500, made=0.5),
    "squad_flan_eval": Share(2500, made=0.5),
    "squadshifts/amazon_reviews": Share(2000, made=0.3),
    "squadshifts/reddit": Share(2000, made=0.3),
    "squad_kou_sentences": Share(2500, made=0.3),
    "nq_oracle": Share(2000, made=0.5),
    "sleepqa": Share(1000, made=0.3),
    "sleepqa/neg": Share(500),
    "omosqa_en": Share(1000, made=0.3),
    "selqa": Share(1500, made=0.3),
    "quoref_sapt": Share(1100, made=0.3),
    "fairytaleqa": Share(1500, made=0.3),
    "qamr": Share(1500, made=0.3),
    "tatqa": Share(800, made=0.3),
    "written": Share(200_000, made=0.1, times=2),
}
"""By measured worth: what was written for this most, reviews and stories less; `qamr` has few texts."""
WRITTEN = Path(__file__).with_name("written.jsonl.xz")
"""Questions written for this by a language model (docs/reader.md), most of them unanswered. A line is a passage: the
first 16 digits of its SHA-256; its text, where that was written for this too (the others are those of the sets); and
what is asked: each a question, and the characters of the answer where the passage holds one."""
_KINDS = {"swapped": 0.4, "near": 0.4, "own": 0.2}
"""How often an unanswered example is of a kind, where the question allows all."""
_HARDEST = 0.5
"""How often the one that the reader of before believes most is taken, not any."""


def load(folder: Path, seed: int, reader: Reader | None = None) -> list[Example]:
    """All examples of the sets in `folder` (`*.jsonl.xz`), shuffled; the same for the same seed and reader.

    With a reader, half of the unanswered examples are those of several that it believes most to be answered. Raises
    UserError where the folder holds no set.
    """
    chance = random.Random(seed)  # noqa: S311
    examples: list[Example] = []
    for origin, found in _sets(folder).items():
        share = SHARES[origin]
        chance.shuffle(found)
        found = found[: share.most]
        asked: dict[str, list[str]] = {}
        for example in found:
            asked.setdefault(example.text, []).append(example.question)
        answered = [example for example in found if example.answered]
        chosen = (answered * 2)[: round(share.made * len(answered))]
        shown = found * share.times
        examples += [_followed(_window(example, chance), asked[example.text], chance) for example in shown]
        examples += [
            _followed(miss, asked[example.text], chance)
            for example, miss in _near_misses(chosen, found, reader, chance)
        ]
    chance.shuffle(examples)
    return [_varied(example, chance) for example in examples]


def _sets(folder: Path) -> dict[str, list[Example]]:
    """Rows of the sets in SHARES that mark a span or say that there is none; the written ones last."""
    sets: dict[str, list[Example]] = {}
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.jsonl.xz")):
        for row in _rows(path):
            text = " ".join(row["passage"].split())
            texts[hashlib.sha256(text.encode()).hexdigest()[:16]] = text
            if row["source"] not in SHARES or (row["start"] is None and row["answerable"]):
                continue
            start, end = (row["start"], row["end"]) if row["answerable"] else (-1, -1)
            sets.setdefault(row["source"], []).append(
                Example(row["question"], row["passage"], start, end, row["source"])
            )
    if not texts:
        raise UserError(f"{folder} holds none of the training sets (*.jsonl.xz); docs/reader.md names them.")
    sets["written"] = _written(texts)
    return sets


def _written(texts: Mapping[str, str]) -> list[Example]:
    """The examples of WRITTEN whose passage is with it or among `texts`, by what it is named there."""
    found = []
    for row in _rows(WRITTEN):
        passage: str = row.get("text") or texts.get(row["passage"], "")
        for question, *span in row["asked"] if passage else ():
            start, end = span or (-1, -1)
            found.append(Example(question, passage, start, end, "written"))
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a packed file of JSON Lines."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _near_misses(
    chosen: Sequence[Example], examples: Sequence[Example], reader: Reader | None, chance: random.Random
) -> Iterator[tuple[Example, Example]]:
    """Each answered example with one that its text does not answer."""
    texts = list(dict.fromkeys(example.text for example in examples))
    words = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    by_text = words.fit_transform(texts).T.tocsc() if chosen else None
    names = [name for example in chosen for name in _NAME.findall(example.question)]
    for at in range(0, len(chosen), _BLOCK):
        block = chosen[at : at + _BLOCK]
        likeness = (words.transform([example.question for example in block]) @ by_text).toarray()
        for example, nearest in zip(block, np.argsort(-likeness, axis=1)[:, :_NEAREST], strict=True):
            candidates = {
                "swapped": _swapped(example, names, chance),
                "near": _unanswering(example, [texts[i] for i in nearest if texts[i] != example.text], "near", chance),
                "own": _unanswering(example, [example.text], "own", chance),
            }
            held = [kind for kind in _KINDS if candidates[kind]]
            if held:
                (kind,) = chance.choices(held, [_KINDS[kind] for kind in held])
                yield example, _chosen(candidates[kind], reader, chance)


def _chosen(candidates: Sequence[Example], reader: Reader | None, chance: random.Random) -> Example:
    """Any of them, or the one that the reader believes most to be answered."""
    if reader is None or len(candidates) == 1 or chance.random() >= _HARDEST:
        return chance.choice(candidates)
    if len({example.question for example in candidates}) == 1:
        readings = reader.read(candidates[0].question, [example.text for example in candidates])
    else:
        readings = [reader.read(example.question, [example.text])[0] for example in candidates]
    return min(zip(candidates, readings, strict=True), key=lambda pair: pair[1].nowhere)[0]


def _unanswering(example: Example, texts: Sequence[str], kind: str, chance: random.Random) -> list[Example]:
    """The question with each window of the texts that does not hold the answer's words."""
    answer = example.text[example.start : example.end].lower().strip()
    size = chance.randint(SHORTEST, LONGEST)
    windows = [text[start:end].strip() for text in texts for start, end in _windows(text, size)]
    return [
        Example(example.question, window, -1, -1, f"{example.origin} {kind}")
        for window in windows
        if len(window) >= SHORTEST // 2 and answer not in window.lower()
    ][:_READ]


def _shared(question: str, text: str) -> int:
    """Words that both hold."""
    return len(set(question.lower().split()).intersection(text.lower().split()))


def _swapped(example: Example, names: Sequence[str], chance: random.Random) -> list[Example]:
    """The text with questions that ask for something near what it says."""
    options = (
        _other_name(example, names, chance),
        _other_name(example, names, chance),
        _other_number(example, chance),
        _opposite(example, chance),
    )
    text = _window(example, chance).text
    return [Example(option, text, -1, -1, f"{example.origin} swapped") for option in dict.fromkeys(options) if option]


def _other_name(example: Example, names: Sequence[str], chance: random.Random) -> str:
    """The question about another name: half the time one that its text holds too."""
    held = list(_NAME.finditer(example.question))
    if not held:
        return ""
    name = chance.choice(held)
    answer = example.text[example.start : example.end]
    own: list[str] = [n for n in dict.fromkeys(_NAME.findall(example.text)) if n not in answer and answer not in n]
    pool = own if own and chance.random() < 0.5 else list(names)
    pool = [n for n in pool if n.lower() not in example.question.lower() and name[0].lower() not in n.lower()]
    if not pool:
        return ""
    return example.question[: name.start()] + chance.choice(pool) + example.question[name.end() :]


def _other_number(example: Example, chance: random.Random) -> str:
    """The question about another number: a year some years off, or another amount."""
    held = list(_NUMBER.finditer(example.question))
    if not held:
        return ""
    number = chance.choice(held)
    digits = number[0].replace(",", "").replace(".", "")
    value = int(digits) if len(digits) < 12 else 0
    is_year = len(number[0]) == 4 and number[0].isdigit() and 1000 <= value < 2100
    other = value + chance.choice([-1, 1]) * chance.randint(1, 12) if is_year else value * 2 + chance.randint(1, 9)
    if str(other) in example.text:
        return ""
    return example.question[: number.start()] + str(other) + example.question[number.end() :]


def _opposite(example: Example, chance: random.Random) -> str:
    """The question with one word in the place of its opposite."""
    words = {word: other for a, b in _OPPOSITES for word, other in ((a, b), (b, a))}
    held = [match for match in re.finditer(r"\w+", example.question) if match[0] in words]
    if not held:
        return ""
    word = chance.choice(held)
    return example.question[: word.start()] + words[word[0]] + example.question[word.end() :]


def _window(example: Example, chance: random.Random) -> Example:
    """The example with the window of its text that holds the answer; any window where none does."""
    size = chance.randint(SHORTEST, LONGEST)
    windows = list(_windows(example.text, size))
    if not example.answered:
        start, end = max(windows, key=lambda window: _shared(example.question, example.text[slice(*window)]))
        return replace(example, text=example.text[start:end])
    holding = [(start, end) for start, end in windows if start <= example.start and example.end <= end]
    start, end = holding[0] if holding else _around(example, size)
    return replace(example, text=example.text[start:end], start=example.start - start, end=example.end - start)


def _around(example: Example, size: int) -> tuple[int, int]:
    """Whole words around an answer that no window holds."""
    room = max(0, size - (example.end - example.start)) // 2
    start = example.text.rfind(" ", 0, max(0, example.start - room)) + 1
    end = example.text.find(" ", example.end + room)
    return start, end if end > 0 else len(example.text)


def _windows(text: str, size: int) -> Iterator[tuple[int, int]]:
    """Whole sentences together, up to `size` characters; a longer sentence is cut between words."""
    start = 0
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    for begin, end in zip([0, *ends], [*ends, len(text)], strict=True):
        if end - start > size and begin > start:
            yield start, begin
            start = begin
        while end - start > size:
            cut = text.rfind(" ", start + 1, start + size) + 1 or start + size
            yield start, cut
            start = cut
    if start < len(text):
        yield start, len(text)


def _followed(example: Example, asked: Sequence[str], chance: random.Random) -> Example:
    """Now and then the question after another one about the same text, as a follow-up is read."""
    others = [question for question in asked if question != example.question]
    if not others or chance.random() >= _FOLLOWING:
        return example
    return replace(example, question=f"{chance.choice(others)} {example.question}")


def _varied(example: Example, chance: random.Random) -> Example:
    """Some questions typed carelessly, some texts as a machine transcript has them: without points and commas."""
    if chance.random() < 0.25:
        example = replace(example, question=example.question.rstrip("?. ").lower())
    if chance.random() < 0.1:  # of the same length, so that the span still holds
        example = replace(example, text=re.sub(r"[.,;:!?]", " ", example.text))
    return example
