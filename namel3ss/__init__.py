"""Declare local models in a small `.ai` file, run them on Ollama, and measure every token.

    import namel3ss

    program = namel3ss.load("app.ai")
    print(program.sync.run("Hello"))

Importing this package loads nothing else: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss._version import __version__

if TYPE_CHECKING:
    from namel3ss.runtime import Program, load

__all__ = ["Program", "__version__", "load"]


def __getattr__(name: str) -> object:
    if name in ("Program", "load"):
        from namel3ss import runtime

        return getattr(runtime, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "Program", "load"})
