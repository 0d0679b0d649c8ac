"""A sandbox on a socket: uvicorn on a thread and an event loop of its own."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING

from namel3ss.errors import UsageError
from namel3ss.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.running import Running

__all__ = ["SandboxServer", "serve"]

_logger = logging.getLogger("namel3ss.sandbox")
# What goes wrong with one connection concerns its client; without this, logging would print it on stderr.
_logger.addHandler(logging.NullHandler())

_BACKLOG = 2048


class SandboxServer:
    """An offline server that speaks Ollama's API, for as long as the `with` block lasts.

        with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
            ...  # requests to server.url

    `start()` and `stop()` do the same by hand; `stop()` may be called at any time and more than once, and cuts the
    answers that are under way. A stopped server is not started again.
    """

    def __init__(self, options: SandboxOptions | None = None, *, clock: Clock | None = None) -> None:
        if options is not None and not isinstance(options, SandboxOptions):
            raise UsageError(f"options must be SandboxOptions, not a value of type {type(options).__name__}.")
        self.options = options or SandboxOptions()
        self._clock = clock
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._running: Running | None = None
        self._address = ("", 0)

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        """The address to give to clients."""
        if not self.port:
            raise RuntimeError("The sandbox has not been started.")
        host = self._address[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def active_requests(self) -> int:
        """How many requests are being worked on at this moment."""
        return self._running.app.active_requests if self._running else 0

    @property
    def tokens_written(self) -> int:
        """How many tokens all answers together took so far."""
        return self._running.app.service.engine.tokens_written if self._running else 0

    def start(self) -> None:
        """Listens and serves. Raises UsageError when the address cannot be used."""
        if self._thread is not None:
            raise RuntimeError("The sandbox was started already.")
        running = _running(self.options, self._clock)
        self._socket = _listening_socket(self.options)
        self._address = self._socket.getsockname()[:2]
        self._running = running
        # A daemon, so that a program that forgets to stop the sandbox can still end.
        self._thread = threading.Thread(
            target=running.run, args=(self._socket,), name="namel3ss-sandbox", daemon=True
        )
        self._thread.start()
        running.started.wait()

    def stop(self) -> None:
        """Stops serving and waits until nothing of it is left."""
        if self._thread is None or self._running is None or self._socket is None:
            return
        self._running.stop()
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def serve(options: SandboxOptions | None = None, on_ready: Callable[[str], None] | None = None) -> None:
    """Serves until interrupted (KeyboardInterrupt ends it quietly); `on_ready` is told the address."""
    with contextlib.suppress(KeyboardInterrupt), SandboxServer(options) as server:
        if on_ready is not None:
            on_ready(server.url)
        threading.Event().wait()


def _running(options: SandboxOptions, clock: Clock | None) -> Running:
    try:
        from namel3ss.sandbox.running import Running
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise UsageError(
            "The sandbox needs the package uvicorn, which is not installed.",
            suggestion="pip install 'namel3ss[sandbox]'",
        ) from None
    return Running(options, clock)


def _listening_socket(options: SandboxOptions) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"The sandbox cannot use the address {options.host}: {error.strerror}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"The sandbox cannot listen on {options.host}:{options.port}: {error.strerror}.",
            suggestion="Choose another port; 0 takes a free one.",
        ) from None
    return listener
