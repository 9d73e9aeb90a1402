"""A conversation as a file to keep: Markdown, or a page that prints well. Both show hostile text as plain text."""

from __future__ import annotations

from rag.chat.conversation import Conversation, Turn
from rag.chat.escaping import escape, escape_markdown, one_line
from rag.chat.parts import Part, Words, parts
from rag.chat.references import reference
from rag.chat.render import remarks
from rag.chat.texts import Texts
from rag.records import Citation, Document

_STYLE = (
    "body{font:16px/1.6 Georgia,'Times New Roman',serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;break-after:avoid}"
    "blockquote{margin:.75rem 0;padding-left:1rem;border-left:3px solid #999;break-inside:avoid}"
    "cite,footer{font-size:.85rem;color:#444}sup{font-size:.7rem}"
    "@page{margin:2cm}@media print{body{margin:0;max-width:none}}"
)


def to_markdown(conversation: Conversation, style: str, texts: Texts) -> str:
    """The conversation as Markdown with its references."""
    lines = [f"# {escape_markdown(texts.title)}", ""]
    for turn in _answered(conversation):
        said = "".join(_markdown_part(part) for part in parts(turn.text, turn.citations))
        lines += [f"## {escape_markdown(turn.question)}", "", said, ""]
        for citation in turn.citations:
            lines += [
                f"> {citation.number}\\. “{escape_markdown(citation.quote.text)}”",
                f"> — {escape_markdown(citation.quote.document.title)}, {escape_markdown(citation.location)}",
                "",
            ]
        for remark in remarks(turn, texts):
            lines += [escape_markdown(remark), ""]
    documents = _cited(conversation)
    if documents:
        lines += [f"## {escape_markdown(texts.export_heading)}", ""]
        lines += [f"- {escape_markdown(reference(document, style, texts.no_date))}" for document in documents]
    return "\n".join([*lines, "", escape_markdown(_made(conversation, texts)), ""])


def to_html(conversation: Conversation, style: str, texts: Texts) -> str:
    """The conversation as one page without scripts, made to be printed or saved as PDF."""
    body = [f"<h1>{escape(texts.title)}</h1>"]
    for turn in _answered(conversation):
        said = "".join(_html_part(part) for part in parts(turn.text, turn.citations))
        body.append(f"<section><h2>{escape(turn.question)}</h2><p>{said}</p>")
        body += [
            f"<blockquote>{citation.number}. “{escape(one_line(citation.quote.text))}”<br>"
            f"<cite>{escape(citation.quote.document.title)}, {escape(citation.location)}</cite></blockquote>"
            for citation in turn.citations
        ]
        body += [f"<p>{escape(remark)}</p>" for remark in remarks(turn, texts)]
        body.append("</section>")
    documents = _cited(conversation)
    if documents:
        entries = "".join(f"<li>{escape(reference(document, style, texts.no_date))}</li>" for document in documents)
        body.append(f"<h2>{escape(texts.export_heading)}</h2><ul>{entries}</ul>")
    return (
        f'<!doctype html><html lang="{escape(texts.language)}"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{escape(texts.title)}</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}<footer>{escape(_made(conversation, texts))}</footer></body></html>"
    )


def _answered(conversation: Conversation) -> list[Turn]:
    return [turn for turn in conversation.turns if not turn.pending and not turn.notice]


def _cited(conversation: Conversation) -> list[Document]:
    """The documents quoted, each once, in order."""
    cited = (c.quote.document for turn in _answered(conversation) for c in turn.citations)
    return list({document.id: document for document in cited}.values())


def _made(conversation: Conversation, texts: Texts) -> str:
    """What the quotes were cut from: the index may have been renewed between two questions."""
    versions = dict.fromkeys(turn.version for turn in _answered(conversation))
    return texts.export_made.format(versions=", ".join(versions))


def _markdown_part(part: Part) -> str:
    if isinstance(part, Citation):
        return f"\\[{part.number}\\]"
    return (
        escape_markdown(part.text) if part.quoted else "\n\n".join(_keep_edges(line) for line in part.text.split("\n"))
    )


def _keep_edges(line: str) -> str:
    """Markdown of a line with the spaces that part it from its neighbours."""
    return f"{' ' if line[:1].isspace() else ''}{escape_markdown(line)}{' ' if line[-1:].isspace() else ''}"


def _html_part(part: Part) -> str:
    if isinstance(part, Words):
        return escape(part.text).replace("&#10;", " " if part.quoted else "<br>")
    return f"<sup>[{part.number}]</sup>"
