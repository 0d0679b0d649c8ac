"""Starting and stopping an Ollama server on this machine.

The rules:

* Only a loopback address can be started, and only what we started is ever stopped: by the record that we wrote, if
  the process it names is still the same one.
* One program starts one server: a lock is held while starting, and after taking it we look again.
* A server that we started stays up when the program ends, unless `stop_server_on_exit` is set; one line on stderr
  says so.
"""

from __future__ import annotations

import atexit
import functools
import ipaddress
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from namel3ss.observability.metrics import record_metric
from namel3ss.providers.local.ollama._address import is_loopback, resolve_address
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaServerStartFailedError,
)
from namel3ss.providers.local.ollama._health import SharedAnswer, probe_server
from namel3ss.providers.local.ollama._http import OllamaHttp
from namel3ss.providers.local.ollama._process import find_executable, how_to_install
from namel3ss.providers.local.ollama._server_files import ServerFiles, state_folder
from namel3ss.providers.local.ollama._server_start import ServerStart, end_server, live_record
from namel3ss.providers.local.ollama._single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from namel3ss.providers.local.ollama._config import OllamaConfig
    from namel3ss.providers.local.ollama._server_files import ServerRecord

__all__ = ["OllamaServerManager", "ServerStatus"]

START_TIMEOUT_S = 30.0
STOP_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of the server at `base_url`.

    `is_ours`: namel3ss started it, and it still runs; then `pid`, `started_at` (ISO 8601) and `log` (a path) are
    known. `version` is None when nothing, or something else, answers; `problem` then says what.
    """

    base_url: str
    version: str | None
    is_ours: bool
    pid: int | None
    started_at: str | None
    log: str | None
    problem: str | None


class OllamaServerManager:
    """Looks after the server process at one address.

    `config`: settings as for the provider (address, headers, health_check_interval, stop_server_on_exit). `http` is
    the connection of somebody else and says the address. `announce` gets the line that a server was started and
    stays; by default it goes to stderr.
    """

    def __init__(
        self,
        config: OllamaConfig | Mapping[str, object] | None = None,
        *,
        http: OllamaHttp | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        announce: Callable[[str], object] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        settings = _settings(config)
        self._environ = os.environ if environ is None else environ
        self._http = _open(settings, self._environ) if http is None else http
        self._owns_http = http is None
        self.stop_on_exit = settings.stop_server_on_exit
        self._announce = announce or _write_to_stderr
        self._start_timeout_s = start_timeout_s
        self._files = ServerFiles(state_folder(), _listen_address(self.base_url))
        self._started_pid: int | None = None
        self._starts: SingleFlight[bool] = SingleFlight()
        interval_s = settings.health_check_interval
        self._health = SharedAnswer(
            functools.partial(probe_server, self._http),
            lambda health: interval_s if health["status"] == "healthy" else min(interval_s, 2.0),
            clock,
        )

    @property
    def base_url(self) -> str:
        """The address of its server, without secrets. It stays: for another server, make another manager."""
        return self._http.base_url

    # -- asking -------------------------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        """Whether the address can only mean this machine."""
        return is_loopback(self.base_url)

    @property
    def executable(self) -> str | None:
        """Where the `ollama` program is on this machine; None where there is none."""
        return find_executable(self._environ)

    @property
    def how_to_install(self) -> str:
        """One line that says how to get Ollama on this machine."""
        return how_to_install()

    async def health_check(self, force: bool = False) -> dict[str, Any]:
        """How the server is; never raises. ``status`` ("healthy" or "unhealthy"), ``response_time_ms``,
        ``checked_at``, ``version``, ``base_url``, and ``error`` with ``suggestion`` on trouble. Remembered for
        health_check_interval unless `force`.
        """
        return {**await self._health.get(force=force), "base_url": self.base_url}

    async def status(self) -> ServerStatus:
        """What runs there, and whether we started it."""
        health = await self.health_check(force=True)
        record = live_record(self._files)
        self._files.bound_log()
        return ServerStatus(
            base_url=self.base_url,
            version=health["version"],
            is_ours=record is not None,
            pid=record.process.pid if record else None,
            started_at=record.started_at if record else None,
            log=str(self._files.log) if record else None,
            problem=health.get("error"),
        )

    # -- starting -----------------------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Have a server running when this returns; whether this call started it.

        One that runs already is used as it is. Raises OllamaServerNotInstalledError, or
        OllamaServerStartFailedError with the last lines of its log. Cancelling ends a server that is not ready yet.
        """
        self._refuse_what_cannot_be_started()
        return await self._starts.run("start", self._start)

    async def _start(self) -> bool:
        record = await ServerStart(self._http, self._files, self._environ, self._start_timeout_s).run()
        if record is not None:
            self._has_started(record)
        return record is not None

    def _has_started(self, record: ServerRecord) -> None:
        self._started_pid = record.process.pid
        self._health.invalidate()
        if self.stop_on_exit:
            atexit.register(_end_at_exit, self._files, record, os.getpid())
        else:
            self._announce(
                f"namel3ss: started the Ollama server at {self.base_url} (process {record.process.pid}); it keeps running when"
                " this program ends. Stop it with: namel3ss server stop"
            )

    def _refuse_what_cannot_be_started(self) -> None:
        parts = urlsplit(self.base_url)
        if not is_loopback(self.base_url):
            raise self._refused(
                "Only a server on this machine can be started, and the address is that of another.",
                "Start it there with `ollama serve`, or use a loopback address such as http://localhost:11434.",
            )
        if parts.scheme != "http" or parts.path.strip("/"):
            raise self._refused(
                "Ollama itself serves plain HTTP without a path, so no server can be started at this address.",
                "Start what stands before it yourself, or use an address such as http://localhost:11434.",
            )
        if sys.platform == "win32":
            raise self._refused(
                "Starting the server is not supported on Windows.",
                "Start the Ollama app, which runs the server.",
            )

    def _refused(self, message: str, suggestion: str) -> OllamaServerStartFailedError:
        return OllamaServerStartFailedError(message, base_url=self.base_url, suggestion=suggestion)

    # -- stopping -----------------------------------------------------------------------------------------------

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> bool:
        """End the server that namel3ss started, and everything it started; whether there was one.

        It is asked first and killed after `grace_s`. Raises OllamaError when a server runs there that somebody else
        started: that one is left alone.
        """
        record = live_record(self._files)
        if record is not None:
            await self._end(record, grace_s=grace_s)
            return True
        health = await self.health_check(force=True)
        if health["status"] == "healthy":
            raise OllamaError(
                "The Ollama server was not started by namel3ss, so it is left alone.",
                base_url=self.base_url,
                suggestion="Stop it where it was started: quit the app, `systemctl stop ollama`, or Ctrl-C.",
            )
        return False

    async def _end(self, record: ServerRecord, *, grace_s: float) -> None:
        await end_server(self._files, record, grace_s=grace_s)
        self._health.invalidate()
        self._started_pid = None
        record_metric("ollama.server.stopped", 1, {"provider": "ollama", "base_url": self.base_url})

    async def aclose(self) -> None:
        """End the server if this manager started it and `stop_server_on_exit` is set; close what it opened."""
        try:
            if self.stop_on_exit and self._started_pid is not None:
                record = live_record(self._files)
                if record is not None and record.process.pid == self._started_pid:
                    await self._end(record, grace_s=STOP_GRACE_S)
        finally:
            if self._owns_http:
                await self._http.aclose()

    def __repr__(self) -> str:
        return f"<OllamaServerManager of {self.base_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _end_at_exit(files: ServerFiles, record: ServerRecord, owner: int) -> None:
    """The program ends without having closed its provider."""
    if os.getpid() != owner:
        return  # a forked child ends; the server belongs to the parent
    for pause_s in record.process.end(STOP_GRACE_S):
        time.sleep(pause_s)
    if files.read() == record:
        files.forget()


def _write_to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _settings(config: OllamaConfig | Mapping[str, object] | None) -> OllamaConfig:
    from namel3ss.providers.local.ollama._config import OllamaConfig  # brings pydantic, so only when needed

    return config if isinstance(config, OllamaConfig) else OllamaConfig.from_mapping(config)


def _open(settings: OllamaConfig, environ: Mapping[str, str]) -> OllamaHttp:
    address = resolve_address(settings.base_url, settings.host, settings.port, environ)
    headers = settings.request_headers()
    if address.authorization is not None:
        headers.setdefault("Authorization", address.authorization)
    return OllamaHttp(address.url, headers=headers, connect_timeout_s=settings.connect_timeout)


def _listen_address(base_url: str) -> str:
    """The address that a server must listen on to be found at `base_url`, as OLLAMA_HOST wants it."""
    parts = urlsplit(base_url)
    host = parts.hostname or "127.0.0.1"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"127.0.0.1:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
