"""Keeps the number of metric series bounded where a label's value comes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["OTHER_MODEL", "clamp_model", "model_clamp"]

OTHER_MODEL = "_other"


def clamp_model(model: str, known: Collection[str]) -> str:
    """`model` if it is one of `known`, else ``_other``.

    For programs whose users name the model: without it, each typo would be a series for ever.
    """
    return model if model in known else OTHER_MODEL


def model_clamp(known: Callable[[], Collection[str]]) -> Callable[[str], str]:
    """The clamp for `Telemetry(clamp_model=…)`, with a list of known models that is asked for each time."""
    return lambda model: clamp_model(model, known())
