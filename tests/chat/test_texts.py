"""The texts of the page."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from rag.chat import texts
from rag.chat.texts import Texts
from rag.confidence import FEATURES, READING_FEATURES


def test_every_text_is_said_somewhere() -> None:
    """No text is left over that a translator would work on in vain."""
    folder = Path(texts.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in [*folder.glob("*.py"), *folder.glob("static/*.js")])
    said = set(re.findall(r"\b(?:texts|self)\.(?!texts\b)(\w+)", code))
    assert [field.name for field in fields(Texts) if field.name not in said] == []


def test_every_signal_has_a_name_that_a_reader_understands() -> None:
    """The drawer names each feature of the confidence, and no feature that is no more."""
    assert sorted(name for name, _ in Texts().signal_names) == sorted((*FEATURES, *READING_FEATURES))
