"""The options of a request, on top of those of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.http import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RUNNER_OPTIONS", "RunOptions", "read_options"]

RUNNER_OPTIONS: Final = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread")
"""A change in one of these loads the model anew."""

_INTEGERS = frozenset(
    [
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "repeat_last_n",
    ]
)
_FLOATS = frozenset(
    ["top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty"]
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the answer depends on; `runner` is what the loaded model depends on."""

    num_ctx: int
    num_predict: int = -1
    num_keep: int = 4
    num_batch: int | None = None
    stop: tuple[str, ...] = ()
    runner: tuple[object, ...] = ()


def read_options(
    default_context: int, model: Mapping[str, object], request: Mapping[str, object] | None
) -> RunOptions:
    """Both sets of options; unknown names and nulls are ignored. Raises Failure for a wrong type."""
    found: dict[str, object] = {"num_ctx": default_context}
    for options in (model, request or {}):
        for name, value in options.items():
            if value is not None:
                _read(name, value, found)
    return RunOptions(
        num_ctx=_whole(found["num_ctx"]),
        num_predict=_whole(found.get("num_predict", -1)),
        num_keep=_whole(found.get("num_keep", 4)),
        num_batch=_whole(found["num_batch"]) if "num_batch" in found else None,
        stop=_texts(found.get("stop")),
        runner=tuple(found.get(name) for name in RUNNER_OPTIONS if name != "num_ctx"),
    )


def _read(name: str, value: object, found: dict[str, object]) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _INTEGERS:
        _insist(number, name, "integer")
    elif name in _FLOATS:
        _insist(number, name, "float32")
    elif name == "use_mmap":
        _insist(isinstance(value, bool), name, "boolean")
    elif name == "stop":
        _insist(isinstance(value, list), name, "array")
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            raise Failure(500, 'option "stop" must be of an array of strings')
    else:
        return
    found[name] = value


def _insist(fits: bool, name: str, kind: str) -> None:
    if not fits:
        raise Failure(500, f'option "{name}" must be of type {kind}')


def _whole(value: object) -> int:
    """Toward zero, and within what an integer of the server holds."""
    if not isinstance(value, int | float):
        return 0
    return int(max(min(value, 2**53), -(2**53)))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
