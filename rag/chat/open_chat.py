"""The conversation that one page has open, and whose turn it is to change it.

Events of a page overlap: Stop arrives while the answer that it stops is still being made, documents are chosen
meanwhile, a suggestion is clicked before an answer is there. So they do not each carry a copy of the conversation
about: all of them change this one object, on the event loop only, and an answer that another event has overtaken
changes nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rag.chat.conversation import Conversation, Turn


@dataclass(slots=True)
class OpenChat:
    """What Gradio holds for a page."""

    conversation: Conversation = field(default_factory=Conversation)
    examples_of: str = ""
    """The index version that the examples on the start page are from."""
    _asked: int = 0

    def change(self, conversation: Conversation) -> None:
        """Put another conversation in the place of this one; an answer under way is overtaken."""
        self._asked += 1
        self.conversation = conversation

    def ask(self, turn: Turn) -> int:
        """Add a turn: its number, for `answer`.

        One that still waits for its answer is dropped, and one that is being shown bit by bit is there as a whole.
        """
        self._asked += 1
        turns = tuple(replace(earlier, shown=None) for earlier in self.conversation.turns if not earlier.pending)
        self.conversation = replace(self.conversation, turns=turns).with_turn(turn)
        return self._asked

    def answer(self, number: int, turn: Turn) -> bool:
        """Give turn `number` its answer, or more of it; False, and nothing changes, where it was overtaken."""
        if number != self._asked:
            return False
        self.conversation = self.conversation.with_last(turn)
        return True
