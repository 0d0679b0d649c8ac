"""Starting and stopping a server, with real processes: a stand-in `ollama` on a PATH."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaServerNotInstalledError,
    OllamaServerStartFailedError,
)
from namel3ss.providers.local.ollama._process import exit_code
from namel3ss.providers.local.ollama._process_table import process_table
from namel3ss.providers.local.ollama._server import OllamaServerManager
from namel3ss.providers.local.ollama._server_files import ServerFiles, state_folder
from tests.support.scripted_server import ScriptedServer, document, refusing_url
from tests.support.stand_in_ollama import StandIn, install_stand_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no server is started on Windows"),
    pytest.mark.usefixtures("own_servers"),
]


class Here:
    """A stand-in on a PATH, and managers for one address."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.files = ServerFiles(state_folder(), f"127.0.0.1:{port}")
        self.announced: list[str] = []
        self._managers: list[OllamaServerManager] = []

    def install(self, behaviour: str = "serve") -> StandIn:
        return install_stand_in(self.folder, behaviour)

    def manager(self, environ: dict[str, str] | None = None, **options: Any) -> OllamaServerManager:
        settings = {"base_url": self.url, **options.pop("settings", {})}
        manager = OllamaServerManager(
            settings,
            environ={"PATH": str(self.folder), **(environ or {})},
            announce=self.announced.append,
            **options,
        )
        self._managers.append(manager)
        return manager

    async def aclose(self) -> None:
        for manager in self._managers:
            record = self.files.read()
            if record is not None:
                await manager.stop(grace_s=0.2)
            await manager.aclose()


@pytest.fixture
async def here(tmp_path: Path, free_port: int) -> Any:
    place = Here(tmp_path / "bin", free_port)
    yield place
    await place.aclose()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something in the world of processes, which sends no events."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


# -- starting -------------------------------------------------------------------------------------------------


async def test_a_server_is_started_answers_and_is_stopped(here):
    stand_in = here.install()
    manager = here.manager()

    assert await manager.start() is True

    health = await manager.health_check()
    assert (health["status"], health["version"]) == ("healthy", "0.24.0")
    status = await manager.status()
    assert status.is_ours
    assert status.pid == stand_in.starts[0]
    assert await manager.stop() is True
    assert process_table().mark(stand_in.starts[0]) is None
    assert (await manager.status()).is_ours is False
    assert here.files.read() is None


async def test_starting_says_in_one_line_that_the_server_stays(here):
    here.install()
    manager = here.manager()

    await manager.start()
    await manager.start()

    (line,) = here.announced
    assert "keeps running" in line
    assert "namel3ss server stop" in line
    assert "\n" not in line


async def test_a_server_that_runs_already_is_used_as_it_is(here):
    stand_in = here.install()
    with ScriptedServer(document({"version": "0.24.0"})) as upstream:
        here.url = upstream.url
        manager = here.manager()

        assert await manager.start() is False

    assert stand_in.starts == []


@pytest.mark.fault(2)
async def test_concurrent_starts_are_one_start(here):
    stand_in = here.install()
    one, other = here.manager(), here.manager()

    started = await asyncio.gather(one.start(), one.start(), other.start())

    assert len(stand_in.starts) == 1
    assert started.count(True) in (1, 2)  # both callers of the manager that started it are told so
    assert len(here.announced) == 1


@pytest.mark.fault(2)
async def test_two_programs_start_one_server(here):
    stand_in = here.install()
    script = (
        "import asyncio, sys\n"
        "from namel3ss.providers.local.ollama._server import OllamaServerManager\n"
        "async def main():\n"
        "    async with OllamaServerManager({'base_url': sys.argv[1]}) as manager:\n"
        "        print(await manager.start())\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PATH": str(here.folder)}
    programs = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, here.url),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]

    ended = [await program.communicate() for program in programs]

    assert sorted(output.decode().strip() for output, _ in ended) == ["False", "True"]
    assert b"".join(errors for _, errors in ended).count(b"keeps running") == 1
    (pid,) = stand_in.starts
    assert process_table().mark(pid) is not None, "the server stays when the program that started it ends"
    assert await here.manager().stop() is True  # and a third program can stop it
    assert process_table().mark(pid) is None


@pytest.mark.security(43, 44)
async def test_what_a_server_gets_is_its_address_and_no_secrets(here):
    stand_in = here.install()
    manager = here.manager(
        {
            "HOME": "/home/me",
            "OLLAMA_MODELS": "/models",
            "CUDA_VISIBLE_DEVICES": "0",
            "https_proxy": "http://proxy",
            "OLLAMA_HOST": "0.0.0.0:1",
            "OLLAMA_API_KEY": "secret-1",
            "OPENAI_API_KEY": "secret-2",
            "PYTHONPATH": "/mine",
        }
    )

    await manager.start()

    got = stand_in.environment()
    assert got["OLLAMA_HOST"] == here.url.removeprefix("http://")
    assert (got["HOME"], got["OLLAMA_MODELS"]) == ("/home/me", "/models")
    assert (got["CUDA_VISIBLE_DEVICES"], got["https_proxy"]) == ("0", "http://proxy")
    assert not {"OLLAMA_API_KEY", "OPENAI_API_KEY", "PYTHONPATH"} & set(got)


