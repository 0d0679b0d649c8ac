"""The rules of single settings of `provider: ollama` that a type and a range cannot say.

Each is an annotated type for a field of OllamaConfig. A check raises ValueError where the setting's usual words say
enough, and UsageError where it knows better.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, SecretStr

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._address import parse_url
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

LARGEST_INT = 2**31 - 1  # what the runner's 32-bit counters hold
LARGEST_JSON_INT = 2**63 - 1  # what JSON's integers hold on the server
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


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


def _check_url(value: str) -> str:
    parse_url(value)
    return value


def _check_urls(urls: list[str] | None) -> list[str] | None:
    for url in urls or ():
        parse_url(url, name="hosts")
    if urls is not None and not urls:
        raise UsageError("hosts is empty.", suggestion="List at least one URL, or leave hosts out.")
    return urls


def _check_headers(headers: dict[str, SecretStr] | None) -> dict[str, SecretStr] | None:
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"headers: {name!r} is not the name of a header.")
        _check_secret(value, f"headers.{name}")
    return headers


def _check_api_key(key: SecretStr | None) -> SecretStr | None:
    if key is not None:
        _check_secret(key, "api_key")
        if not key.get_secret_value().strip():
            raise UsageError("api_key is empty.", suggestion="Leave it out where the server needs none.")
    return key


def _check_secret(value: SecretStr, name: str) -> None:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise UsageError(f"{name} holds a line break or another character that no header can carry.")


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    _check_json(options, "options", depth=0)
    return options


def _check_json(value: object, place: str, *, depth: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place} is {value}; a server takes only finite numbers.")
    if depth > 64:
        raise UsageError(f"{place} is nested too deeply.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UsageError(f"{place}: the key {key!r} is not text.")
            _check_json(item, f"{place}.{key}", depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_json(item, f"{place}[{index}]", depth=depth + 1)
    elif isinstance(value, int) and not -LARGEST_JSON_INT <= value <= LARGEST_JSON_INT:
        raise UsageError(f"{place} is larger than a server can count.")
    elif value is not None and not isinstance(value, str | int | float):
        raise UsageError(f"{place} is a {type(value).__name__}, which JSON does not know.")


TokenLimit: TypeAlias = Annotated[int | None, AfterValidator(_positive_or_unlimited)]
KeepAlive: TypeAlias = Annotated[int | float | str | None, BeforeValidator(_check_keep_alive)]
Url: TypeAlias = Annotated[str, AfterValidator(_check_url)]
Urls: TypeAlias = Annotated[list[str] | None, AfterValidator(_check_urls)]
Headers: TypeAlias = Annotated[dict[str, SecretStr] | None, AfterValidator(_check_headers)]
ApiKey: TypeAlias = Annotated[SecretStr | None, AfterValidator(_check_api_key)]
Options: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_options)]
