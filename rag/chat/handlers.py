"""What happens on each event of the page. Everything that an event brings from the browser is checked there."""

from __future__ import annotations

from dataclasses import dataclass

from rag.chat.asking import Asking
from rag.chat.backend import Backend
from rag.chat.feedback import FeedbackFile
from rag.chat.limits import Limiter, Slots
from rag.chat.outputs import Outputs
from rag.chat.reading import Reading
from rag.chat.studying import Studying
from rag.chat.texts import Texts
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Handlers:
    """The events of the page over one backend."""

    asking: Asking
    reading: Reading
    studying: Studying
    outputs: Outputs


def make_handlers(
    backend: Backend, settings: Settings, feedback: FeedbackFile, limiter: Limiter, slots: Slots, texts: Texts
) -> Handlers:
    """All handlers; `limiter` and `slots` bound the questions."""
    outputs = Outputs(backend, texts)
    return Handlers(
        Asking(backend, settings, limiter, slots, texts, outputs),
        Reading(backend, settings.answer_threshold, texts),
        Studying(backend, feedback, texts, outputs),
        outputs,
    )