@pytest.mark.security(43)
async def test_the_server_leads_a_session_of_its_own(here):
    stand_in = here.install()

    await here.manager().start()

    (pid,) = stand_in.starts
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getsid(0)


@pytest.mark.security(45)
async def test_files_about_a_server_are_for_the_user_alone(here):
    here.install()

    await here.manager().start()

    assert stat.S_IMODE(here.files.folder.stat().st_mode) == 0o700
    for file in (here.files.log, here.files.record, here.files.lock):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Listening on" in here.files.log.read_text()


@pytest.mark.fault(3)
async def test_a_program_that_ends_at_once_shows_its_last_lines(here):
    here.install("exit")
    started_at = time.monotonic()

    with pytest.raises(OllamaServerStartFailedError, match="exited with code 1") as caught:
        await here.manager().start()

    assert time.monotonic() - started_at < 20, "a start that has failed is not waited for"
    assert caught.value.log_tail == (
        "Error: mkdir /proc/nope: no such file or directory: ensure path elements are traversable"
    )
    assert "mkdir /proc/nope" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert here.files.read() is None


@pytest.mark.fault(3)
async def test_a_program_that_crashes_says_by_which_signal(here):
    here.install("crash")

    with pytest.raises(OllamaServerStartFailedError, match="ended by signal 9"):
        await here.manager().start()


@pytest.mark.fault(3)
async def test_a_port_that_is_taken_is_named(here):
    with refusing_url() as url:
        here.url = url
        here.files = ServerFiles(state_folder(), url.removeprefix("http://"))
        here.install()

        with pytest.raises(OllamaServerStartFailedError, match="address already in use") as caught:
            await here.manager().start()

    assert "lsof -i" in (caught.value.suggestion or "")


@pytest.mark.fault(3)
async def test_another_service_at_the_address_is_named_and_left_alone(here):
    stand_in = here.install()
    with ScriptedServer(document(b"<html>Welcome</html>", headers={"Content-Type": "text/html"})) as upstream:
        here.url = upstream.url

        with pytest.raises(OllamaServerStartFailedError, match="is not Ollama") as caught:
            await here.manager().start()

    assert "Welcome" in str(caught.value)
    assert stand_in.starts == []


@pytest.mark.fault(3)
async def test_a_server_that_never_answers_is_ended_at_the_deadline(here):
    stand_in = here.install("hang")

    with pytest.raises(OllamaServerStartFailedError, match=r"did not answer within 0\.6 s") as caught:
        await here.manager(start_timeout_s=0.6).start()

    assert "discovering" in caught.value.log_tail
    assert process_table().group(stand_in.starts[0]) == []
    assert here.files.read() is None


@pytest.mark.fault(71)
async def test_cancelling_a_start_ends_what_it_has_started(here):
    stand_in = here.install("hang")
    starting = asyncio.ensure_future(here.manager().start())
    await eventually(lambda: here.files.read() is not None)

    starting.cancel()
    await asyncio.wait({starting})

    assert starting.cancelled()
    await eventually(lambda: all(not process_table().group(pid) for pid in stand_in.starts))
    assert here.files.read() is None


async def test_without_the_program_the_error_says_how_to_install_it(tmp_path, free_port):
    async with OllamaServerManager(
        {"base_url": f"http://127.0.0.1:{free_port}"}, environ={"PATH": str(tmp_path), "HOME": str(tmp_path)}
    ) as manager:
        with pytest.raises(OllamaServerNotInstalledError, match="Ollama executable not found") as caught:
            await manager.start()

    assert "Install it:" in (caught.value.suggestion or "")


@pytest.mark.security(43, 44)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://192.0.2.1:11434", "Only a server on this machine"),
        ("http://ollama.example:11434", "Only a server on this machine"),
        ("https://localhost:11434", "plain HTTP"),
        ("http://localhost:8080/ollama", "without a path"),
    ],
)
async def test_only_a_plain_loopback_address_can_be_started(url, words):
    async with OllamaServerManager({"base_url": url}) as manager:
        with pytest.raises(OllamaServerStartFailedError, match=words):
            await manager.start()


# -- stopping -------------------------------------------------------------------------------------------------


async def test_what_we_did_not_start_is_not_stopped(here):
    with ScriptedServer(document({"version": "0.24.0"})) as upstream:
        here.url = upstream.url

        with pytest.raises(OllamaError, match="was not started by namel3ss"):
            await here.manager().stop()


