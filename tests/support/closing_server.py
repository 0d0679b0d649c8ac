"""A server that closes a kept connection at the very moment a test says so, before its client can notice."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def server_that_closes_on_demand(answer: bytes) -> Iterator[tuple[str, Callable[[], None]]]:
    """Its address, and what closes its connections. Each connection gets `answer` once, to its first request.

    The closing is done when the call returns: a client in an event loop on the same thread has had no turn to see it.
    """
    connections: list[socket.socket] = []

    def close_all() -> None:
        while connections:
            connections.pop().close()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if is_over.is_set():
                connection.close()
                return
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(65536)
            connections.append(connection)
            connection.sendall(answer)

    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, name="closing-server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", close_all
        finally:
            is_over.set()
            socket.create_connection(listener.getsockname()).close()  # wakes it up
            thread.join()
            close_all()
