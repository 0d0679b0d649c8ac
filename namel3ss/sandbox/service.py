"""Everything that one sandbox holds; routes are functions over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.sandbox.downloads import Downloads
from namel3ss.sandbox.engine import Engine
from namel3ss.sandbox.laboratory import Laboratory
from namel3ss.sandbox.library import Library
from namel3ss.sandbox.memory import Memory

if TYPE_CHECKING:
    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.options import SandboxOptions

__all__ = ["Service"]


class Service:
    """A server's state. It belongs to one event loop."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.library = Library(options, clock)
        self.downloads = Downloads(clock)
        self.memory = Memory(options, clock)
        self.engine = Engine(options, clock)
        self.laboratory = Laboratory(options.fault_rules)

    @property
    def newer(self) -> bool:
        """Whether answers follow the newer of the two recorded servers."""
        return self.options.ollama_version != "0.24.0"
