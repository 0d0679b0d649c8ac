"""Where each character of a template stands in the file: block text is indented there, strings have escapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.language import BlockText, Span, String
from namel3ss.language.strings import unquote

if TYPE_CHECKING:
    from namel3ss.language import BareWord, Source

__all__ = ["TemplatePlaces", "normalised"]

_ESCAPE_LENGTHS = (12, 6, 2)  # a pair of \uXXXX, one of them, any other


def normalised(text: str) -> str:
    """The text with the line ends that templates have."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class TemplatePlaces:
    """Finds places in one value of the file. Made where there is something to report."""

    def __init__(self, node: String | BlockText | BareWord, source: Source) -> None:
        self._end = node.span.end
        if isinstance(node, BlockText):
            self._offsets = _of_block_text(node, source)
        elif isinstance(node, String):
            self._offsets = _of_string(node, source)
        else:
            self._offsets = list(range(node.span.start, node.span.end))

    def span(self, start: int, end: int) -> Span:
        """The characters of the file that are those of the (normalised) text."""
        last = len(self._offsets)
        if last == 0:
            return Span(self._end, self._end)
        first = self._offsets[min(start, last - 1)]
        return Span(first, max(first, self._offsets[min(max(end - 1, start), last - 1)] + 1))


def _of_block_text(node: BlockText, source: Source) -> list[int]:
    offsets: list[int] = []
    at = source.text.find("\n", node.span.start) + 1
    for line in node.value.split("\n"):
        line_end = source.text.find("\n", at)
        if line_end < 0:
            line_end = len(source.text)
        text_end = line_end - 1 if source.text[line_end - 1 : line_end] == "\r" else line_end
        # Indentation was taken from the front, so the ends agree.
        offsets.extend(range(text_end - len(line), text_end + 1))
        at = line_end + 1
    return offsets[:-1]


def _of_string(node: String, source: Source) -> list[int]:
    raw_start, raw_end = node.span.start + 1, node.span.end - 1
    raw = source.text[raw_start:raw_end]
    offsets: list[int] = []
    characters: list[str] = []
    at = 0
    while at < len(raw):
        length = 1
        if raw[at] == "\\":
            length = next((each for each in _ESCAPE_LENGTHS if _is_one_escape(raw[at : at + each], each)), 1)
        character = unquote(raw[at : at + length]).value
        if character == "\n" and characters[-1:] == ["\r"]:
            characters[-1] = "\n"  # one line end, written as two characters
        else:
            characters.append(character)
            offsets.append(raw_start + at)
        at += length
    return offsets


def _is_one_escape(text: str, length: int) -> bool:
    if len(text) != length or (length > 2 and text[1] != "u"):
        return False
    resolved = unquote(text)
    return not resolved.bad and len(resolved.value) == 1
