"""The panel's list of the documents: read one from end to end, or choose which ones to ask."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag.chat.escaping import escape, one_line
from rag.chat.panel import head
from rag.chat.texts import Texts
from rag.records import Listed


def library_view(documents: Sequence[Listed], chosen: Collection[str], texts: Texts) -> str:
    """The list; `chosen` are the ids of the documents that are asked, empty for all."""
    items = "".join(_item(document, not chosen or document.id in chosen, texts) for document in documents)
    text = texts.documents_text if documents else texts.no_documents
    return (
        f"{head(texts.documents, text, texts)}"
        f'<div class="panel-body library" tabindex="0" role="region" aria-label="{escape(texts.documents)}">'
        f'<p><button type="button" class="text-button" data-do="ask-all">{escape(texts.ask_all)}</button></p>'
        f"<ul>{items}</ul></div>"
    )


def scope_line(chosen: int, total: int, texts: Texts) -> str:
    """A line over the question that says that not all documents are asked; empty where all are."""
    if not chosen:
        return ""
    said = texts.scope.format(count=chosen, total=total)
    return (
        f'<div class="scope"><span>{escape(said)}</span>'
        f'<a href="#documents" role="button">{escape(texts.scope_change)}</a>'
        f'<button type="button" class="text-button" data-do="ask-all">{escape(texts.ask_all)}</button></div>'
    )


def _item(document: Listed, asked: bool, texts: Texts) -> str:
    source = document.source
    known = [source.kind, source.publisher or source.event, source.date, ", ".join(source.authors or source.speakers)]
    title = one_line(document.title)
    words = texts.characters_words.format(words=f"{document.words:,}")
    about = " · ".join(one_line(part) for part in [*known, words] if part)
    return (
        f'<li><label><input type="checkbox" data-document="{document.id}"{" checked" if asked else ""}>'
        f'<span class="vh">{escape(texts.ask_this.format(title=title))}</span></label>'
        f'<a class="open" href="#read/{document.id}.0"><span class="title">{escape(title)}</span>'
        f'<span class="meta">{escape(about)}</span><span class="meta path">{escape(document.path)}</span></a></li>'
    )
