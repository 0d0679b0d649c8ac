"""Facts in words: settings, sizes, origins."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from namel3ss.declarations import EnvironmentValue
from namel3ss.observability.logs import redact_text

if TYPE_CHECKING:
    from namel3ss.declarations.provenance import Origin, ResolvedValue
    from namel3ss.language_server.programs import CheckedProgram
    from namel3ss.providers.settings import SettingInfo

__all__ = ["came_from", "gigabytes", "plain", "setting_text", "spelled"]


def plain(markdown: str) -> str:
    """Markdown of this room as plain text."""
    return markdown.replace("**", "").replace("`", "")


def gigabytes(size_bytes: int) -> str:
    """A size as model servers tell it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} B"


def setting_text(info: SettingInfo) -> str:
    """What a setting is, as Markdown."""
    facts = [info.form + (f", in {info.unit}" if info.unit else "")]
    if info.required:
        facts.append("required")
    elif info.default is not None:
        facts.append(f"default: `{spelled(info.default)}`")
    elif info.placeholder:
        facts.append(f"unless given: {info.placeholder}")
    if info.secret:
        facts.append("a secret: only from the environment")
    place = (
        f"belongs in `{info.place}`"
        if info.place != "either"
        else "belongs in `config` or `deployment_config`"
    )
    return "\n\n".join([info.description, " · ".join([*facts, place])])


def spelled(value: object) -> str:
    """A value as the language writes it, on one line, without secrets."""
    if isinstance(value, EnvironmentValue):
        return str(value)
    if isinstance(value, str):
        return json.dumps(redact_text(value), ensure_ascii=False)
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {spelled(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spelled, value))}]"
    return redact_text(str(value))


def came_from(value: ResolvedValue, program: CheckedProgram) -> str:
    """The value in force and where it comes from, in words."""
    shown = spelled(value.value) if value.value is not None else value.origin.note or "nothing"
    return f"in force: `{shown}`, {_origin(value.origin, program)}"


def _origin(origin: Origin, program: CheckedProgram) -> str:
    if origin.kind == "default":
        return "the default"
    if origin.kind == "environment":
        return f"from the environment ({origin.note})"
    note = f" ({origin.note})" if origin.note else ""
    place = program.place(origin.place) if origin.place is not None else None
    where = ""
    if place is not None and origin.kind != "model":
        line = place.document.lines.line_of(place.span.start) + 1
        where = f" at {os.path.basename(place.document.path)}:{line}"
    what = {"extends": "inherited", "profile": "from the profile"}.get(origin.kind, "written here")
    return what + note + where
