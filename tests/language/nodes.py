"""Walks a syntax tree, for tests that look at every node."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from namel3ss.language import Source, Span

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(node: object) -> Iterator[object]:
    """The node and everything below it, without sources and spans."""
    if isinstance(node, tuple) and not isinstance(node, Span):
        for item in node:
            yield from walk(item)
    elif dataclasses.is_dataclass(node) and not isinstance(node, type):
        yield node
        for field in dataclasses.fields(node):
            yield from walk(getattr(node, field.name))


def spans(node: object) -> Iterator[Span]:
    """Every span of a tree."""
    for part in walk(node):
        if dataclasses.is_dataclass(part):
            for field in dataclasses.fields(part):
                value = getattr(part, field.name)
                if isinstance(value, Span):
                    yield value


def without_spans(node: object) -> object:
    """The tree as plain data, in which places do not matter."""
    if isinstance(node, Span | Source):
        return None
    if isinstance(node, tuple):
        return [without_spans(item) for item in node]
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        fields = {field.name: without_spans(getattr(node, field.name)) for field in dataclasses.fields(node)}
        return {"node": type(node).__name__} | fields
    return node
