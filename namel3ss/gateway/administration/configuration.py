"""What is in force, and where each value comes from. Secrets appear only as the variables that they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from namel3ss.declarations.part_provenance import resolve_part
from namel3ss.declarations.places import EnvironmentValue
from namel3ss.gateway.administration.activity_shapes import Configuration, ConfigurationValue
from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from namel3ss.declarations import ProgramFile
    from namel3ss.declarations.provenance import ResolvedValue
    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["ConfigurationOperations", "effective_configuration"]

_PASSWORD_PARAMETER: Final = re.compile(r"(?i)\b(pass(?:word)?|sslpassword)=[^&]*")


def effective_configuration(
    program: ProgramFile, plan: GatewayPlan, environ: Mapping[str, str]
) -> tuple[ConfigurationValue, ...]:
    """Every setting of the gateway and of its declared servers, as `namel3ss resolve` sees them."""
    servers = [backend.name for backend in plan.backends if backend.name in program.servers]
    return tuple(
        value
        for name in (plan.name, *servers)
        for value in _values(name, resolve_part(program, name, environ).values, is_first=name == plan.name)
    )


def _values(
    part: str, values: Mapping[str, ResolvedValue], *, is_first: bool
) -> Iterator[ConfigurationValue]:
    for name, resolved in values.items():
        origin = resolved.origin
        yield ConfigurationValue(
            name=name if is_first else f"{part}.{name}",
            value=_shown(name, resolved.value, origin.note),
            origin=origin.kind,
            declared_at=None if origin.place is None else str(origin.place),
        )


def _shown(name: str, value: object, note: str) -> str:
    if value is None or value in ([], {}):
        return note or "none"
    if isinstance(value, EnvironmentValue):
        return f"taken from {' or '.join(value.names)}"
    if name == "database" and isinstance(value, str):
        return _without_password(value)
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.password is not None:
            who, _, where = parts.netloc.rpartition("@")
            parts = parts._replace(netloc=f"{who.split(':')[0]}:***@{where}")
    except ValueError:
        return "***"
    return urlunsplit(parts._replace(query=_PASSWORD_PARAMETER.sub(r"\1=***", parts.query)))


class ConfigurationOperations:
    """Shows the configuration that the gateway was started with."""

    def __init__(self, plan: GatewayPlan, values: tuple[ConfigurationValue, ...]) -> None:
        self._configuration = Configuration(file=str(plan.path), gateway=plan.name, values=list(values))

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/configuration",
                do=self.show,
                takes=Nothing,
                answers=Configuration,
                summary="Every setting in force, and where it comes from.",
            ),
        )

    async def show(self, call: Call[Nothing]) -> Configuration:
        return self._configuration
