"""The rules of single settings of `provider: ollama` that a type and a range cannot say.

Each is an annotated type for a field of OllamaConfig. A check raises ValueError where the setting's usual words say
enough, and UsageError where it knows better.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import parse_url
from namel3ss.providers.setting_rules import LARGEST_INT, LARGEST_JSON_INT, ApiKey, Headers, Url, check_json
from namel3ss.providers.settings import parse_duration

__all__ = [
    "LARGEST_INT",
    "LARGEST_JSON_INT",
    "ApiKey",
    "Headers",
    "KeepAlive",
    "Options",
    "TokenLimit",
    "Url",
    "Urls",
    "keep_alive_on_the_wire",
]

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def keep_alive_on_the_wire(value: int | float | str) -> int | float | str:
    """A keep-alive as Ollama accepts it: text without a unit, which it would refuse, becomes a number of seconds."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if _INTEGER.fullmatch(text) else text
    return value


def _positive_or_unlimited(value: int | None) -> int | None:
    if value is not None and value < 1 and value != -1:
        raise ValueError("neither positive nor -1")
    return value


def _check_keep_alive(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("not a duration")
    seconds = keep_alive_on_the_wire(value) if isinstance(value, str) else value
    if isinstance(seconds, str):
        seconds = parse_duration(seconds)
    if isinstance(seconds, int | float) and not abs(seconds) <= LARGEST_INT:
        raise ValueError("longer than a server can count, or no number at all")
    return value


def _check_urls(urls: list[str] | None) -> list[str] | None:
    for url in urls or ():
        parse_url(url, name="hosts")
    if urls is not None and not urls:
        raise UsageError("hosts is empty.", suggestion="List at least one URL, or leave hosts out.")
    return urls


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    check_json(options, "options")
    return options


TokenLimit: TypeAlias = Annotated[int | None, AfterValidator(_positive_or_unlimited)]
KeepAlive: TypeAlias = Annotated[int | float | str | None, BeforeValidator(_check_keep_alive)]
Urls: TypeAlias = Annotated[list[str] | None, AfterValidator(_check_urls)]
Options: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_options)]
