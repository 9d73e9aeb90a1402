"""Examples to train the reader on: spans that hold, near misses that do not answer, the written questions."""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.reader import data
from evals.reader.data import SHARES, WRITTEN, Example, Share
from rag.errors import UserError
from rag.reading import Reading

TEXT = (
    "The Northern Line opened in 1906 and cost 12 million. It was built by Arthur Hale for the city of Lund. "
    "The Southern Line opened in 1931, after the bank of Lund had lent a further 30 million to the council. "
    "Both lines were closed in the flood, and only the first was ever opened again."
)


def _example(question: str, *answers: str, text: str = TEXT) -> Example:
    return Example(question, text, tuple((text.index(a), text.index(a) + len(a)) for a in answers), "set")


@given(st.text(alphabet="ab .!?\nA", max_size=400), st.integers(20, 200))
def test_windows_follow_one_another_and_lose_nothing(text: str, size: int) -> None:
    """Joined they are the text, and none is longer than asked."""
    windows = list(data._windows(text, size))
    assert "".join(text[start:end] for start, end in windows) == text
    assert all(end - start <= size for start, end in windows)


@given(st.integers(0, 10_000))
def test_the_answer_is_the_same_words_in_every_window(seed: int) -> None:
    """Whatever the length of the window and however the text was roughened, the span holds the answer."""
    chance = random.Random(seed)
    example = data._varied(data._window(_example("Who built it?", "Arthur Hale"), chance), chance)
    assert example.answers == ["Arthur Hale"]
    assert example.text[:20] in TEXT or "," not in example.text


def test_a_question_for_several_things_meets_any_part_with_the_answers_it_holds() -> None:
    """All of them, one or none, and an answer that the part's border cuts in two with the half that is there."""
    example = _example("When were the lines opened?", "opened in 1906", "opened in 1931")
    met = [tuple(data._window(example, random.Random(seed)).answers) for seed in range(200)]
    assert set(met) == {(), ("opened in 1906",), ("opened in 1931",), ("opened in 1906", "opened in 1931")}
    cut = data._within(example, 0, TEXT.index("in 1931") + 2)
    assert cut.answers == ["opened in 1906", "opened in"]
    assert cut.text == TEXT[: TEXT.index("in 1931") + 2]


def test_a_sentence_in_company_keeps_its_answer_and_gets_no_other() -> None:
    """The others are the nearest, before and after it, and none of them holds the answer's words."""
    sentences = [f"In {year} the line of Lund got its station number {year % 10}." for year in range(1950, 1954)]
    example = _example("Which station was new in 1953?", "number 3", text=sentences.pop())
    again, far = example.text.replace("1953", "1963"), "Penguins eat fish."
    others = [_example("What?", text=text) for text in [*sentences, again, far]]
    seen = set()
    for seed in range(40):
        shown = data._in_company([example, *others], random.Random(seed))[0]
        assert shown.answers == ["number 3"]
        assert shown.text.count("number 3") == 1
        assert "Penguins" not in shown.text
        assert "1963" not in shown.text
        seen.add((shown.text.startswith("In 1953"), shown.text.endswith("number 3.")))
    assert len(seen) == 4


def test_an_unanswered_question_meets_the_window_with_most_of_its_words() -> None:
    """A near miss is near: of all parts of the passage, that which looks most like an answer."""
    text = TEXT * 3 + "Nothing else is known of it. " * 9
    miss = _example("What did the bank of Lund lend in 1950?", text=text)
    assert "the bank of Lund had lent" in data._window(miss, random.Random(1)).text


@pytest.mark.parametrize("seed", range(20))
def test_a_made_near_miss_does_not_hold_the_answers_words(seed: int) -> None:
    """Neither a window of another text nor one of the same text, for these are called unanswered."""
    example = _example("When did the Southern Line open?", "1931")
    own = TEXT + " Nothing else is told of the lines and their stations in the records of the city." * 20
    other = own.replace("Southern", "Western")
    for kind, texts in (("near", [other]), ("own", [own])):
        found = data._unanswering(example, texts, kind, random.Random(seed))
        assert found
        assert all("1931" not in miss.text and not miss.answered for miss in found)


class _Believing:
    """Believes the texts and questions that hold a word to be answered, and no others."""

    def __init__(self, word: str) -> None:
        self.word = word

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        return [Reading((), np.zeros(0), 0.1 if self.word in question + text else 0.9) for text in texts]


