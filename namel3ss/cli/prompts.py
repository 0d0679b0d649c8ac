"""The prompt of `run`: the argument, then what is piped in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["assemble_prompt", "given_text", "read_piped_text", "single_argument", "text_argument"]

# More than the largest context window holds; a file that was piped in by mistake ends here, not in swap.
LARGEST_PROMPT_BYTES: Final = 32 * 1024 * 1024


def text_argument(text: str, name: str) -> str:
    """An argument as text that can be sent. Raises UsageError where its bytes are no UTF-8.

    Python keeps bytes that its locale cannot read as half characters, which no server takes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(text).decode()
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not UTF-8 text.", suggestion="Convert it to UTF-8 first.") from None
    return text


def assemble_prompt(argument: str | None, stdin: TextIO | None) -> str:
    """The prompt made of both. Raises UsageError where neither says anything."""
    prompt = given_text(argument, stdin, "The prompt")
    if not prompt:
        raise UsageError(
            "There is no prompt.",
            suggestion='Write it after the file (namel3ss run app.ai "Why is the sky blue?"), or pipe it in.',
        )
    return prompt


def given_text(argument: str | None, stdin: TextIO | None, name: str) -> str:
    """The argument, called `name` in errors, and what is piped in, a blank line between; "" where neither says anything."""
    piped = "" if stdin is None or stdin.isatty() else read_piped_text(stdin.buffer)
    given = text_argument(argument or "", name)
    return "\n\n".join(part for part in (given.strip("\n"), piped.strip("\n")) if part.strip())


def single_argument(words: tuple[str, ...]) -> str | None:
    """The prompt of a command line. Raises UsageError for several words, which a shell gives where quotes are missing."""
    if len(words) > 1:
        raise UsageError(
            f"The prompt is {len(words)} arguments, and must be one.",
            suggestion=f'Put it in quotes: "{" ".join(words)}"',
        )
    return words[0] if words else None


def read_piped_text(stream: BinaryIO) -> str:
    """Everything on a stream as text. Raises UsageError for what is not UTF-8 text or too large for any model."""
    data = stream.read(LARGEST_PROMPT_BYTES + 1)
    if len(data) > LARGEST_PROMPT_BYTES:
        raise UsageError(
            f"The text on standard input is larger than {LARGEST_PROMPT_BYTES // 2**20} MB.",
            suggestion="No context window holds that much; pipe in the part that matters.",
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The text on standard input is not UTF-8: byte {error.start + 1} is 0x{data[error.start]:02x}.",
            suggestion="Convert it first; binary data cannot be a prompt. Pictures go through --image.",
        ) from None
