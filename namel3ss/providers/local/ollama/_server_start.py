"""Bringing up a server process: look, lock, look again, start, wait until it answers."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from namel3ss.providers.addresses import server_of
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaRequestTimeoutError,
    OllamaServerNotInstalledError,
    OllamaServerStartFailedError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.local.ollama._health import fetch_version
from namel3ss.providers.local.ollama._process import (
    exit_code,
    find_executable,
    how_to_install,
    server_environment,
    start_process,
)
from namel3ss.providers.local.ollama._server_files import ServerRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._process import ServerProcess
    from namel3ss.providers.local.ollama._server_files import ServerFiles

__all__ = ["ServerStart", "end_server", "live_record"]

_PROBE_TIMEOUT_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
# A server that finds its port taken ends within this time; until then an answer may be somebody else's.
_SETTLE_S = 0.1


class ServerStart:
    """One attempt to have a server at the address of `http` within `timeout_s` seconds."""

    def __init__(
        self, http: OllamaHttp, files: ServerFiles, environ: Mapping[str, str], timeout_s: float
    ) -> None:
        self._http = http
        self._files = files
        self._environ = environ
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    async def run(self) -> ServerRecord | None:
        """The server that was started; None when one runs already, or somebody else's came first.

        Raises OllamaServerNotInstalledError or OllamaServerStartFailedError. Whatever ends this early, a
        cancellation included, ends the process that it has started.
        """
        if await self._answers():
            return None
        executable = find_executable(self._environ)
        if executable is None:
            raise OllamaServerNotInstalledError(
                "Ollama executable not found.", base_url=self._http.base_url, suggestion=how_to_install()
            )
        pause_s = _FIRST_PAUSE_S
        while True:
            with self._files.try_lock() as is_locked:
                if is_locked:
                    return await self._with_lock(executable)
            if time.monotonic() >= self._deadline:
                raise self._failed(
                    f"Another program has been starting the Ollama server for {self._timeout_s:g} s and is not done.",
                    "Try again in a moment.",
                )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _with_lock(self, executable: str) -> ServerRecord | None:
        if await self._answers():
            return None
        earlier = live_record(self._files)
        if earlier is not None:
            # Left by a program that was killed: a server still coming up, or the runners of a dead one.
            if earlier.process.is_alive():
                await self._wait_until_ready(earlier.process, self._files.log_size())
                return None
            await end_server(self._files, earlier, grace_s=1.0)
        return await self._launch(executable)

    async def _launch(self, executable: str) -> ServerRecord | None:
        """The server that was started, observed; None when somebody else's came first."""
        # Here, because few programs start a server, and all import this.
        from namel3ss.observability.activities import start_server_start

        address, port = server_of(self._http.base_url)
        observation = start_server_start(
            "ollama", server_address=address, server_port=port, labels={"base_url": self._http.base_url}
        )
        try:
            record = await self._start_and_wait(executable)
        except BaseException as error:
            observation.end_with(error)
            raise
        if record is None:
            observation.cancel()
        else:
            observation.finish(record.process.pid)
        return record

    async def _start_and_wait(self, executable: str) -> ServerRecord | None:
        log = self._files.open_log()
        log_before = self._files.log_size()
        token = secrets.token_hex(16)
        try:
            process = start_process(
                executable, server_environment(self._environ, self._files.host), log, token
            )
        except OSError as error:
            raise self._failed(
                f"The Ollama server could not be started: {executable} cannot be run ({error.strerror}).",
                "Check that the program is complete and made for this machine.",
            ) from error
        finally:
            os.close(log)
        record = ServerRecord(
            process=process,
            base_url=self._http.base_url,
            executable=executable,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            self._files.write(record)
            is_ours = await self._wait_until_ready(process, log_before)
        except BaseException:
            await end_server(self._files, record, grace_s=1.0)
            raise
        if not is_ours:
            self._files.forget()
        return record if is_ours else None

    async def _wait_until_ready(self, process: ServerProcess, log_before: int) -> bool:
        """Whether it is `process` that answers at last; False when it ended and somebody else's server answers."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            if not process.is_alive():
                return await self._explain_end(exit_code(process.pid), log_before)
            if await self._is_ready():
                await asyncio.sleep(_SETTLE_S)
                return process.is_alive()
            if time.monotonic() >= self._deadline:
                raise self._failed(
                    f"The Ollama server was started but did not answer within {self._timeout_s:g} s.",
                    "It may need longer on this machine: start it by hand with `ollama serve`.",
                    log_before,
                )
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    async def _explain_end(self, code: int | None, log_before: int) -> bool:
        """The program ended: fine when another server answers, else an error with what it said."""
        if await self._answers():
            return False
        if code is None:
            how = "ended"
        else:
            how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        suggestion = f"The whole log is in {self._files.log}"
        if "address already in use" in self._files.log_tail(log_before).lower():
            port = self._files.host.rpartition(":")[2]
            suggestion = (
                f"Another program uses {self._files.host}. Find it with `lsof -i :{port}` and end it, or use another"
                " port in base_url."
            )
        raise self._failed(
            f"The Ollama server could not be started: the program {how}.", suggestion, log_before
        )

    async def _is_ready(self) -> bool:
        try:
            await fetch_version(self._http, timeout_s=_PROBE_TIMEOUT_S)
        except OllamaError:
            return False
        return True

    async def _answers(self) -> bool:
        """Whether an Ollama server is there. Raises when something else holds the port."""
        try:
            await fetch_version(self._http, timeout_s=_PROBE_TIMEOUT_S)
        except OllamaServerUnreachableError:
            return False
        except OllamaRequestTimeoutError as error:
            advice = "It may be a server that hangs: end it, or use another port in base_url."
            if live_record(self._files) is not None:
                advice = "It is a server that namel3ss started. End it with: namel3ss server stop"
            raise self._failed(
                "Something listens at this address but does not answer, so no server can be started there.",
                advice,
            ) from error
        except OllamaError as error:
            raise self._failed(
                f"What answers at this address is not Ollama, so no server can be started there: {error.message}",
                "End that program, or use another port in base_url.",
            ) from error
        return True

    def _failed(
        self, message: str, suggestion: str, log_before: int | None = None
    ) -> OllamaServerStartFailedError:
        tail = "" if log_before is None else self._files.log_tail(log_before)
        lines = "".join(f"\n  {line}" for line in tail.splitlines())
        return OllamaServerStartFailedError(
            f"{message}\nThe last lines of its log:{lines}" if tail else message,
            base_url=self._http.base_url,
            suggestion=suggestion,
            log_tail=tail,
        )


def live_record(files: ServerFiles) -> ServerRecord | None:
    """The record, if anything of the server that it names is left; a stale one is removed."""
    record = files.read()
    if record is None:
        return None
    if record.process.left():
        return record
    exit_code(record.process.pid)
    files.forget()
    return None


async def end_server(files: ServerFiles, record: ServerRecord, *, grace_s: float) -> None:
    """End the server of a record, and everything it started. Raises OllamaError when it cannot be ended."""
    for pause_s in record.process.end(grace_s):
        await asyncio.sleep(pause_s)
    left = record.process.left()
    if left:
        raise OllamaError(
            f"The Ollama server could not be ended: processes {', '.join(map(str, left))} are still there.",
            base_url=record.base_url,
            suggestion="Look at what holds them, for example a driver.",
        )
    files.forget()
