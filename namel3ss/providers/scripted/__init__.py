"""A provider whose answers are written down beforehand: for tests, demonstrations and files that need no server."""

from __future__ import annotations

from namel3ss.providers.scripted._provider import ScriptedProvider
from namel3ss.providers.scripted._script import Pause, ScriptedAnswer, ScriptedCall, ScriptUsedUpError

__all__ = ["Pause", "ScriptUsedUpError", "ScriptedAnswer", "ScriptedCall", "ScriptedProvider"]
