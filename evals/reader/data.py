"""Examples to train the reader on: a question, a text, and where in the text the answer stands, if it does.

Training sets hold few questions that a text on the same subject does not answer, so many are made: near (a part of
one of the texts of all sets that are nearest to the question), own (another part of the text that answers) and swapped
(a name, number or opposite in the question put in the place of another). A machine's near misses are easy, though:
those of `written.jsonl.xz` were written to be hard, by reading each passage.
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
from typing import Any, Protocol

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from rag.errors import UserError
from rag.reading import Reading

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
"""Nearest texts whose windows are near misses, or that keep a sentence company."""
_CANDIDATES = 5
"""Candidates among which one is chosen."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question and one text."""

    question: str
    text: str
    spans: tuple[tuple[int, int], ...]
    """Characters of each stretch that answers, in order; none where the text does not answer."""
    origin: str
    """The set, and how the example was made where the set does not hold it."""

    @property
    def answered(self) -> bool:
        return bool(self.spans)

    @property
    def answers(self) -> list[str]:
        """What the spans hold."""
        return [self.text[start:end] for start, end in self.spans]


class Reads(Protocol):
    """What chooses the hardest near misses: a `rag.reading.Reader`."""

    def read(self, question: str, texts: Sequence[str]) -> Sequence[Reading]: ...


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a set is used, in questions, and how many unanswered examples are made of it."""

    most: int
    made: float = 0.0
    """Made examples as a share of the set's answered ones; 2 at most."""
    sentences: bool = False
    """True where the set has single sentences: most are shown among the ones nearest to them."""


SHARES = {
    "squadshifts/new_wiki": Share(4000, made=1.5),
    "squad_train_val5": Share(2500, made=1.5),
    "squad_flan_eval": Share(2500, made=1.5),
    "squadshifts/amazon_reviews": Share(2000, made=0.5),
    "squadshifts/reddit": Share(2000, made=0.5),
    "squad_kou_sentences": Share(10_000, made=1.0, sentences=True),
    "nq_oracle": Share(2000, made=1.5),
    "sleepqa": Share(1000, made=0.5),
    "sleepqa/neg": Share(500),
    "omosqa_en": Share(1000, made=0.5),
    "selqa": Share(1500, made=0.5),
    "quoref_sapt": Share(1100, made=0.5),
    "fairytaleqa": Share(1500, made=0.5),
    "qamr": Share(1500, made=0.3),
    "tatqa": Share(800, made=0.5),
    "written": Share(200_000, made=0.7),
}
"""By measured worth: what was written for this most, reviews and stories less; `qamr` has few texts."""
WRITTEN = Path(__file__).with_name("written.jsonl.xz")
"""Questions written for this by a language model (docs/reader.md), most of them unanswered. A line is a passage: the
first 16 digits of its SHA-256; its text, where that was written for this too (the others are those of the sets); and
what is asked: each a question, and the characters at which each of its answers starts and ends. Hash and characters
are those of the passage with all white space folded to single spaces."""
_KINDS = {"near": 0.8, "swapped": 0.1, "own": 0.1}
"""How often an unanswered example is of a kind, where the question allows all."""
_HARDEST = 0.6
"""How often the one that the reader given believes most is taken, not any."""


