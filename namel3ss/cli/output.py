"""Where words go: the result of a command to stdout, everything else to stderr.

Nothing else in the command line writes. Rules kept here: every piece is flushed as it comes; a reader that went
away (``| head``) ends the command quietly; colour only on a terminal that wants it; text that came from a model or
a server cannot steer the terminal it is shown on.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Output", "OutputClosedError", "OutputError", "Style", "printable"]

_CONTROLS: Final[dict[int, str | None]] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    0x7F: "\N{SYMBOL FOR DELETE}",
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}


def printable(text: str) -> str:
    """The text with control characters made visible, so that it cannot move a cursor, rename a window or ring."""
    return text.translate(_CONTROLS)


class OutputClosedError(Exception):
    """Nobody reads stdout any more. Ends a command without a word; not a failure."""


class OutputError(N3Error):
    """What should go to stdout cannot be written: a full disk, a broken device."""


class Style:
    """The few ways a word on a terminal differs from others: SGR parameters."""

    BOLD = "1"
    DIM = "2"
    ERROR = "1;31"
    GOOD = "32"
    WARNING = "1;33"


class Output:
    """The two streams of a command, and what is known of them. Lives as long as the process."""

    def __init__(self, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._line_is_open = False
        self._is_animated = False
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.stdout_is_terminal = stdout.isatty()
        self.stderr_is_terminal = stderr.isatty()
        self.stdout_has_color = self.stdout_is_terminal and not plain
        self.stderr_has_color = self.stderr_is_terminal and not plain
        self.can_animate = self.stderr_is_terminal and environ.get("TERM") != "dumb"

    @classmethod
    def standard(cls) -> Output:
        """The process's own streams; one that was closed before the start is replaced by nothing."""
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # for the process's life
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                # A terminal that cannot show a character shows "?" instead of ending the answer.
                reconfigure(errors="replace")
        return cls(sys.stdout, sys.stderr, os.environ)

    @property
    def stderr(self) -> TextIO:
        """For what draws itself (progress); everybody else uses the methods."""
        return self._stderr

    @property
    def width(self) -> int:
        """Columns of the terminal; 80 where there is none."""
        for stream in (self._stdout, self._stderr):
            try:
                return os.get_terminal_size(stream.fileno()).columns or 80
            except (OSError, ValueError):
                continue
        return 80

    # -- stdout ---------------------------------------------------------------------------------------------

    def result(self, text: str) -> None:
        """Write text of our own making, as it is. Raises OutputClosedError, OutputError."""
        if not text:
            return
        self._line_is_open = not text.endswith("\n")
        try:
            self._stdout.write(text)
            self._stdout.flush()
        except BrokenPipeError:
            _abandon(self._stdout)
            raise OutputClosedError from None
        except OSError as error:
            _abandon(self._stdout)
            raise OutputError(
                f"The output could not be written: {error.strerror or error}.",
                suggestion="Look at where stdout goes: is the disk full?",
            ) from error

    def abandon_stdout(self) -> None:
        """Where somebody else found it closed: let nothing more be written to it."""
        _abandon(self._stdout)

    def line(self, text: str = "") -> None:
        """Write one line of our own making."""
        self.result(text + "\n")

    def answer(self, text: str) -> None:
        """Write a piece of what a model said: byte for byte into a pipe or file, made harmless on a terminal."""
        self.result(printable(text) if self.stdout_is_terminal else text)

    def end_line(self) -> None:
        """End the line that was begun on stdout, if one was."""
        if self._line_is_open:
            self.result("\n")

    @property
    def encodes_unicode(self) -> bool:
        """Whether stdout takes every character."""
        return (self._stdout.encoding or "").lower().replace("-", "") == "utf8"

    # -- stderr ---------------------------------------------------------------------------------------------

    def animate(self, text: str) -> None:
        """Show one frame of something that moves on stderr's last line; whatever is said next takes its place.

        The cursor goes back to the line's start, so that even a line from elsewhere covers it. What does not fit is
        cut: a line that wraps would leave its beginning behind with each frame.
        """
        self.aside(f"{text[: max(self.width - 1, 1)]}\r")
        self._is_animated = True

    def wipe(self) -> None:
        """Take away what moved, if anything did."""
        self.aside("")

    def aside(self, text: str) -> None:
        """Write to stderr, as it is. A stderr that nobody reads is no reason to stop."""
        if self._is_animated:
            self._is_animated = False
            text = f"\x1b[K{text}"
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except OSError:
            _abandon(self._stderr)

    def note(self, text: str, style: str | None = None) -> None:
        """Write one line about what is going on to stderr."""
        self.aside(self.styled(printable(text), style) + "\n")

    def warn(self, text: str) -> None:
        """Say on stderr that something is not as it should be, though the command goes on."""
        self.aside(f"{self.styled('warning:', Style.WARNING)} {printable(text)}\n")

    def error(self, text: str) -> None:
        """Say on stderr why the command ends. Control characters in `text` are made visible."""
        if self._line_is_open and self.stdout_is_terminal and self.stderr_is_terminal:
            self.aside("\n")
            self._line_is_open = False
        self.aside(f"{self.styled('error:', Style.ERROR)} {printable(text)}\n")

    def styled(self, text: str, style: str | None) -> str:
        """Text for stderr in a style, or as it is where stderr shows no colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if style and self.stderr_has_color else text


def _abandon(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: the interpreter flushes once more when it ends, and would complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return  # a stream without a descriptor has nothing to flush into
