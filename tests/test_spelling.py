"""Spelling: what is mended, and what is left alone because it may be a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.building import build
from rag.encoding import OnnxEncoder
from rag.index import Index
from rag.records import Document, Source
from rag.settings import Settings
from rag.spelling import corrected
from rag.terms import Analyzer
from rag.versions import IndexFolder

TEXT = """
Economic growth depends on security, on fields of research and on every province. Growth was slow.
The lockdown of the city lasted long; digital overcapacity followed. Hebei grew fastest. One chain of shops stayed.
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, real_encoder: OnnxEncoder) -> Index:
    folder: Path = tmp_path_factory.mktemp("spelling")
    document = Document("d1", "growth.txt", "0" * 64, TEXT, Source(title="Growth"))
    build([document], folder, Settings(), real_encoder)
    return Index.open(IndexFolder(folder).live())


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("how slow was the grwth", "how slow was the growth"),
        ("which feilds of reserch", "which fields of research"),
        ("what followed the lockdwn?", "what followed the lockdown?"),
        ("why overcapcity", "why overcapacity"),
        ("each provinse and its securty!", "each province and its security!"),
    ],
)
def test_a_misspelt_word_is_read_as_the_documents_spell_it(
    typed: str, read: str, index: Index, real_encoder: OnnxEncoder
) -> None:
    assert corrected(typed, index, real_encoder, Analyzer()) == read


@pytest.mark.parametrize(
    "typed",
    [
        "what about hefei",  # one letter from Hebei, which is a name
        "what about Hefie",  # written as a name
        "how did henan grow",  # a word the encoder knows whole, though the documents do not
        "growth by sector",  # nothing misspelt
        "gdp",  # too short to tell
        "zzzzzz qqqqqq",  # near nothing
        "",
        "Ｇｒｏｗｔｈ 数字经济 ?!",
        '"; DROP TABLE chunks; -- grow*',
    ],
)
def test_what_may_be_a_name_or_is_near_nothing_stays_as_it_is(
    typed: str, index: Index, real_encoder: OnnxEncoder
) -> None:
    assert corrected(typed, index, real_encoder, Analyzer()) == typed


def test_of_many_misspelt_words_only_the_first_are_looked_up(index: Index, real_encoder: OnnxEncoder) -> None:
    """Else a question of hundreds, on a large vocabulary, would hold up all others."""
    assert corrected("grwth " * 9, index, real_encoder, Analyzer()) == "growth " * 8 + "grwth "
