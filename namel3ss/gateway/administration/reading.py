"""The body of a request to the administration address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import CallerLeft

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["read_json"]

_LARGEST: Final = 256 * 1024


async def read_json(request: Request) -> bytes:
    """The whole body, which says that it is JSON. Another site's form cannot send that without asking first.

    Raises Refusal for one that is too large or something else, CallerLeft.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _LARGEST:
                raise Refusal(Reason.body_too_large, f"The request's body is larger than {_LARGEST} bytes.")
    except ClientDisconnect:
        raise CallerLeft("the caller left before its request was complete") from None
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and content_type != "application/json":
        raise Refusal(
            Reason.unsupported_media,
            "The body does not say that it is JSON.",
            suggestion="Send it with `Content-Type: application/json`.",
        )
    return bytes(body)
