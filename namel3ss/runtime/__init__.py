"""Opens programs, runs their models, and closes everything again: the composition root."""

from namel3ss.runtime.models import RunnableModel
from namel3ss.runtime.opening import load, open_program
from namel3ss.runtime.program import Program
from namel3ss.runtime.sync import SyncProgram

__all__ = ["Program", "RunnableModel", "SyncProgram", "load", "open_program"]