def load(folder: Path, seed: int, reader: Reads | None = None) -> list[Example]:
    """All examples of the sets in `folder` (`*.jsonl.xz`), shuffled; the same for the same seed and reader.

    With a reader, many of the unanswered examples are those of several that it believes most to be answered. Raises
    UserError where the folder holds no set.
    """
    chance = random.Random(seed)  # noqa: S311
    examples: list[Example] = []
    sets = _sets(folder)
    texts = list(dict.fromkeys(" ".join(example.text.split()) for found in sets.values() for example in found))
    for origin, found in sets.items():
        share = SHARES[origin]
        chance.shuffle(found)
        found = _in_company(found[: share.most], chance) if share.sentences else found[: share.most]
        asked: dict[str, list[str]] = {}
        for example in found:
            asked.setdefault(example.text, []).append(example.question)
        answered = [example for example in found if example.answered]
        chosen = (answered * 2)[: round(share.made * len(answered))]
        examples += [_followed(_window(example, chance), asked[example.text], chance) for example in found]
        examples += [
            _followed(miss, asked[example.text], chance)
            for example, miss in _near_misses(chosen, texts, reader, chance)
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
            spans = ((row["start"], row["end"]),) if row["answerable"] else ()
            sets.setdefault(row["source"], []).append(Example(row["question"], row["passage"], spans, row["source"]))
    if not texts:
        raise UserError(f"{folder} holds none of the training sets (*.jsonl.xz); docs/reader.md names them.")
    sets["written"] = _written(texts)
    return sets


def _written(texts: Mapping[str, str]) -> list[Example]:
    """The examples of WRITTEN whose passage is with it or among `texts`, by what it is named there."""
    found = []
    for row in _rows(WRITTEN):
        passage: str = row.get("text") or texts.get(row["passage"], "")
        for question, *at in row["asked"] if passage else ():
            found.append(Example(question, passage, tuple(zip(at[::2], at[1::2], strict=True)), "written"))
    return found


def _in_company(examples: Sequence[Example], chance: random.Random) -> list[Example]:
    """Single sentences, each with up to two of the nearest others before it and two after it, none of which holds its
    answers."""
    texts = list(dict.fromkeys(example.text for example in examples))
    found = []
    for example, nearest in zip(examples, _nearest([example.text for example in examples], texts), strict=True):
        answers = [answer.lower() for answer in example.answers]
        others = [text for text in nearest if text != example.text and not any(a in text.lower() for a in answers)]
        before, after = chance.randint(0, 2), chance.randint(0, 2)
        first = "".join(f"{text} " for text in others[:before])
        whole = " ".join([first + example.text, *others[before : before + after]])
        spans = tuple((start + len(first), end + len(first)) for start, end in example.spans)
        found.append(replace(example, text=whole, spans=spans))
    return found


def _nearest(queries: Sequence[str], texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts nearest to each query by their words, nearest first."""
    if not queries:
        return
    words = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    by_text = words.fit_transform(texts).T.tocsc()
    for at in range(0, len(queries), _BLOCK):
        likeness = (words.transform(queries[at : at + _BLOCK]) @ by_text).toarray()
        first = np.argpartition(-likeness, min(_NEAREST, len(texts) - 1), axis=1)[:, :_NEAREST]
        for row, found in zip(likeness, first, strict=True):
            yield [texts[i] for i in found[np.argsort(-row[found], kind="stable")]]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a packed file of JSON Lines."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _near_misses(
    chosen: Sequence[Example], texts: Sequence[str], reader: Reads | None, chance: random.Random
) -> Iterator[tuple[Example, Example]]:
    """Each answered example with one that its text, or one of `texts`, does not answer."""
    names = [name for example in chosen for name in _NAME.findall(example.question)]
    for example, nearest in zip(chosen, _nearest([example.question for example in chosen], texts), strict=True):
        candidates = {
            "swapped": _swapped(example, names, chance),
            "near": _unanswering(example, [text for text in nearest if not _same(text, example.text)], "near", chance),
            "own": _unanswering(example, [example.text], "own", chance),
        }
        held = [kind for kind in _KINDS if candidates[kind]]
        if held:
            (kind,) = chance.choices(held, [_KINDS[kind] for kind in held])
            yield example, _chosen(candidates[kind], reader, chance)


def _chosen(candidates: Sequence[Example], reader: Reads | None, chance: random.Random) -> Example:
    """Any of them, or the one that the reader believes most to be answered."""
    if reader is None or len(candidates) == 1 or chance.random() >= _HARDEST:
        return chance.choice(candidates)
    if len({example.question for example in candidates}) == 1:
        readings = reader.read(candidates[0].question, [example.text for example in candidates])
    else:
        readings = [reader.read(example.question, [example.text])[0] for example in candidates]
    return min(zip(candidates, readings, strict=True), key=lambda pair: pair[1].nowhere)[0]


def _unanswering(example: Example, texts: Sequence[str], kind: str, chance: random.Random) -> list[Example]:
    """The question with windows of the texts that do not hold the answer's words, but most of the question's."""
    answers = [answer.lower().strip() for answer in example.answers]
    size = chance.randint(SHORTEST, LONGEST)
    windows = [text[start:end].strip() for text in texts for start, end in _windows(text, size)]
    windows.sort(key=lambda window: -_shared(example.question, window))
    return [
        Example(example.question, window, (), f"{example.origin} {kind}")
        for window in windows
        if len(window) >= SHORTEST // 2 and not any(answer in window.lower() for answer in answers)
    ][:_CANDIDATES]


def _same(text: str, other: str) -> bool:
    """True where one holds the other, however they are wrapped."""
    mine, theirs = "".join(text.split()), "".join(other.split())
    return mine in theirs or theirs in mine


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
    return [Example(option, text, (), f"{example.origin} swapped") for option in dict.fromkeys(options) if option]


def _other_name(example: Example, names: Sequence[str], chance: random.Random) -> str:
    """The question about another name: half the time one that its text holds too."""
    held = list(_NAME.finditer(example.question))
    if not held:
        return ""
    name = chance.choice(held)
    own: list[str] = [
        n for n in dict.fromkeys(_NAME.findall(example.text)) if not any(n in a or a in n for a in example.answers)
    ]
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
    """The example with the window of its text that holds the answer; any window where there are several answers, each
    of which may hold some or none; the likest where there is none."""
    size = chance.randint(SHORTEST, LONGEST)
    windows = list(_windows(example.text, size))
    if len(example.spans) > 1:
        return _within(example, *chance.choice(windows))
    if not example.answered:
        return _within(
            example, *max(windows, key=lambda window: _shared(example.question, example.text[slice(*window)]))
        )
    ((first, last),) = example.spans
    holding = [(start, end) for start, end in windows if start <= first and last <= end]
    return _within(example, *(holding[0] if holding else _around(example.text, first, last, size)))


def _within(example: Example, start: int, end: int) -> Example:
    """The example with a part of its text."""
    spans = [(max(first, start) - start, min(last, end) - start) for first, last in example.spans]
    return replace(example, text=example.text[start:end], spans=tuple(span for span in spans if span[0] < span[1]))


def _around(text: str, first: int, last: int, size: int) -> tuple[int, int]:
    """Whole words around an answer that no window holds."""
    room = max(0, size - (last - first)) // 2
    start = text.rfind(" ", 0, max(0, first - room)) + 1
    end = text.find(" ", last + room)
    return start, end if end > 0 else len(text)


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
        question = example.question.rstrip("?. ").lower()
        example = replace(example, question=_mistyped(question, chance) if chance.random() < 0.4 else question)
    if chance.random() < 0.1:  # of the same length, so that the span still holds
        example = replace(example, text=re.sub(r"[.,;:!?]", " ", example.text))
    return example


def _mistyped(question: str, chance: random.Random) -> str:
    """The question with two letters of one of its longer words in the wrong order, or one too few or too many."""
    words = list(re.finditer(r"[a-z]{5,}", question))
    if not words:
        return question
    word = chance.choice(words)
    at = chance.randrange(word.start(), word.end() - 1)
    pair = question[at : at + 2]
    return question[:at] + chance.choice((pair[::-1], pair[0], pair[1], pair + pair[1])) + question[at + 2 :]
