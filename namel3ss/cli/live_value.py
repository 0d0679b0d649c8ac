"""A typed answer as JSON on stdout: on a terminal value by value as each is complete, elsewhere whole at the end."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from namel3ss.cli.output import Output

__all__ = ["ValuePrinter"]

_CONTROLS: Final = re.compile("[\x7f-\x9f]")


class ValuePrinter:
    """Prints one value. Lives for it.

    It only ever adds to what stands on the terminal: JSON that is laid out over lines grows at its end, but for the
    closing brackets, which are left out until what they close is complete.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._shown = ""

    def show_so_far(self, value: object) -> None:
        """Show what is complete of a map or list that is still being written."""
        if isinstance(value, dict | list):
            text = self._as_json(value).rstrip("]} \n")
            if text.startswith(self._shown):
                self._output.result(text[len(self._shown) :])
                self._shown = text

    def finish(self, value: object) -> None:
        """Print the rest, and the end of the line. A value that became another one in the end is printed whole.

        Text is printed as it is.
        """
        if isinstance(value, str):
            self._output.answer(value)
        else:
            text = self._as_json(value)
            if not text.startswith(self._shown):
                self._output.end_line()
                self._shown = ""
            self._output.result(text[len(self._shown) :])
        self._output.end_line()

    def _as_json(self, value: object) -> str:
        text = json.dumps(value, ensure_ascii=not self._output.encodes_unicode, indent=2)
        # JSON escapes the other control characters itself; these could steer a terminal too.
        return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
