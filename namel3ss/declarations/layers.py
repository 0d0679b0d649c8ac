"""Blocks that are written in more than one place: in the program, and in the profile that lies over it.

The nearest place wins, maps merge key by key, `null` in a nearer place takes away what is below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from namel3ss.declarations.written import merge_pairs, read_pairs, unique_pairs
from namel3ss.language import Block, Null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written
    from namel3ss.language import Pair, Source

__all__ = ["Layer", "Layers", "SitedPair", "blocks_of", "layered_pairs", "layered_values"]


class Layer(NamedTuple):
    """A block and the text it stands in, which may be the profile's."""

    block: Block
    source: Source
    is_profile: bool = False


class SitedPair(NamedTuple):
    """A pair and the text it stands in."""

    pair: Pair
    source: Source


# What is written for one thing, the nearest last.
Layers: TypeAlias = "Sequence[Layer]"


def layered_pairs(layers: Layers, findings: Findings) -> dict[str, list[SitedPair]]:
    """By key the pairs that count, the nearest last. A key written twice in one place is reported."""
    found: dict[str, list[SitedPair]] = {}
    for depth, (block, source, _) in enumerate(layers):
        for key, pair in unique_pairs(block, source, findings).items():
            if depth and isinstance(pair.value, Null):
                found.pop(key, None)
            else:
                found.setdefault(key, []).append(SitedPair(pair, source))
    return found


def layered_values(layers: Layers, findings: Findings) -> dict[str, Written]:
    """The values of blocks by key; null in a nearer one stands for a value that is taken away."""
    found: dict[str, Written] = {}
    for block, source, _ in layers:
        found = merge_pairs(found, read_pairs(block, source, findings))
    return found


def blocks_of(pairs: Sequence[SitedPair]) -> list[Layer]:
    """The maps that make up a value together: those behind the last value that is no map."""
    layers: list[Layer] = []
    for pair, source in pairs:
        if isinstance(pair.value, Block):
            layers.append(Layer(pair.value, source))
        else:
            layers.clear()
    return layers
