"""Where a chat's lines come from: a person at a terminal, with editing and history, or a pipe."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from namel3ss.cli.output import Output

__all__ = ["LineReader", "PipeReader", "TerminalReader", "line_reader"]

_PROMPT: Final = ">>> "
_GOES_ON: Final = "... "
_HISTORY_LINES: Final = 1000


class LineReader(Protocol):
    """Gives lines without their end. Raises EOFError after the last one."""

    is_interactive: bool

    def read(self, *, goes_on: bool) -> str: ...


class PipeReader:
    """Lines of a pipe or a file; nobody is prompted."""

    is_interactive = False

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def read(self, *, goes_on: bool) -> str:
        """The next line; `goes_on` changes nothing here."""
        line = self._stream.buffer.readline() if self._stream is not None else b""
        if not line:
            raise EOFError
        try:
            return line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"A line on standard input is not UTF-8: byte {error.start + 1} is 0x{line[error.start]:02x}."
            ) from None


class TerminalReader:
    """Lines that a person types. The prompt goes to stderr where stdout is not the terminal too."""

    is_interactive = True

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._output = output
        self._stream = stream

    def read(self, *, goes_on: bool) -> str:
        """The next line; `goes_on` prompts for the rest of a message."""
        prompt = _GOES_ON if goes_on else _PROMPT
        if self._output.stdout_is_terminal:
            return input(prompt)
        self._output.aside(prompt)
        line = self._stream.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")


@contextlib.contextmanager
def line_reader(output: Output, stdin: TextIO | None) -> Iterator[LineReader]:
    """The reader for a standard input; what is typed is remembered for the next chat."""
    if stdin is None or not stdin.isatty():
        yield PipeReader(stdin)
        return
    with _history():
        yield TerminalReader(output, stdin)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Line editing with the lines of earlier chats, in a file that only the user may read."""
    try:
        import readline
    except ImportError:  # not on Windows
        yield
        return
    import platformdirs

    path = platformdirs.user_state_path("namel3ss") / "chat_history"
    with contextlib.suppress(OSError):  # there is none yet, or it may not be read: the chat goes on without
        readline.read_history_file(path)
    known = readline.get_current_history_length()
    try:
        yield
    finally:
        new = readline.get_current_history_length() - known
        with contextlib.suppress(OSError):
            _make_private(path)
            readline.set_history_length(_HISTORY_LINES)
            readline.append_history_file(new, path)


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.chmod(0o600)
