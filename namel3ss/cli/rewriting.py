"""Reading files whole and putting new text in their place."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
import tempfile
from typing import TYPE_CHECKING

from namel3ss.cli.ai_files import STDIN
from namel3ss.errors import ProgramError

if TYPE_CHECKING:
    from namel3ss.cli.session import Session

__all__ = ["difference", "read_bytes", "replace_file"]


def read_bytes(path: str, session: Session) -> bytes:
    """What a file holds; ``-`` is standard input. Raises ProgramError where it cannot be read."""
    if path == STDIN:
        return b"" if session.stdin is None else session.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise ProgramError(
            f"There is no file `{path}`.", suggestion="Check the path and the working folder."
        ) from error
    except OSError as error:
        raise ProgramError(f"`{path}` cannot be read: {error.strerror}.") from error


def replace_file(path: str, text: str) -> None:
    """Put a text, as it is, in the place of a file: whole or not at all, with its permissions; a link stays a link.

    Raises OSError.
    """
    target = os.path.realpath(path)
    mode = stat.S_IMODE(os.stat(target).st_mode)
    descriptor, draft = tempfile.mkstemp(prefix=".", suffix=".ai~", dir=os.path.dirname(target))
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, mode)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def difference(path: str, before: str, after: str) -> str:
    """The change as a unified diff that `patch -p1` takes; "" where there is none."""
    lines = difflib.unified_diff(
        _lines(before),
        _lines(after),
        f"a/{path}",
        f"b/{path}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    # Not splitlines, which also cuts at characters that end no line in a file.
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
