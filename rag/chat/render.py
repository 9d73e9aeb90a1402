"""Chat messages as HTML. Everything untrusted goes through `escape`; a message is one HTML block without blank lines.

Gradio's sanitiser keeps `class`, `href="#…"`, `title`, `role` and `tabindex` of a message and drops `data-*` and
`aria-*`, so a link's fragment says what it does, and words for screen readers stand in visually hidden spans.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.chat.conversation import Conversation, Turn
from rag.chat.escaping import escape, one_line
from rag.chat.parts import Words, parts
from rag.chat.places import Place, place_of
from rag.chat.texts import Texts
from rag.location import location
from rag.records import Citation, Document

BETWEEN = "\N{NO-BREAK SPACE}· "
"""Between two things that are known of a source; a line never begins with the dot."""
Message = dict[str, str]
"""What gr.Chatbot takes: "role" and "content"."""


def messages(conversation: Conversation, suggestions: Sequence[str], texts: Texts) -> list[Message]:
    """The conversation as the chat shows it."""
    result: list[Message] = []
    last = len(conversation.turns) - 1
    for number, turn in enumerate(conversation.turns):
        result.append({"role": "user", "content": f'<div class="q">{escape(turn.question)}</div>'})
        result.append({"role": "assistant", "content": _answer(turn, number, number == last, suggestions, texts)})
    return result


def about(document: Document) -> str:
    """Where a document comes from, as far as it is known: title, publisher or event, date."""
    source = document.source
    return BETWEEN.join(
        one_line(part) for part in (document.title, source.publisher or source.event, source.date) if part
    )


def remarks(turn: Turn, texts: Texts) -> list[str]:
    """What there is to say of an answer that is not shown whole."""
    stopped = [texts.stopped] if turn.stopped else []
    return [*stopped, texts.lost(turn.lost)] if turn.lost else stopped


def _answer(turn: Turn, number: int, last: bool, suggestions: Sequence[str], texts: Texts) -> str:
    if turn.pending:
        return f'<div class="answer"><p class="looking">{escape(texts.looking)}</p></div>'
    if turn.notice:
        return (
            f'<div class="answer"><p class="notice">{escape(turn.notice)}</p>{_tools(turn, number, last, texts)}</div>'
        )
    read_as = _read_as(turn, texts)
    if turn.abstained:
        body = _abstention(turn, suggestions if last else (), texts)
    elif turn.shown is not None:
        return f'<div class="answer streaming">{read_as}{_said(turn, turn.shown, texts)}</div>'
    else:
        body = _said(turn, len(turn.citations), texts) + _cards(turn, texts)
    body += "".join(f'<p class="notice">{escape(remark)}</p>' for remark in remarks(turn, texts))
    return f'<div class="answer">{read_as}{body}{_tools(turn, number, last, texts)}</div>'


def _read_as(turn: Turn, texts: Texts) -> str:
    """The question as it was read, where its spelling was mended."""
    if turn.answer is None or not turn.answer.read_as:
        return ""
    return f'<p class="label">{escape(texts.read_as.format(question=turn.answer.read_as))}</p>'


def _said(turn: Turn, shown: int, texts: Texts) -> str:
    """The answer's text with a chip for every citation, up to and including the citation number `shown`."""
    html: list[str] = []
    for part in parts(turn.text, turn.citations):
        if isinstance(part, Words):
            html.append(f'<span class="quoted">{escape(part.text)}</span>' if part.quoted else _lines(part.text))
        elif part.number > shown:
            break
        else:
            before = html.pop() if html and html[-1] else ""
            html.append(f"{before.rstrip()}&nbsp;{_chip(part, texts)}")  # a number does not stand alone on a line
            if part.number == shown and shown < len(turn.citations):
                break
    return f'<div class="said"><p>{"".join(html)}</p></div>'


def _lines(text: str) -> str:
    """Words of the answer with its line breaks; several are one paragraph break."""
    return "</p><p>".join(escape(line) for line in text.split("\n")).replace("<p></p>", "")


