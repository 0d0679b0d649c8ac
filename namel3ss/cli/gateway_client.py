"""Asks a running gateway, as its users' tools do: over HTTP, with a key."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from namel3ss.errors import N3Error, UsageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["GatewayClient", "GatewayClientError"]

_TIMEOUT_S: Final = 10.0
_LONGEST_ANSWER: Final = 16 * 1024 * 1024


class GatewayClientError(N3Error):
    """The gateway does not answer, or not with what was asked for."""


class GatewayClient:
    """One connection to one gateway, opened when it is needed. A context manager."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UsageError(f"{url!r} is no address of a gateway.", suggestion="Write http://127.0.0.1:8080")
        if not key.isascii() or not key.isprintable():
            raise UsageError("What was given as the key is none.")
        self.url = f"{address.scheme}://{address.netloc}"
        self._path = address.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._connection: http.client.HTTPConnection
        if address.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                address.hostname, address.port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def get(self, path: str) -> dict[str, Any]:
        """The document at a path. Raises GatewayClientError in the gateway's own words where it gives any."""
        try:
            self._connection.request("GET", self._path + path, headers=self._headers)
            answer = self._connection.getresponse()
            body = answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            # The next question opens the connection anew.
            self._connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise GatewayClientError(
                f"No gateway answers at {self.url}: {reason}.",
                suggestion="Start it with `namel3ss serve`, or name another with --url.",
            ) from error
        document = _document(body)
        if answer.status == 200 and document is not None:
            return document
        said = document.get("error") if document is not None else None
        raise GatewayClientError(
            f"The gateway at {self.url} refuses with {answer.status}: {said}"
            if isinstance(said, str)
            else f"What answers at {self.url} with {answer.status} is no gateway of namel3ss."
        )


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
