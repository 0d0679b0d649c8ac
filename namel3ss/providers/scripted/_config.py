"""The settings of `provider: scripted`."""

from __future__ import annotations

from namel3ss.providers.settings import ProviderConfig, setting

__all__ = ["ScriptedConfig"]


class ScriptedConfig(ProviderConfig):
    """What can be written in a file."""

    answers: list[str] = setting(
        ["This answer is written in a script."],
        doc="The answers, one for each call in this order; the last is repeated.",
        min_length=1,
    )