async def test_stopping_where_nothing_runs_is_nothing(here):
    assert await here.manager().stop() is False


async def test_a_record_whose_number_belongs_to_another_process_by_now_stops_nobody(here):
    here.install()
    manager = here.manager()
    await manager.start()
    record = here.files.read()
    assert record is not None
    await manager.stop()
    # Later than the server, as whoever inherits a number is: start times are told apart by hundredths of a second.
    bystander = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    here.files.write(
        msgspec.structs.replace(record, process=dataclasses.replace(record.process, pid=bystander.pid))
    )

    assert await manager.stop() is False
    assert here.files.read() is None

    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


@pytest.mark.fault(71)
async def test_a_server_that_ignores_the_request_to_end_is_killed(here):
    stand_in = here.install("deaf")
    manager = here.manager()
    await manager.start()

    assert await manager.stop(grace_s=0.1) is True

    assert process_table().mark(stand_in.starts[0]) is None


@pytest.mark.fault(78)
async def test_stopping_ends_the_runners_too(here):
    stand_in = here.install("runner")
    manager = here.manager()
    await manager.start()
    (runner,) = stand_in.runners
    assert process_table().mark(runner) is not None

    await manager.stop()

    assert process_table().mark(runner) is None


@pytest.mark.fault(78)
async def test_runners_that_a_killed_server_left_behind_are_still_ours(here):
    stand_in = here.install("runner")
    manager = here.manager()
    await manager.start()
    os.kill(stand_in.starts[0], signal.SIGKILL)
    await eventually(lambda: process_table().mark(stand_in.starts[0]) is None)
    (runner,) = stand_in.runners
    assert process_table().mark(runner) is not None

    assert (await manager.status()).is_ours
    assert await manager.stop() is True

    assert process_table().mark(runner) is None


@pytest.mark.fault(78)
async def test_starting_again_first_ends_what_a_killed_server_left_behind(here):
    stand_in = here.install("runner")
    manager = here.manager()
    await manager.start()
    os.kill(stand_in.starts[0], signal.SIGKILL)
    await eventually(lambda: process_table().mark(stand_in.starts[0]) is None)

    assert await manager.start() is True

    assert len(stand_in.starts) == 2
    assert process_table().mark(stand_in.runners[0]) is None
    assert process_table().mark(stand_in.runners[1]) is not None


@pytest.mark.fault(59)
async def test_a_server_that_stands_still_is_named_and_can_be_stopped(here):
    stand_in = here.install()
    manager = here.manager()
    await manager.start()
    os.kill(stand_in.starts[0], signal.SIGSTOP)

    with pytest.raises(OllamaServerStartFailedError, match="does not answer") as caught:
        await manager.start()
    assert "namel3ss server stop" in (caught.value.suggestion or "")

    assert await manager.stop() is True
    assert process_table().mark(stand_in.starts[0]) is None


async def test_closing_leaves_the_server_unless_it_is_to_stop(here):
    stand_in = here.install()

    async with here.manager() as manager:
        await manager.start()
    assert process_table().mark(stand_in.starts[0]) is not None

    await here.manager().stop()
    async with here.manager(settings={"stop_server_on_exit": True}) as manager:
        await manager.start()
    assert process_table().mark(stand_in.starts[1]) is None
    assert len(here.announced) == 1, "a server that will stop does not stay"


async def test_closing_does_not_stop_a_server_that_another_started(here):
    stand_in = here.install()
    await here.manager().start()

    async with here.manager(settings={"stop_server_on_exit": True}) as manager:
        await manager.start()

    assert process_table().mark(stand_in.starts[0]) is not None


def test_a_program_that_forgets_to_close_still_stops_its_server(tmp_path, free_port):
    stand_in = install_stand_in(tmp_path / "bin")
    script = (
        "import asyncio, sys\n"
        "from namel3ss.providers.local.ollama._server import OllamaServerManager\n"
        "manager = OllamaServerManager({'base_url': sys.argv[1], 'stop_server_on_exit': True})\n"
        "print(asyncio.run(manager.start()))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script, f"http://127.0.0.1:{free_port}"],
        env={**os.environ, "PATH": str(stand_in.folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ended.stdout.strip() == "True"
    assert process_table().mark(stand_in.starts[0]) is None


async def test_starting_and_stopping_are_counted(here):
    recorded: list[str] = []

    def listener(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        recorded.append(name)

    here.install()
    register_metric_listener(listener)
    try:
        manager = here.manager()
        await manager.start()
        await manager.stop()
    finally:
        unregister_metric_listener(listener)

    assert [name for name in recorded if name.startswith("ollama.server.")] == [
        "ollama.server.started",
        "ollama.server.stopped",
    ]


def test_the_exit_code_of_a_process_that_is_no_child_of_ours_is_unknown():
    assert exit_code(1) is None
