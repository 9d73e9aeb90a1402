"""Examples to train the reader on: a question, a text, and where in the text the answer stands, if it does.

Training sets hold few questions that a text on the same subject does not answer, so most of these are made:
mined (the nearest other texts of the set), cut (the text without the sentence that answers) and swapped (a
name, number or opposite in the question put in the place of another).
"""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

MAX_CHARACTERS = 600
"""Of a text; longer ones are cut around the answer."""
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+[\"'”’)]*|\n|\Z)\s*")
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
_NEAREST = 4
"""Nearest other texts among which a mined one is chosen."""


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
    """How much of a set is used, in questions, and which unanswered examples are made of it."""

    most: int
    mined: float = 0.0
    cut: float = 0.0
    swapped: float = 0.0
    """Made examples as shares of the set's answered ones."""


SHARES = {
    "squadshifts/new_wiki": Share(8000, mined=0.5, cut=0.35, swapped=0.35),
    "squad_train_val5": Share(5000, mined=0.5, cut=0.35, swapped=0.35),
    "squad_flan_eval": Share(4000, mined=0.5, cut=0.35, swapped=0.35),
    "squadshifts/amazon_reviews": Share(2500, cut=0.2, swapped=0.3),
    "squadshifts/reddit": Share(3000, cut=0.2, swapped=0.3),
    "squad_kou_sentences": Share(5000, mined=0.6, swapped=0.3),
    "nq_oracle": Share(2000, mined=0.7, cut=0.2, swapped=0.2),
    "sleepqa": Share(1000, mined=0.4),
    "sleepqa/neg": Share(500),
    "omosqa_en": Share(1000, mined=0.4),
    "selqa": Share(2400, mined=0.6, cut=0.3),
    "quoref_sapt": Share(1100, mined=0.3),
    "fairytaleqa": Share(2500, mined=0.2, cut=0.2),
    "qamr": Share(2000, mined=0.4, swapped=0.3),
    "tatqa": Share(800, swapped=0.6),
}
"""By measured worth: articles most, reviews and stories less; `qamr` has few texts and is weighed down."""


def load(folder: Path, seed: int) -> list[Example]:
    """All examples of the sets in `folder` (`*.jsonl.xz`), shuffled; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    examples: list[Example] = []
    for origin, answered in _sets(folder).items():
        share = SHARES[origin]
        chance.shuffle(answered)
        answered = answered[: share.most]
        examples += answered
        real = [example for example in answered if example.answered]
        examples += _mined(chance.sample(real, round(share.mined * len(real))), answered, chance)
        examples += _cut(chance.sample(real, round(share.cut * len(real))))
        examples += _swapped(chance.sample(real, round(share.swapped * len(real))), chance)
    chance.shuffle(examples)
    return [_varied(_shortened(example, chance), chance) for example in examples]


def _sets(folder: Path) -> dict[str, list[Example]]:
    """Rows of the sets in SHARES that mark a span or say that there is none."""
    sets: dict[str, list[Example]] = {}
    for path in sorted(folder.glob("*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["source"] not in SHARES or (row["start"] is None and row["answerable"]):
                    continue
                start, end = (row["start"], row["end"]) if row["answerable"] else (-1, -1)
                sets.setdefault(row["source"], []).append(
                    Example(row["question"], row["passage"], start, end, row["source"])
                )
    return sets


def _mined(chosen: Sequence[Example], examples: Sequence[Example], chance: random.Random) -> Iterator[Example]:
    """Each question with one of the nearest other texts of its set that does not hold the answer's words."""
    if not chosen:
        return
    texts = list(dict.fromkeys(example.text for example in examples))
    words = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    by_text = words.fit_transform(texts).T.tocsc()
    for at in range(0, len(chosen), _BLOCK):
        block = chosen[at : at + _BLOCK]
        likeness = (words.transform([example.question for example in block]) @ by_text).toarray()
        yield from _near_misses(block, texts, np.argsort(-likeness, axis=1)[:, : _NEAREST + 3], chance)


def _near_misses(
    examples: Sequence[Example], texts: Sequence[str], nearest: NDArray[np.int64], chance: random.Random
) -> Iterator[Example]:
    for example, near in zip(examples, nearest, strict=True):
        answer = example.text[example.start : example.end].lower().strip()
        others = [texts[i] for i in near if texts[i] != example.text and answer not in texts[i].lower()]
        if others:
            yield Example(example.question, chance.choice(others[:_NEAREST]), -1, -1, f"{example.origin} mined")


def _cut(chosen: Sequence[Example]) -> Iterator[Example]:
    """Each text without the sentences that hold the answer, where enough is left and the answer's words are gone."""
    for example in chosen:
        answer = example.text[example.start : example.end].lower().strip()
        kept = [
            match[0]
            for match in _SENTENCE.finditer(example.text)
            if match.end() <= example.start or match.start() >= example.end
        ]
        text = "".join(kept).strip()
        if len(kept) >= 2 and answer not in text.lower():
            yield Example(example.question, text, -1, -1, f"{example.origin} cut")


def _swapped(chosen: Sequence[Example], chance: random.Random) -> Iterator[Example]:
    """Each text with a question that asks for something near what it says."""
    names = [name for example in chosen for name in _NAME.findall(example.question)]
    for example in chosen:
        options = [
            option
            for option in (
                _other_name(example, names, chance),
                _other_number(example, chance),
                _opposite(example, chance),
            )
            if option
        ]
        if options:
            yield Example(chance.choice(options), example.text, -1, -1, f"{example.origin} swapped")


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


def _shortened(example: Example, chance: random.Random) -> Example:
    """The example with at most MAX_CHARACTERS of text, whole words, the answer among them."""
    text = example.text
    if len(text) <= MAX_CHARACTERS:
        return example
    low = max(0, (example.end if example.answered else len(text)) - MAX_CHARACTERS)
    high = min(example.start if example.answered else len(text), len(text) - MAX_CHARACTERS)
    start = chance.randint(min(low, high), max(low, high))
    start = 0 if start == 0 else text.rfind(" ", 0, start) + 1
    end = text.rfind(" ", 0, start + MAX_CHARACTERS)
    if example.answered and not start <= example.start < example.end <= end:
        start, end = max(0, example.start - MAX_CHARACTERS // 2), example.end + MAX_CHARACTERS // 2
    moved = start if example.answered else 0
    return replace(example, text=text[start:end], start=example.start - moved, end=example.end - moved)


def _varied(example: Example, chance: random.Random) -> Example:
    """Some questions typed carelessly, some texts as a machine transcript has them: without points and commas."""
    if chance.random() < 0.25:
        example = replace(example, question=example.question.rstrip("?. ").lower())
    if chance.random() < 0.1:  # of the same length, so that the span still holds
        example = replace(example, text=re.sub(r"[.,;:!?]", " ", example.text))
    return example
