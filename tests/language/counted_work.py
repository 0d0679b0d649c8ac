"""Counts what a function does: calls of functions, Python's and C's. No clock, so the same every time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["counted_calls", "growing_texts"]

_MODEL = """ai model m{0} {{
    provider: ollama
    model: x{0}  # a comment
    config: {{ temperature: 0.5, stop: ["a", "b"] }}
}}
"""
_ONE = "ai model m { provider: ollama, model: x }\n"


def counted_calls(work: Callable[[str], object], text: str) -> int:
    """How many calls `work` makes for a text."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work(text)
    finally:
        sys.setprofile(before)
    return calls


def _many(line: str, count: int) -> str:
    return "".join(line.format(number) for number in range(count))


def growing_texts() -> dict[str, Callable[[int], str]]:
    """Texts of any size, by what there is much of in them."""
    return {
        "models": lambda count: _many(_MODEL, count),
        "extends": lambda count: (
            "ai model b { provider: ollama }\n"
            + _many("ai model m{0} {{ extends: b, model: x{0} }}\n", count)
        ),
        "fallbacks": lambda count: (
            _ONE + _many("ai model m{0} {{ provider: ollama, model: x, fallback: m }}\n", count)
        ),
        "prompts": lambda count: (
            _ONE + _many('prompt p{0} {{ input: {{ a: str }} template: "{{{{ a }}}} {0}" }}\n', count)
        ),
        "steps": lambda count: (
            _ONE
            + 'chain c {\nstep s { prompt: "x" output: n }\n'
            + _many('step s{0} {{ prompt: "{{{{ n }}}}" output: n{0} }}\n', count)
            + "}\n"
        ),
        "servers": lambda count: (
            _ONE
            + _many('server s{0} {{ base_url: "http://h{0}:1" }}\n', count)
            + f"gateway g {{ servers: [{', '.join(f's{number}' for number in range(count))}] }}\n"
        ),
        "gateways": lambda count: _ONE + _many("gateway g{0} {{ queue: {{ max_wait: 3s }} }}\n", count),
        "misplaced keys": lambda count: _many(
            "ai model m{0} {{ provider: ollama, model: x, seed: 1 }}\n", count
        ),
        "doubled keys": lambda count: "ai model m {\n" + "  provider: ollama\n" * count + "}\n",
        "ignored findings": lambda count: _many(
            "# n3: ignore[N3801] x\n"
            "ai model m{0} {{ provider: ollama, model: x, deployment_config: {{ num_gpu: 1 }} }}\n",
            count,
        ),
    }
