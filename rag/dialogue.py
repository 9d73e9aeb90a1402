"""Questions and their replies in talks, interviews and lists of frequently asked questions.

A reader's question often matches the interviewer's question far better than the reply that follows it,
which takes the subject as given and does not name it again. What answers is the reply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.records import AnchorKind, Document, Span

MAX_REPLY_SEGMENTS = 30
"""Segments after a question that may still be its reply."""
_SPOKEN_QUESTION = re.compile(
    r"\b(?:(?:could|can|would) you (?:please |just |also |like )?"
    r"(?:tell|elaborate|explain|describe|provide|give|share|say|comment|make)"
    r"|(?:my|(?:the|a) (?:first|second|third|last|next|other)|one|a) question\b(?! (?:of|mark))"
    r"|(?:like|want|going) to ask"
    r"|ask (?:you|a|the|uh)\b|like (?:you|us) to (?:tell|talk|explain))"
    r"|^(?:(?:so|and|but|well|okay|now|then|uh|um)\s+)*(?:what|how|why|if there are)\b(?! (?:i|we) )",
    re.IGNORECASE,
)
_GAP = 2
"""Segments that may stand between two parts of one question."""
_TURN_WITHIN = 8
"""Segments after a question within which the next speaker must begin for the turn to be its reply."""
_HANDS_OVER = re.compile(r"\b(?:thank you|very interesting|next question)\b", re.IGNORECASE)


def asks(text: str) -> bool:
    """True for a question, written with its mark or, in speech without punctuation, put in words."""
    stripped = text.rstrip(" \t\r\n\"'”’*_)»")
    if stripped.endswith(("?", "？", "؟")):
        return True
    return not any(mark in text for mark in ".!?:;") and bool(_SPOKEN_QUESTION.search(text))


def questions(asking: Sequence[bool], adjoining: Sequence[bool]) -> list[bool]:
    """Which stretches of running text belong to a question; what stands between two parts of one does too.

    `asking[i]` says that stretch i is worded as a question, `adjoining[i]` that it follows stretch i - 1 in the
    same document.
    """
    found = list(asking)
    last = -_GAP
    for i, is_question in enumerate(asking):
        if not adjoining[i]:
            last = -_GAP
        if is_question:
            if last >= 0 and i - last <= _GAP:
                found[last:i] = [True] * (i - last)
            last = i
    return found


def reply(document: Document, spans: Sequence[Span], asking: Sequence[bool]) -> range:
    """Which of the stretches after a question are its reply; `spans` and `asking` begin after the question.

    Where speakers are marked, the reply is the next speaker's turn. Elsewhere it goes on until the next
    heading, until somebody thanks, or asks again.
    """
    starts = [a.start for a in document.anchors if a.kind is AnchorKind.SPEAKER and spans and spans[0].start <= a.start]
    first = next((i for i, is_question in enumerate(asking) if not is_question), len(spans))
    if starts:
        turn = next((i for i, span in enumerate(spans) if span.start >= starts[0]), len(spans))
        if turn <= _TURN_WITHIN:
            end = next((i for i, span in enumerate(spans) if len(starts) > 1 and span.start >= starts[1]), len(spans))
            return range(turn, end)
    headings = {a.start for a in document.anchors if a.kind is AnchorKind.HEADING}
    end = next(
        (
            i
            for i in range(first + 1, len(spans))
            if asking[i]
            or spans[i].start in headings
            or _HANDS_OVER.search(document.text[spans[i].start : spans[i].end])
        ),
        len(spans),
    )
    return range(first, end)
