"""The rules of settings that several providers have and that a type and a range cannot say.

Each is an annotated type for a field of a config model. A check raises ValueError where the setting's usual words say
enough, and UsageError where it knows better.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, SecretStr

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import parse_url

__all__ = [
    "LARGEST_INT",
    "LARGEST_JSON_INT",
    "ApiKey",
    "Headers",
    "Url",
    "check_json",
]

LARGEST_INT = 2**31 - 1  # what a server's 32-bit counters hold
LARGEST_JSON_INT = 2**63 - 1  # what JSON's integers hold on a server
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _check_url(value: str) -> str:
    parse_url(value)
    return value


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


def check_json(value: object, place: str, *, depth: int = 0) -> None:
    """Raises UsageError, naming the place, for what JSON or a server's numbers cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place} is {value}; a server takes only finite numbers.")
    if depth > 64:
        raise UsageError(f"{place} is nested too deeply.")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UsageError(f"{place}: the key {key!r} is not text.")
            check_json(item, f"{place}.{key}", depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_json(item, f"{place}[{index}]", depth=depth + 1)
    elif isinstance(value, int) and not -LARGEST_JSON_INT <= value <= LARGEST_JSON_INT:
        raise UsageError(f"{place} is larger than a server can count.")
    elif value is not None and not isinstance(value, str | int | float):
        raise UsageError(f"{place} is a {type(value).__name__}, which JSON does not know.")


Url: TypeAlias = Annotated[str, AfterValidator(_check_url)]
Headers: TypeAlias = Annotated[dict[str, SecretStr] | None, AfterValidator(_check_headers)]
ApiKey: TypeAlias = Annotated[SecretStr | None, AfterValidator(_check_api_key)]
