"""How many instructions of Python's machine one request in and one out take, and in which modules: the same on any machine."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from tests.benchmarks.scheduling.cost import Turnover

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import TraceFunction

CYCLES = 500


@dataclass(frozen=True)
class Census:
    """The means of `CYCLES` requests, with `waiting` others there."""

    waiting: int
    calls: float
    by_module: dict[str, float]

    @property
    def instructions(self) -> float:
        return sum(self.by_module.values())


def take_census(waiting: int) -> Census:
    turnover = Turnover(waiting)
    # Until everything that is learnt or tidied now and then has been once.
    turnover.play(2 * CYCLES)
    instructions, calls = Counter[str](), 0

    def called(frame: FrameType, _event: str, _argument: object) -> TraceFunction:
        nonlocal calls
        calls += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        # The constructor of a named tuple is made from a string: it is that of a lease.
        module = PurePath(frame.f_code.co_filename).stem.replace("<string>", "values")

        def executed(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
            instructions[module] += event == "opcode"
            return executed

        return executed

    before = sys.gettrace()
    sys.settrace(called)
    try:
        turnover.play(CYCLES)
    finally:
        sys.settrace(before)
    # The loop that plays is no part of it.
    del instructions["cost"]
    by_module = {module: count / CYCLES for module, count in instructions.most_common()}
    return Census(waiting, (calls - 1) / CYCLES, by_module)
