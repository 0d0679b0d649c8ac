"""A chat under way: what the entries of a person do to the conversation, the model and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from namel3ss.cli.answer import AnswerPrinter, answer_statistics
from namel3ss.cli.answering import stream_answer
from namel3ss.cli.chat_input import Instruction, Message, help_text
from namel3ss.cli.conversation import Conversation
from namel3ss.cli.opening import open_model
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import OllamaContextTruncatedError, OllamaContextWindowExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.cli.chat_input import Entry
    from namel3ss.cli.event_loop import EventLoop
    from namel3ss.cli.session import Session

__all__ = ["ChatSession"]


class ChatSession:
    """One chat with the models of one file. `close` it inside its event loop's life."""

    def __init__(
        self,
        session: Session,
        loop: EventLoop,
        path: str,
        sandbox_url: str | None,
        *,
        model: str | None = None,
        system: str | None = None,
        assignments: Sequence[str] = (),
        with_thinking: bool = True,
        with_statistics: bool = False,
    ) -> None:
        self._session = session
        self._output = session.output
        self._loop = loop
        self._path = path
        self._sandbox_url = sandbox_url
        self._system = system
        self._assignments = list(assignments)
        self._with_thinking = with_thinking
        self._with_statistics = with_statistics
        self.conversation = Conversation()
        self.has_ended = False
        self._program, self._model = open_model(
            session, path, sandbox_url, model=model, assignments=assignments
        )

    @property
    def model_name(self) -> str:
        """The model that answers, as the file and as its server call it."""
        return f"{self._model.name} ({self._model.model})"

    def handle(self, entry: Entry) -> None:
        """Do what an entry asks for. Raises N3Error where it cannot be done; the chat can go on."""
        if isinstance(entry, Message):
            self._ask(entry.text)
        elif isinstance(entry, Instruction):
            self._obey(entry.name, entry.argument)
        else:
            hint = f"Did you mean /{entry.nearest}?" if entry.nearest else "/help lists the commands."
            raise UsageError(f"There is no command /{entry.name}.", suggestion=hint)

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._program.aclose())

    # -- asking -----------------------------------------------------------------------------------------------

    def _ask(self, question: str) -> None:
        printer = AnswerPrinter(self._output, show_thinking=self._with_thinking)
        is_complete = False
        try:
            self._answer(question, printer)
            is_complete = True
        finally:
            # Also what Ctrl-C or an error cut off was said, and belongs to the conversation.
            self.conversation.record(question, printer.text, speaker=self._model.model, complete=is_complete)
            printer.finish()

    def _answer(self, question: str, printer: AnswerPrinter) -> None:
        """Print the answer; while the window is too small, with ever fewer of the oldest turns."""
        while True:
            try:
                response = self._loop.run(
                    stream_answer(
                        self._output,
                        self._model,
                        self.conversation.messages(question),
                        printer,
                        system=self._system,
                    )
                )
            except OllamaContextWindowExceededError as error:
                tokens = error.prompt_tokens or error.prompt_tokens_estimate
                if not self._leave_out(question, tokens, error.window):
                    raise
            except OllamaContextTruncatedError as error:
                if not self._leave_out(question, None, error.window):
                    raise
                return
            else:
                if self._with_statistics:
                    printer.finish()
                    self._output.note(answer_statistics(response))
                return

    def _leave_out(self, question: str, prompt_tokens: int | None, window: int | None) -> bool:
        count = self.conversation.leave_out(question, prompt_tokens=prompt_tokens, window=window)
        if count:
            turns = "turn is" if count == 1 else f"{count} turns are"
            self._output.note(
                f"The context window is full: the oldest {turns} no longer sent (/save keeps all)."
            )
        return count > 0

    # -- commands ---------------------------------------------------------------------------------------------

    def _obey(self, name: str, argument: str) -> None:
        match name:
            case "help":
                self._output.note(help_text())
            case "model":
                self._switch_model(argument)
            case "set":
                self._set(argument)
            case "system":
                self._set_system(argument)
            case "save":
                self._save(argument)
            case "clear":
                self.conversation.clear()
                self._output.note("The conversation is forgotten.")
            case "exit":
                self.has_ended = True

    def _switch_model(self, name: str) -> None:
        if name:
            self._reopen(name, self._assignments)
            self._output.note(f"Talking to {self.model_name}.")
            return
        for model in self._program.models.values():
            sign = "*" if model.name == self._model.name else " "
            about = f"  {model.declaration.description}" if model.declaration.description else ""
            self._output.note(f"{sign} {model.name} ({model.model}){about}")

    def _set(self, assignment: str) -> None:
        if assignment:
            self._reopen(self._model.name, [*self._assignments, assignment])
        elif not self._assignments:
            self._output.note("Nothing was changed. /set KEY=VALUE changes a setting.")
        for changed in self._assignments:
            self._output.note(changed)

    def _reopen(self, model: str, assignments: list[str]) -> None:
        """Go on with another model or other settings; what does not work leaves everything as it was."""
        before = self._program
        self._program, self._model = open_model(
            self._session, self._path, self._sandbox_url, model=model, assignments=assignments
        )
        self._assignments = assignments
        self.conversation.send_all_again()
        self._loop.run(before.aclose())

    def _set_system(self, text: str) -> None:
        if text:
            self._system = "" if text == '""' else text
        shown = self._model.declaration.system if self._system is None else self._system
        self._output.note(
            f"System: {shown}" if shown else 'There is no system prompt. /system "" removes one.'
        )

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError("/save needs the name of a file.", suggestion="/save talk.md")
        system = self._model.declaration.system if self._system is None else self._system
        text = self.conversation.transcript(system=system)
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(f"{name} exists already.", suggestion="Give another name.") from None
        except OSError as error:
            raise UsageError(f"{name} cannot be written: {error.strerror}.") from error
        self._output.note(f"Saved {len(self.conversation.turns)} turns to {path}.")
