"""The panel's view of why an answer is what it is: confidence, signals, passages with their scores, and times."""

from __future__ import annotations

from collections.abc import Sequence

from rag.chat.escaping import escape, one_line
from rag.chat.panel import head
from rag.chat.places import Place
from rag.chat.texts import Texts
from rag.location import location
from rag.records import Answer, Passage

_PREVIEW_CHARACTERS = 160


def why_view(answer: Answer, threshold: float, texts: Texts) -> str:
    """The drawer for one answer."""
    digits = 2 if abs(answer.confidence - threshold) >= 0.01 else 4  # or 0.296 would stay below 0.30 as 0.30
    said = _verdict(answer, threshold, texts).format(
        confidence=f"{answer.confidence:.{digits}f}", threshold=f"{threshold:.{digits}f}"
    )
    made = texts.made_with.format(version=answer.index_version, encoder=answer.encoder)
    return (
        f"{head(texts.why, answer.question, texts)}"
        f'<div class="panel-body why" tabindex="0" role="region" aria-label="{escape(texts.why)}">'
        f"<h3>{escape(texts.confidence)}</h3>{_gauge(answer.confidence, threshold, texts)}<p>{escape(said)}</p>"
        f"<h3>{escape(texts.signals)}</h3>{_signals(answer, texts)}"
        f'<h3>{escape(texts.passages)}</h3><p class="meta">{escape(texts.passages_help)}</p>'
        f'<ol class="passages">{"".join(_passage(p, texts) for p in answer.passages)}</ol>'
        f"<h3>{escape(texts.timings)}</h3>{_timings(answer, texts)}"
        f'<p class="meta">{escape(made)}</p></div>'
    )


def _verdict(answer: Answer, threshold: float, texts: Texts) -> str:
    """Why there is an answer or none: an answer needs confidence, and words to quote."""
    if not answer.abstained:
        return texts.why_answered
    return texts.why_abstained if answer.confidence < threshold else texts.why_unquotable


def _gauge(confidence: float, threshold: float, texts: Texts) -> str:
    return (
        f'<div class="gauge" role="img" aria-label="{escape(texts.confidence)} {confidence:.2f}">'
        f'<span style="width:{100 * confidence:.1f}%"></span><i style="left:{100 * threshold:.1f}%"></i></div>'
    )


def _signals(answer: Answer, texts: Texts) -> str:
    names = dict(texts.signal_names)
    rows = [
        (names.get(s.name, one_line(s.name)), f"{s.value:.3g}", f"{s.contribution:+.2f}")
        for s in sorted(answer.signals, key=lambda signal: -abs(signal.contribution))
    ]
    return _table((texts.signal, texts.value, texts.effect), rows)


def _passage(passage: Passage, texts: Texts) -> str:
    place = Place(passage.document, passage.start, passage.end)
    text = one_line(passage.text)
    text = text if len(text) <= _PREVIEW_CHARACTERS else f"{text[:_PREVIEW_CHARACTERS].rpartition(' ')[0]} …"
    scores = passage.scores
    found = (
        (texts.meaning, scores.dense),
        (texts.best_sentence, scores.segment),
        (texts.keywords, scores.keyword),
        (texts.fused, scores.fused),
    )
    numbers = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{'–' if value is None else f'{value:.3f}'}</dd></div>"
        for name, value in found
    )
    where = f"{one_line(passage.document.title)} · {location(passage.document, passage.start, passage.end)}"
    return (
        f'<li><a class="open" href="#cite/{place.ref}">{escape(text)}</a>'
        f'<p class="meta">{escape(where)}</p><dl class="scores">{numbers}</dl></li>'
    )


def _timings(answer: Answer, texts: Texts) -> str:
    rows = [(one_line(stage), f"{milliseconds:.1f}") for stage, milliseconds in answer.timings_ms.items()]
    return _table((texts.stage, texts.milliseconds), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
