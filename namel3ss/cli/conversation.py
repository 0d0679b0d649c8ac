"""A conversation with a model: what was said, what of it is sent, and what a full window leaves out. Pure.

A turn is a question with its answer. All turns are kept for ``/save``; those from `first_sent` on are sent. When
the server says that the window is full, the oldest turns are left out of what is sent, never the newest question.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from namel3ss.providers.base import ProviderMessage

__all__ = ["Conversation", "Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and what `speaker` answered; `complete` is False where Ctrl-C or an error cut the answer off."""

    question: str
    answer: str
    speaker: str
    complete: bool = True

    @property
    def size(self) -> int:
        """How much of a window it takes, in characters: only good for comparing turns."""
        return len(self.question) + len(self.answer)


@dataclass
class Conversation:
    """The turns so far. Changed only through its methods."""

    turns: list[Turn] = field(default_factory=list)
    first_sent: int = 0

    def messages(self, question: str) -> list[ProviderMessage]:
        """What to send for a new question: the turns in use, oldest first, then the question."""
        sent: list[ProviderMessage] = []
        for turn in self.turns[self.first_sent :]:
            sent.append(ProviderMessage("user", turn.question))
            if turn.answer:
                sent.append(ProviderMessage("assistant", turn.answer))
        return [*sent, ProviderMessage("user", question)]

    def record(self, question: str, answer: str, *, speaker: str, complete: bool = True) -> None:
        """Keep a turn. A question that was cut off before a word of the answer is forgotten."""
        if answer or complete:
            self.turns.append(Turn(question, answer, speaker, complete))

    def leave_out(self, question: str, *, prompt_tokens: int | None, window: int | None) -> int:
        """Leave the oldest turns out of what is sent, after all of it with `question` did not fit.

        Counts are the server's, None where it named none. Gives how many turns were left out: as many as should be
        enough by their share of the tokens, at least one, and 0 when only the question itself is left.
        """
        in_use = self.turns[self.first_sent :]
        if not in_use:
            return 0
        surplus = _surplus_share(prompt_tokens, window) * (sum(turn.size for turn in in_use) + len(question))
        count, freed = 0, 0
        while count < len(in_use) and (count == 0 or freed < surplus):
            freed += in_use[count].size
            count += 1
        self.first_sent += count
        return count

    def send_all_again(self) -> None:
        """Forget what was left out: the model or its window has changed."""
        self.first_sent = 0

    def clear(self) -> None:
        """Begin anew."""
        self.turns.clear()
        self.first_sent = 0

    def transcript(self, *, system: str | None) -> str:
        """Everything that was said, as Markdown; turns no longer sent included."""
        parts = ["# A conversation"]
        if system:
            parts.append(f"System: {system}")
        for turn in self.turns:
            ending = "" if turn.complete else "\n\n(cut off)"
            parts.append(f"## You\n\n{turn.question}\n\n## {turn.speaker}\n\n{turn.answer}{ending}")
        return "\n\n".join(parts) + "\n"


def _surplus_share(prompt_tokens: int | None, window: int | None) -> float:
    """How much of what was sent is too much, from 0 to 1; a little more, so that the answer has room too."""
    if not prompt_tokens or not window or prompt_tokens <= window:
        return 0.0
    return min(1.0, 1.1 * (prompt_tokens - window) / prompt_tokens)