def _chip(citation: Citation, texts: Texts) -> str:
    place = place_of(citation)
    title = texts.source_of.format(
        number=citation.number, title=one_line(place.document.title), location=citation.location
    )
    return f'<a class="cite" href="#cite/{place.ref}"><span class="vh">{escape(title)}</span>{citation.number}</a>'


def _cards(turn: Turn, texts: Texts) -> str:
    cards = "".join(
        _card(turn, place_of(c), str(c.number), c.location, texts.open_quote.format(number=c.number), texts)
        for c in turn.citations
    )
    return f'<div class="cards"><h3 class="vh">{escape(texts.cards_heading)}</h3>{cards}</div>' if cards else ""


def _card(turn: Turn, place: Place, number: str, where: str, label: str, texts: Texts) -> str:
    badge = f'<span class="n">{number}</span>' if number else ""
    stale = texts.stale(turn.answer.stale.get(place.document.id)) if turn.answer is not None else ""
    note = f' · <span class="stale">{escape(stale)}</span>' if stale else ""
    copying = "".join(
        f'<a class="tool {name}" role="button" href="#{do}/{place.ref}" title="{escape(tip)}">'
        f'<span class="vh">{escape(tip)} {number}</span></a>'
        for name, do, tip in (("copy", "copy", texts.copy_quote), ("more", "copyas", texts.copy_as))
    )
    return (
        f'<div class="card"><a class="open" href="#cite/{place.ref}" title="{escape(label)}">{badge}'
        '<span class="words">'
        f'<span class="context">{escape(place.before())}</span><span class="exact">{escape(place.text)}</span>'
        f'<span class="context">{escape(place.after())}</span></span>'
        f'<span class="from">{escape(about(place.document) + BETWEEN)}'
        f'<span class="where">{escape(where)}</span>{note}</span></a><span class="copying">{copying}</span></div>'
    )


def _abstention(turn: Turn, suggestions: Sequence[str], texts: Texts) -> str:
    html = f'<div class="said none"><p>{escape(turn.text)}</p></div>'
    if turn.closest:
        cards = "".join(
            _card(turn, p, "", location(p.document, p.start, p.end), texts.open_passage, texts) for p in turn.closest
        )
        html += f'<div class="cards closest"><h3 class="label">{escape(texts.closest_heading)}</h3>{cards}</div>'
    if suggestions:
        html += f'<h3 class="label">{escape(texts.suggestions_heading)}</h3>{suggested(suggestions)}'
    return html


def suggested(questions: Sequence[str]) -> str:
    """Questions to ask with one click."""
    links = "".join(f'<a class="suggested" role="button" href="#ask">{escape(question)}</a>' for question in questions)
    return f'<div class="suggestions">{links}</div>'


def start(suggestions: Sequence[str], texts: Texts) -> str:
    """The page before the first question."""
    examples = f'<p class="label">{escape(texts.start_examples)}</p>{suggested(suggestions)}' if suggestions else ""
    return f'<div class="start"><h2>{escape(texts.start_heading)}</h2><p>{escape(texts.start_text)}</p>{examples}</div>'


def _tools(turn: Turn, number: int, last: bool, texts: Texts) -> str:
    tools = []
    if not turn.notice:
        tools += [("copyanswer", texts.copy_answer, ""), ("why", texts.why, "")]
        tools += [
            (f"vote-{name}", label, f" ({texts.chosen})" if turn.vote is value else "")
            for name, label, value in (("up", texts.vote_up, True), ("down", texts.vote_down, False))
        ]
    if last:
        tools += [("retry", texts.retry, ""), ("edit", texts.edit, "")]
    links = "".join(
        f'<a class="tool {name}{" on" if note else ""}" role="button" href="#{name}/{number}" title="{escape(label)}">'
        f'<span class="{"name" if name == "why" else "vh"}">{escape(label + note)}</span></a>'
        for name, label, note in tools
    )
    return f'<div class="tools">{links}</div>'
