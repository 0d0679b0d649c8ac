"""One HTTP exchange over a plain socket, with nothing tidied up: header names, chunks and all."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "exchange"]


@dataclass
class Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = True

    @property
    def is_chunked(self) -> bool:
        return self.header("transfer-encoding") == "chunked"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def lines(self) -> list[str]:
        return self.body.decode().split("\n")


def exchange(
    url: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    leave_after_lines: int | None = None,
) -> Answer:
    """Sends one request with `Connection: close` and reads its answer, or its first lines before hanging up."""
    address = urlsplit(url)
    assert address.hostname is not None
    sent = {"Host": address.netloc, "Connection": "close", **(headers or {})}
    if body is not None:
        sent["Content-Length"] = str(len(body))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection((address.hostname, address.port or 80), timeout=20) as connection:
        # The server may answer before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head.encode() + b"\r\n" + (body or b""))
        return _read(connection.makefile("rb"), method, leave_after_lines)


def _read(stream: BinaryIO, method: str, leave_after_lines: int | None) -> Answer:
    _, status, reason = stream.readline().decode().rstrip("\r\n").split(" ", 2)
    headers = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(": ")
        headers.append((name, value))
    answer = Answer(int(status), reason, headers)
    with stream:
        if method == "HEAD":
            return answer
        if answer.is_chunked:
            _read_chunks(stream, answer, leave_after_lines)
        else:
            answer.body = stream.read()
    return answer


def _read_chunks(stream: BinaryIO, answer: Answer, leave_after_lines: int | None) -> None:
    answer.complete = False
    while size := stream.readline():
        length = int(size, 16)
        data = stream.read(length)
        stream.readline()
        if not length:
            answer.complete = True
            return
        answer.chunks.append(data)
        answer.body += data
        if leave_after_lines is not None and answer.body.count(b"\n") >= leave_after_lines:
            return
