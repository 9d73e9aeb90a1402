"""Ask your own documents, get their own words back.

from pathlib import Path
from rag import Assistant, Settings

with Assistant.open(Path("index"), Settings()) as assistant:
    print(assistant.ask("What hurdles do provincial governments face?").text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.records import Answer, Citation, Document, Passage, Quote
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.assistant import Assistant
    from rag.building import build, build_corpus

__all__ = ["Answer", "Assistant", "Citation", "Document", "Passage", "Quote", "Settings", "build", "build_corpus"]


def __getattr__(name: str) -> Any:
    """The verbs are imported when they are first used, so that `import rag` stays cheap."""
    if name == "Assistant":
        from rag.assistant import Assistant

        return Assistant
    if name in ("build", "build_corpus"):
        from rag import building

        return getattr(building, name)
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
