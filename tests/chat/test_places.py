"""References that come back from a browser."""

from __future__ import annotations

import pytest

from rag.chat.places import Place, find_document, find_place
from tests.chat.library import SmallBackend


def test_a_reference_names_its_place() -> None:
    """A place's reference leads back to the place."""
    backend = SmallBackend()
    place = Place(backend.documents()[0], 5, 30)
    assert find_place(backend, place.ref) == place


@pytest.mark.parametrize(
    "ref",
    [
        None,
        7,
        ["x"],
        "",
        "ID.0.0",
        "ID.5.5",
        "ID.9.2",
        "ID.-1.4",
        "ID.0.99999999",
        "ID.0.9999999999999999999",
        "ID.0.5.6",
        "ID.0.5\n",
        " ID.0.5",
        "ID.٠.٥",
        "../../etc/passwd",
        "0000000000000000.0.5",
        "ID.0.5'; DROP TABLE documents",
    ],
)
def test_anything_else_names_nothing(ref: object) -> None:
    """Only the strict pattern, a known document and offsets inside it are followed."""
    backend = SmallBackend()
    known = backend.documents()[0].id
    assert find_place(backend, ref.replace("ID", known) if isinstance(ref, str) else ref) is None


@pytest.mark.parametrize("name", [None, 3, "", "harbour.md", "../harbour.md", "0" * 16, "A" * 16])
def test_documents_are_found_by_id_only(name: object) -> None:
    """A path, a wrong id or another type finds no document."""
    assert find_document(SmallBackend(), name) is None


def test_the_context_of_a_quote_is_cut_at_spaces() -> None:
    """The line before and after a quote begins and ends with whole words."""
    document = SmallBackend().documents()[1]
    place = Place(document, 300, 340)
    assert document.text[300 - len(place.before()) - 1] == " "
    assert document.text[340 + len(place.after())] == " "
