"""What a `RequestQueue` is made with and asked for: checked, and in one form. Pure.

A wrong argument is a UsageError at once; inside the queue it would only fail in the thread that talks to the servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_count, check_seconds
from namel3ss.providers.local.ollama import resolve_address
from namel3ss.scheduling.values import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Slots", "check_limits", "check_servers", "check_slots", "instance_or_default"]

# So many at a time: on every server, or by the server's address.
Slots: TypeAlias = "int | Mapping[str, int] | None"

T = TypeVar("T")


def check_slots(given: object, name: str) -> Slots:
    """A count, or counts by address; addresses in their usual form, by which the queue knows its servers."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        check_count(given, name)
        return given  # type: ignore[return-value]  # a whole number, as was just checked
    counts: dict[str, int] = {}
    for address, count in given.items():
        url = resolve_address(address).url
        check_count(count, f"{name} of {url}")
        counts[url] = count
    return counts


def check_servers(servers: object) -> list[Server | str]:
    """The servers of a list: `Server`s and addresses."""
    if isinstance(servers, str | Mapping | Server) or not isinstance(servers, Sequence):
        raise UsageError(
            f"servers must be a list of addresses, not a value of type {type(servers).__name__}.",
            suggestion='Write ["http://localhost:11434"], also where there is only one.',
        )
    return list(_each(servers))


def _each(servers: Iterable[object]) -> Iterable[Server | str]:
    for index, server in enumerate(servers):
        if not isinstance(server, Server | str):
            raise UsageError(
                f"servers[{index}] must be an address or a Server, not a value of type {type(server).__name__}."
            )
        yield server


def check_limits(request_timeout: object, look_every_s: object, max_waiting_bytes: object) -> None:
    """What bounds a queue in time and memory."""
    if request_timeout is not None:
        check_seconds(request_timeout, "request_timeout")
    check_seconds(look_every_s, "look_every_s")
    check_count(max_waiting_bytes, "max_waiting_bytes")


def instance_or_default(given: object, kind: type[T], name: str, default: T) -> T:
    """What was given, or the default where that is None. Raises UsageError for a value of another type."""
    if given is None:
        return default
    if not isinstance(given, kind):
        raise UsageError(f"{name} must be a {kind.__name__}, not a value of type {type(given).__name__}.")
    return given
