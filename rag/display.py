"""What people read in a terminal: colour where there is one, and nothing of a document ever acts on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from rag.cleaning import clean
from rag.records import Answer, Document, Passage, SourceState

_PREVIEW = 280
"""Characters of a passage shown in a list."""
_STALE = {
    SourceState.CHANGED: "has changed since the index was built; this is what it said then",
    SourceState.GONE: "is no longer where it was when the index was built",
}


def show_answer(answer: Answer) -> None:
    """The quotes with their sources; for an abstention the closest passages, as exactly that."""
    console = _console()
    if answer.read_as:
        console.print(Text(f"Read as: {clean(answer.read_as)}", style="dim"))
    if answer.abstained:
        console.print(Text(answer.text, style="bold"))
        if answer.passages:
            console.print(Text("\nThe closest passages, which may not answer it:\n", style="dim"))
            _list_passages(console, answer.passages[:3])
        _note_stale(console, answer, [passage.document for passage in answer.passages[:3]])
        return
    for citation in answer.citations:
        console.print(Text(f"“{clean(citation.quote.text)}”"))
        console.print(
            Padding(
                Text.assemble(
                    (f"[{citation.number}] ", "bold cyan"),
                    (reference(citation.quote.document), ""),
                    (f" · {clean(citation.location)}", "dim"),
                ),
                (0, 0, 1, 2),
            )
        )
    _note_stale(console, answer, [citation.quote.document for citation in answer.citations])
    console.print(Text(f"confidence {answer.confidence:.2f} · {answer.timings_ms['total']:.0f} ms", style="dim"))


def _note_stale(console: Console, answer: Answer, documents: Sequence[Document]) -> None:
    """A line for each document whose file is not what was read, and the command that mends it."""
    stale = {d.path: answer.stale[d.id] for d in documents if d.id in answer.stale}
    for path, state in stale.items():
        console.print(Text(f"{clean(path)} {_STALE[state]}.", style="yellow"))
    if stale:
        console.print(Text("Bring the index up to date with: rag index", style="yellow"))


def show_passages(passages: Sequence[Passage]) -> None:
    """Passages with their ranks, scores and places."""
    console = _console()
    if not passages:
        console.print(Text("Nothing was found."))
    _list_passages(console, passages)


def show_info(described: Mapping[str, Any]) -> None:
    """Settings, where each comes from, and the live index."""
    console = _console()
    index = described["index"]
    console.print(Text.assemble(("index ", "bold"), clean(described["index_dir"])))
    for key, value in (index or {}).items():
        shown = value["name"] if isinstance(value, dict) else value
        console.print(Text(f"  {key:18} {clean(str(shown))}"))
    console.print(Text("settings", style="bold"))
    for name, entry in described["settings"].items():
        console.print(
            Text.assemble(f"  {name:24} {clean(str(entry['value']))}  ", (f"({clean(entry['from'])})", "dim"))
        )


def reference(document: Document) -> str:
    """A document in a few words: title, publisher and date as far as they are known."""
    parts = [document.title, document.source.publisher, document.source.date]
    return ", ".join(clean(part) for part in parts if part)


def _list_passages(console: Console, passages: Sequence[Passage]) -> None:
    for passage in passages:
        text = clean(passage.text)
        console.print(
            Text.assemble(
                (f"{passage.rank}. ", "bold cyan"),
                (reference(passage.document), ""),
                (f" · {passage.start}–{passage.end} · score {passage.score:.2f}", "dim"),
            )
        )
        console.print(Padding(Text(text[:_PREVIEW] + ("…" if len(text) > _PREVIEW else "")), (0, 0, 1, 3)))


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leave a reader that has gone to the command: rich itself would end the process with an error code."""
        raise BrokenPipeError


def _console() -> Console:
    return _Terminal(highlight=False, markup=False, emoji=False, soft_wrap=False)
