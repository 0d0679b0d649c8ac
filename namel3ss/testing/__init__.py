"""What programs that use namel3ss are tested with: scripted answers for unit tests, the sandbox for the rest.

The pytest fixtures are in `namel3ss.testing.fixtures`, because they need pytest; nothing here does.
"""

from __future__ import annotations

from namel3ss.providers.scripted import (
    Pause,
    ScriptedAnswer,
    ScriptedCall,
    ScriptedProvider,
    ScriptUsedUpError,
)
from namel3ss.testing.programs import scripted_registry

__all__ = [
    "Pause",
    "ScriptUsedUpError",
    "ScriptedAnswer",
    "ScriptedCall",
    "ScriptedProvider",
    "scripted_registry",
]
