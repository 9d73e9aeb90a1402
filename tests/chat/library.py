"""A small deterministic backend and its documents, plain and hostile ones, for the tests of the chat."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence

from rag.answering import cite, compose
from rag.errors import QuestionError
from rag.records import Anchor, AnchorKind, Answer, Document, Listed, Passage, PassageScores, Quote, Signal, Source

MARKUP = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script> ![leak](https://evil.example/leak.png) '
    '[click](javascript:window.pwned=3) <a href="javascript:window.pwned=4">x</a> ${window.pwned=5} '
    "{{7*7}} `code` $$x$$ "
    "<style>body{display:none}</style> </div></mark><iframe src=https://evil.example></iframe> "
    "<thinking>gone</thinking> [1] [9]"
)
HARBOUR = """# The harbour

The harbour of Norby was built in 1874 by the engineer Ada Holm. It kept the town alive for a century.

Fishing boats paid a toll of two crowns for each landing. The toll was raised to five crowns in 1902 and
the fishermen went on strike for eleven days, which the newspapers of the capital called the herring war.

The lighthouse keeper wrote in his diary: the toll is too high, and the sea too low.
"""
TALK = (
    "good evening everyone and welcome uh today we talk about the toll of the harbour and about the strike "
    "of the fishermen which lasted eleven days and nobody in the capital "
    "understood why the herring mattered so much to us\n"
    "thank you for the question the lighthouse was automated in 1981 "
    "and the keeper moved to the south he never came back\n"
) * 30
HOSTILE = f"Lorikeet notes.\n\nThe lorikeet says {MARKUP} and that is all the lorikeet says.\n\nAn ordinary end.\n"


def document(path: str, text: str, source: Source, anchors: tuple[Anchor, ...] = ()) -> Document:
    """A document with the id that its text gives it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(digest[:16], path, digest, text, source, anchors)


def library() -> tuple[Document, ...]:
    """Three documents: an article, a long talk, and one whose text, title and file name attack the page."""
    return (
        document(
            "harbour.md",
            HARBOUR,
            Source("The Harbour of Norby", "article", "Norby Gazette", "", "2019-05-04", ("Lind, Eva",)),
            (Anchor(0, AnchorKind.HEADING, "The harbour"),),
        ),
        document(
            "talk.txt",
            TALK,
            Source("Evening talk", "transcript", "", "Norby Museum", "2021-10", (), ("Eva Lind", "Per Holm")),
            (
                Anchor(0, AnchorKind.SPEAKER, "Eva Lind"),
                Anchor(TALK.index("thank you"), AnchorKind.SPEAKER, "Per Holm"),
            ),
        ),
        document(f"evil{MARKUP}.txt", HOSTILE, Source(f"Evil {MARKUP}", "note", MARKUP, "", "2020", (MARKUP,))),
    )


class SmallBackend:
    """Finds sentences that share a long word with the question. A question with "slowly" takes three seconds."""

    version = "20240101-000000-test"
    encoder_id = "words@test"

    def __init__(self, documents: Sequence[Document] | None = None) -> None:
        self._documents = {d.id: d for d in (library() if documents is None else documents)}
        self.asked: list[tuple[str, tuple[str, ...], tuple[str, ...] | None]] = []

    def documents(self) -> Sequence[Document]:
        return tuple(self._documents.values())

    def catalogue(self) -> Sequence[Listed]:
        return [Listed.of(document) for document in self.documents()]

    def document(self, document_id: str) -> Document | None:
        return self._documents.get(document_id)

    def suggestions(self, near: Sequence[Document] = ()) -> Sequence[str]:
        return ("Who built the harbour?", "How high was the toll?", f"What does the lorikeet say? {MARKUP}"[:300])

    def refresh(self) -> bool:
        return False

    def search(self, query: str, k: int | None = None, documents: Sequence[str] | None = None) -> Sequence[Passage]:
        wanted = {
            word for word in re.findall(r"\w{5,}", query.lower()) if word not in ("slowly", "about", "where", "which")
        }
        found = []
        for item in self._documents.values():
            if documents is not None and item.id not in documents:
                continue
            for match in re.finditer(r"[^\n]+", item.text):
                words = set(re.findall(r"\w+", match[0].lower()))
                if wanted & words:
                    found.append((len(wanted & words), item, match.start(), match.end()))
        found.sort(key=lambda row: -row[0])
        return tuple(
            Passage(rank, score / 10, item, start, end, PassageScores(score / 10, score / 10, float(score), score / 10))
            for rank, (score, item, start, end) in enumerate(found[: k or 4], 1)
        )

    def ask(self, question: str, history: Sequence[str] = (), documents: Sequence[str] | None = None) -> Answer:
        self.asked.append((question, tuple(history), None if documents is None else tuple(documents)))
        if not question.strip():
            raise QuestionError("The question is empty.")
        if len(question) > 2000:
            raise QuestionError("The question has too many characters; 2,000 are read. Ask in fewer words.")
        if "explode" in question:
            raise RuntimeError("secret /etc/passwd detail")
        if "slowly" in question:
            time.sleep(3.0)
        passages = tuple(self.search(question, None, documents))
        if not passages:
            nearest = tuple(self.search("harbour toll lighthouse", 3, documents))
            return self._answer(question, (), nearest, 0.12)
        quotes = [Quote(p.document, p.start, p.end, p.score) for p in passages]
        return self._answer(question, quotes, passages, 0.91)

    def _answer(
        self, question: str, quotes: Sequence[Quote], passages: tuple[Passage, ...], confidence: float
    ) -> Answer:
        citations = cite(quotes)
        return Answer(
            question=question,
            text=compose(citations),
            citations=citations,
            abstained=not citations,
            confidence=confidence,
            signals=(Signal("best cosine", confidence, 2 * confidence - 1), Signal("rare words found", 1.0, 0.4)),
            passages=passages,
            index_version=self.version,
            encoder=self.encoder_id,
            timings_ms={"encode": 0.1, "retrieve": 0.2, "total": 0.3},
        )
