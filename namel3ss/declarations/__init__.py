"""From a syntax tree to typed, frozen declarations, with everything wrong said at its place.

Checking a file opens no connection and starts no process. Only `read_program` reads a file; the rest is pure.
"""

from namel3ss.declarations.checking import check_text
from namel3ss.declarations.model import ModelDeclaration, ProgramFile
from namel3ss.declarations.places import EnvironmentValue, Location
from namel3ss.declarations.profiles import base_of
from namel3ss.declarations.reading import read_program

__all__ = [
    "EnvironmentValue",
    "Location",
    "ModelDeclaration",
    "ProgramFile",
    "base_of",
    "check_text",
    "read_program",
]