@pytest.mark.parametrize("seed", range(5))
def test_the_hardest_is_what_the_reader_believes_most(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several texts as of several questions; any of them where the hardest is not wanted."""
    texts = [_example("Why?", text=f"Text {word}") for word in ("one", "two", "three")]
    questions = [_example(f"Why {word}?", text="Text") for word in ("one", "two", "three")]
    for candidates in (texts, questions):
        monkeypatch.setattr(data, "_HARDEST", 1.0)
        assert data._chosen(candidates, _Believing("two"), random.Random(seed)) == candidates[1]
        monkeypatch.setattr(data, "_HARDEST", 0.0)
        chosen = [data._chosen(candidates, _Believing("two"), random.Random(20 * seed + i)) for i in range(20)]
        assert all(candidate in chosen for candidate in candidates)


def test_a_swapped_question_asks_for_something_else() -> None:
    """A name, a number or an opposite is changed, nothing else, and not to what the question held."""
    example = _example("Did the first line of Lund open before 1931?", "1906")
    seen = set()
    for seed in range(30):
        for miss in data._swapped(example, ["Malmo", "Oslo"], random.Random(seed)):
            assert miss.question != example.question
            changed = set(example.question.split()) - set(miss.question.split())
            assert len(changed) == 1
            seen |= changed
    assert seen == {"Lund", "first", "before", "1931?"}


def test_a_mistyped_question_differs_in_one_longer_word_by_a_letter() -> None:
    """Short words and everything around the one stay as they are."""
    made = {data._mistyped("who of the two opened it", random.Random(seed)) for seed in range(200)}
    slips = "poened oepned opneed opeend opende pened oened opned opeed opend opene ooened"
    slips += " oppened opeened openned openeed openedd"
    assert made <= {f"who of the two {slip} it" for slip in [*slips.split(), "opened"]}
    assert len(made) > 12
    assert data._mistyped("who is it", random.Random(1)) == "who is it"


def _folder(folder: Path, rows: list[dict[str, object]]) -> Path:
    folder.mkdir()
    with lzma.open(folder / "set.jsonl.xz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


def test_a_written_question_finds_its_passage_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passage of the sets however it is wrapped, one that is with the question, and none where there is neither."""
    digest = hashlib.sha256(TEXT.encode()).hexdigest()[:16]
    earlier, later = TEXT.index("1906"), TEXT.index("1931")
    asked = [["When?", later, later + 4], ["Why?"], ["Which?", earlier, earlier + 4, later, later + 4]]
    written = tmp_path / "written.jsonl.xz"
    with lzma.open(written, "wt", encoding="utf-8") as lines:
        lines.write(json.dumps({"passage": digest, "asked": asked}) + "\n")
        lines.write(json.dumps({"passage": "0" * 16, "text": "Own words.", "asked": [["What?"]]}) + "\n")
        lines.write(json.dumps({"passage": "1" * 16, "asked": [["Lost?"]]}) + "\n")
    monkeypatch.setattr(data, "WRITTEN", written)
    folder = _folder(tmp_path / "sets", [{"passage": TEXT.replace(". ", ".\n"), "source": "a set that is not used"}])
    found = data._sets(folder)["written"]
    assert [(example.question, example.answers) for example in found] == [
        ("When?", ["1931"]),
        ("Why?", []),
        ("Which?", ["1906", "1931"]),
        ("What?", []),
    ]


def test_examples_are_the_same_for_the_same_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near and swapped ones are there, every span holds, and another seed gives others."""
    monkeypatch.setattr(data, "WRITTEN", _empty(tmp_path))
    monkeypatch.setattr(data, "SHARES", {**SHARES, "tatqa": Share(100, made=1.0)})
    rows: list[dict[str, object]] = []
    for i in range(40):
        text = TEXT.replace("Lund", f"Lund{i}").replace("1931", str(1931 + i))
        answer = str(1931 + i)
        rows.append(
            {
                "question": f"When did the Southern Line of Lund{i} open first?",
                "passage": text,
                "start": text.index(answer),
                "end": text.index(answer) + 4,
                "answerable": True,
                "source": "tatqa",
            }
        )
    folder = _folder(tmp_path / "sets", rows)
    examples = data.load(folder, 1)
    assert examples == data.load(folder, 1)
    assert examples != data.load(folder, 2)
    assert {example.origin for example in examples} >= {"tatqa", "tatqa near", "tatqa swapped"}
    assert all(re.fullmatch(r"19[3-7]\d", example.answers[0]) for example in examples if example.answered)


def _empty(folder: Path) -> Path:
    with lzma.open(folder / "none.jsonl.xz", "wt") as lines:
        lines.write("")
    return folder / "none.jsonl.xz"


def test_the_written_questions_are_whole() -> None:
    """Every passage is named by its hash, every span of a passage that is with them lies in it, none is asked twice."""
    with lzma.open(WRITTEN, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) > 1000
    unanswered = 0
    for row in rows:
        questions = [question for question, *_ in row["asked"]]
        assert len({question.lower() for question in questions}) == len(questions)
        for _, *at in row["asked"]:
            unanswered += not at
            assert len(at) % 2 == 0
            assert all(0 <= start < end for start, end in zip(at[::2], at[1::2], strict=True))
        if "text" in row:
            assert hashlib.sha256(row["text"].encode()).hexdigest()[:16] == row["passage"]
            assert all(end <= len(row["text"]) for _, *at in row["asked"] for end in at[1::2])
    assert unanswered > sum(len(row["asked"]) for row in rows) / 2


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    """Else a reader would be trained on the few texts that stand in this repository."""
    (tmp_path / "squad.jsonl").write_text("{}", encoding="utf-8")  # not packed, as no set is
    with pytest.raises(UserError, match="holds none of the training sets"):
        data.load(tmp_path, 1)
