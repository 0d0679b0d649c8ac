"""What templates print and compute: values as text, and the filters that work on texts, each within its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import jinja2

from namel3ss.errors import N3Error

__all__ = [
    "LARGEST_TEXT",
    "TemplateError",
    "as_json",
    "as_text",
    "bounded",
    "bounded_list",
    "indented",
    "is_number",
    "kind_of",
    "plain_item",
    "replace_in",
    "too_long",
    "what_is_missing",
]

LARGEST_TEXT: Final = 4_000_000  # characters; no context window holds more
_MOST_ITEMS: Final = 100_000


class TemplateError(N3Error):
    """A template cannot be rendered with this data: a key is missing, or a limit was reached."""


def as_text(value: object) -> str:
    """A value as templates print it: text as it is, nothing for null, JSON for the rest."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    return as_json(value)


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON. Raises TemplateError where that is too long."""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    if not isinstance(value, str | int | float | dict | list | tuple | None):
        value = list(value) if isinstance(value, Iterable) else str(value)
    pieces: list[str] = []
    length = 0
    # iterencode gives small pieces, so that a limit can stop it.
    encoder = json.JSONEncoder(ensure_ascii=False, indent=None if indent is None else min(indent, 8))
    for piece in encoder.iterencode(value):
        length += len(piece)
        if length > LARGEST_TEXT:
            raise too_long()
        pieces.append(piece)
    return "".join(pieces)


def replace_in(value: object, old: str, new: str, count: int = -1) -> str:
    """The filter `replace`, which looks at the length before it makes the text."""
    text = as_text(value)
    found = len(text) + 1 if not old else text.count(old)
    if count >= 0:
        found = min(found, count)
    if len(text) + found * (len(new) - len(old)) > LARGEST_TEXT:
        raise too_long()
    return text.replace(old, new, count)


def indented(value: object, width: int | str = 4, first: bool = False) -> str:
    """The filter `indent`, which looks at the length before it makes the text."""
    text = as_text(value)
    margin = width[:64] if isinstance(width, str) else " " * min(max(width, 0), 64)
    if len(text) + (text.count("\n") + 1) * len(margin) > LARGEST_TEXT:
        raise too_long()
    lines = "\n".join(margin + line if line else line for line in text.split("\n"))
    return lines if first else lines[len(margin) :] if lines.startswith(margin) else lines


def bounded(text: str) -> str:
    """The text. Raises TemplateError where it is too long."""
    if len(text) > LARGEST_TEXT:
        raise too_long()
    return text


def bounded_list(items: list[object]) -> list[object]:
    """The items. Raises TemplateError where there are too many."""
    if len(items) > _MOST_ITEMS:
        raise TemplateError(f"A list in the template has more than {_MOST_ITEMS:,} items.")
    return items


def plain_item(value: object) -> object:
    """An item of a list that a template writes: lists of lists could grow without end."""
    if isinstance(value, jinja2.Undefined):
        str(value)
    if value is not None and not isinstance(value, str | int | float):
        raise TemplateError(
            f"A list that a template writes may hold texts and numbers, not {kind_of(value)}."
        )
    return value


def too_long() -> TemplateError:
    """What to raise when a text would become too long."""
    return TemplateError(f"The rendered text is longer than {LARGEST_TEXT:,} characters.")


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: object) -> str:
    """What a value is, in words."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    return "a number" if is_number(value) else "a list"


def what_is_missing(obj: Any, key: object) -> str:
    """That a key or item is not there, and what is."""
    if isinstance(obj, dict):
        there = ", ".join(f"`{name}`" for name in list(obj)[:10]) or "nothing"
        return f"there is no `{str(key)[:60]}` in an object that has {there}"
    if isinstance(obj, list | tuple):
        return f"there is no item {str(key)[:60]} in a list of {len(obj)}"
    return f"there is no `{str(key)[:60]}` in {kind_of(obj)}"
