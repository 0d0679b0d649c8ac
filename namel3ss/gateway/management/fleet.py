"""The servers, as management asks them: one question, one whole answer, every failure a refusal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.backends import ServerStatus
    from namel3ss.gateway.backends.asking import Answer
    from namel3ss.gateway.backends.catalogue import Installed
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.upstream import Upstream

__all__ = ["Fleet", "ask", "ask_all", "chosen_server", "decoded", "failed", "one_server", "usable"]

_ANSWER_TIMEOUT_S: Final = 10.0
_SERVER_HEADER: Final = b"x-namel3ss-server"
_TIMEOUTS: Final = frozenset({Failure.TIMEOUT, Failure.CONNECT_TIMEOUT})


class Fleet(Protocol):
    """The servers of a gateway, in the order of its file, and what is known of each."""

    @property
    def names(self) -> tuple[str, ...]: ...

    async def ask(
        self,
        server: str,
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """One question of the gateway's own, with its whole answer. Raises UpstreamError."""

    def upstream(self, server: str) -> Upstream: ...

    def status(self, server: str) -> ServerStatus: ...

    def installed(self, server: str) -> tuple[Installed, ...] | None:
        """The models of a server, as it listed them last; None until it has."""

    def is_usable(self, server: str) -> bool:
        """Whether requests are sent there: it answers, and is not being drained."""

    def version(self, server: str) -> str | None:
        """What it last said its version is."""

    async def refresh(self, server: str) -> None:
        """Look again which models it has: they were changed."""


def usable(fleet: Fleet) -> tuple[str, ...]:
    """The servers that can be asked. Raises Refusal when there is none."""
    found = tuple(name for name in fleet.names if fleet.is_usable(name))
    if not found:
        raise Refusal(
            Reason.server_down,
            "No Ollama server is running.",
            suggestion="Try again later, or ask an administrator.",
            retry_after_s=5.0,
        )
    return found


def chosen_server(fleet: Fleet, exchange: Exchange) -> str | None:
    """The server that the request names in its header; None where it names none. Raises Refusal for an unknown one."""
    named = exchange.headers.get(_SERVER_HEADER)
    if named is None:
        return None
    server = named.decode("latin-1")
    if server not in fleet.names:
        raise Refusal(
            Reason.not_found,
            f"There is no server {server[:64]!r}.",
            suggestion=f"X-Namel3ss-Server names one of: {', '.join(fleet.names)}.",
        )
    return server


def one_server(fleet: Fleet, exchange: Exchange) -> str:
    """The server for what concerns one alone. Raises Refusal where there are several and none is named."""
    server = chosen_server(fleet, exchange)
    if server is not None:
        return server
    if len(fleet.names) == 1:
        return fleet.names[0]
    raise Refusal(
        Reason.bad_request,
        "There are several servers, and this can be done on one alone.",
        suggestion=f"Name it in X-Namel3ss-Server: {', '.join(fleet.names)}.",
    )


async def ask(
    fleet: Fleet, server: str, method: str, path: str, body: Mapping[str, object] | None = None
) -> Answer:
    """One question. Raises Refusal where the server cannot be asked; what it answers is passed on whatever it is."""
    try:
        return await fleet.ask(server, method, path, body, timeout_s=_ANSWER_TIMEOUT_S)
    except UpstreamError as error:
        raise failed(server, error) from error


async def ask_all(fleet: Fleet, path: str) -> dict[str, dict[str, Any]]:
    """What each server that can be asked says to a plain question.

    One that does not answer is left out as long as another does; else the first one's Refusal is raised.
    """
    servers = usable(fleet)
    answers = await asyncio.gather(
        *(_ask_plainly(fleet, server, path) for server in servers), return_exceptions=True
    )
    heard: dict[str, dict[str, Any]] = {}
    refusals: list[Refusal] = []
    for server, answer in zip(servers, answers, strict=True):
        if isinstance(answer, Refusal):
            refusals.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            heard[server] = answer
    if not heard:
        raise refusals[0]
    return heard


async def _ask_plainly(fleet: Fleet, server: str, path: str) -> dict[str, Any]:
    answer = await ask(fleet, server, "GET", path)
    if answer.status != 200:
        raise Refusal(
            Reason.bad_upstream, f"The server {server} answered a question with status {answer.status}."
        )
    return decoded(server, answer.body)


def decoded(server: str, body: bytes) -> dict[str, Any]:
    """An object in JSON. Raises Refusal for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(
            Reason.bad_upstream,
            f"What answers as the server {server} is not Ollama.",
            suggestion="A proxy before it may have answered instead.",
        ) from error


def failed(server: str, error: UpstreamError) -> Refusal:
    """The refusal for a server that could not be asked. The error's own words may hold an address; these do not."""
    if error.kind in _TIMEOUTS:
        return _too_slow(server)
    if error.is_answering:
        return Refusal(
            Reason.bad_upstream,
            f"The server {server} ended its answer before it was complete.",
            retry_after_s=5.0,
        )
    if error.kind is Failure.INVALID:
        return Refusal(Reason.bad_upstream, f"What answers as the server {server} is not Ollama.")
    return Refusal(
        Reason.server_down, f"The server {server} is not running: {error.kind.value}.", retry_after_s=5.0
    )


def _too_slow(server: str) -> Refusal:
    return Refusal(Reason.upstream_timeout, f"The server {server} does not answer.", retry_after_s=5.0)
