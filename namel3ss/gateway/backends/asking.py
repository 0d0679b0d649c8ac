"""Questions of the gateway's own to a server: small, with a limit on the time and the size of the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from namel3ss.gateway.backends.catalogue import UnreadableAnswerError
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.upstream import Upstream

__all__ = ["Answer", "ask", "fetch"]

_JSON: Final = b"application/json"
# The list of models, and what is shown of one (its whole vocabulary, where it is asked for).
_LARGEST_BYTES: Final = 64 * 1024 * 1024


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    content_type: bytes
    body: bytes


async def ask(
    upstream: Upstream,
    method: str,
    path: str,
    body: bytes | Mapping[str, object] | None = None,
    *,
    timeout_s: float,
) -> Answer:
    """The answer to one request, whatever its status. Raises UpstreamError, also where it takes longer than it may."""
    content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
    try:
        async with asyncio.timeout(timeout_s):
            answer = await upstream.send(
                method, path, content, content_type=None if content is None else _JSON
            )
            try:
                return Answer(answer.status, answer.content_type, await answer.read(_LARGEST_BYTES))
            finally:
                answer.close()
    except TimeoutError as error:
        raise UpstreamError(
            upstream.plan.name, Failure.TIMEOUT, f"no whole answer within {timeout_s:g} s", is_answering=False
        ) from error


async def fetch(
    upstream: Upstream,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    timeout_s: float,
) -> bytes:
    """The body of a good answer. Raises UpstreamError, and UnreadableAnswerError for any other status."""
    answer = await ask(upstream, method, path, body, timeout_s=timeout_s)
    if answer.status != 200:
        raise UnreadableAnswerError(f"HTTP {answer.status} for {path}")
    return answer.body
