"""How a provider declares its settings: once, with type, range, unit, meaning and default.

A config model is a pydantic model whose fields are made with `setting()`. The language reads it to check files,
the editor to complete and explain them, `namel3ss schema` to print them, and the provider to run: nothing else
lists a setting. Import this lazily; pydantic costs start-up time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Place", "ProviderConfig", "SettingInfo", "parse_duration", "setting", "setting_infos"]

# Where a setting is usually written. "either": both blocks are usual.
Place: TypeAlias = Literal["config", "deployment_config", "either"]


class ProviderConfig(BaseModel):
    """Base of every provider's config model: unknown keys are errors, values do not change afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, protected_namespaces=()
    )


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What is known of one setting besides its pydantic type.

    `unit` is a word for people ("tokens", "seconds", "layers"). A `secret` may come only from the environment
    and is never printed. `forward`: is sent to the model, so leaving it out keeps the server's own value.
    """

    name: str
    description: str
    place: Place
    unit: str | None
    secret: bool
    placeholder: str | None


def setting(
    default: Any = None,
    *,
    doc: str,
    place: Place = "config",
    unit: str | None = None,
    secret: bool = False,
    placeholder: str | None = None,
    **constraints: Any,
) -> Any:
    """A field of a config model.

    `doc` is one or two sentences for a hover. `placeholder` says what holds when the setting is not written
    ("the model's own"). `constraints` are pydantic's: ``ge``, ``le``, ``gt``, ``lt``, ``min_length`` ….
    """
    extra: dict[str, Any] = {"place": place, "unit": unit, "secret": secret, "placeholder": placeholder}
    return Field(default, description=doc, json_schema_extra=extra, **constraints)


def setting_infos(model: type[BaseModel]) -> dict[str, SettingInfo]:
    """Every setting of a config model by name, in the order of the model."""
    infos = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        place = extra.get("place", "config")
        infos[name] = SettingInfo(
            name=name,
            description=field.description or "",
            place=place if place in ("config", "deployment_config", "either") else "config",  # type: ignore[arg-type]  # checked on this line
            unit=_text(extra.get("unit")),
            secret=extra.get("secret") is True,
            placeholder=_text(extra.get("placeholder")),
        )
    return infos


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of a duration as Go writes it: ``300ms``, ``1.5h``, ``1h30m``, ``-1m``.

    Raises ValueError for anything else, with the reason in plain words; a number without a unit is such a case.
    """
    body = text.strip()
    sign = -1.0 if body.startswith("-") else 1.0
    body = body.removeprefix("-").removeprefix("+")
    if body == "0":
        return 0.0
    position, seconds = 0, 0.0
    while match := _DURATION_PART.match(body, position):
        seconds += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if position == 0 or position != len(body):
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 30s, 5m or 1h30m")
    return sign * seconds
