"""Opens programs, runs their models, and closes everything again: the composition root."""

from namel3ss.runtime.models import RunnableModel
from namel3ss.runtime.opening import load, open_program
from namel3ss.runtime.program import Program
from namel3ss.runtime.sync import SyncProgram
from namel3ss.runtime.tools import Tool, ToolError, ToolResult, ToolRoundsError, ToolRun

__all__ = [
    "Program",
    "RunnableModel",
    "SyncProgram",
    "Tool",
    "ToolError",
    "ToolResult",
    "ToolRoundsError",
    "ToolRun",
    "load",
    "open_program",
]
