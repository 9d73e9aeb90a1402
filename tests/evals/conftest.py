"""A small question set with known answers, and runs over it with the deterministic encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from evals import identity, running
from evals.gold import Facet, Format, Question, QuestionSet, Stretch, unique
from evals.runs import Run
from rag.encoding import HashingEncoder
from rag.records import Document, Source

TEXTS = {
    "rivers.txt": "The Danube rises in the Black Forest. It flows through ten countries. It ends in the Black Sea.",
    "metals.txt": "Copper melts at 1085 degrees. Tin melts at 232 degrees. Bronze is made of copper and tin.",
    "birds.txt": "The arctic tern flies from pole to pole every year. Swifts sleep while they fly.",
    "trains.txt": "The first railway carried coal. Passengers followed in 1825 between Stockton and Darlington.",
}
ANSWERS = (
    ("danube", "Where does the Danube rise?", "rivers.txt", "in the Black Forest"),
    ("copper", "At how many degrees does copper melt?", "metals.txt", "1085 degrees"),
    ("tern", "Which bird flies from pole to pole every year?", "birds.txt", "arctic tern"),
    ("railway", "What was carried by the first railway?", "trains.txt", "coal"),
    ("swifts", "When do swifts sleep?", "birds.txt", "while they fly"),
)
UNANSWERABLE = (
    ("rhine", "Where does the Rhine rise?"),
    ("zinc", "At how many degrees does zinc melt?"),
    ("penguin", "How tall is an emperor penguin?"),
)


def make_document(name: str, text: str) -> Document:
    """A document as a loader would make it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(digest[:16], name, digest, text, Source(title=name.partition(".")[0]))


@pytest.fixture
def questions() -> QuestionSet:
    """Eight questions over four documents; three are not answered by them."""
    documents, names = unique((name, make_document(name, text)) for name, text in TEXTS.items())
    by_name = {document.path: document for document in documents}
    asked: list[Question] = []
    for i, (name, question, path, answer) in enumerate(ANSWERS):
        document = by_name[path]
        start = document.text.index(answer)
        facet = Facet("answer", (Stretch(document.id, start, start + len(answer)),))
        split = "tune" if i % 2 else "test"
        asked.append(Question(name, question, (facet,), {}, True, (), (document.id,), "fact", split))
    asked += [
        Question(name, question, answerable=False, kind="near miss", split="test") for name, question in UNANSWERABLE
    ]
    return QuestionSet("small", Format.SEEDS, documents, names, tuple(asked), {"questions in a language not read": 2})


@pytest.fixture(scope="session")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str, str], Run]]:
    """A folder for indexes, and runs by question set, its format and settings: the same run is not made twice."""
    return tmp_path_factory.mktemp("cache"), {}


@pytest.fixture
def ask(remembered: tuple[Path, dict[tuple[str, str, str], Run]], questions: QuestionSet) -> Callable[..., Run]:
    """Run the small set, or another, under some settings."""
    cache, runs = remembered

    def run(changed: dict[str, object] | None = None, asked: QuestionSet | None = None) -> Run:
        asked = asked or questions
        key = (asked.questions_hash, f"{asked.format} {asked.names}", repr(changed or {}))
        if key not in runs:
            runs[key] = running.run(asked, identity.settings_from(changed or {}), HashingEncoder(), cache)
        return runs[key]

    return run
