"""What the server learns from model servers, and whom it asks: never whom a file alone names."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from namel3ss.language_server.features.online import ServerQuestions, find_online_problems, one_by_one
from namel3ss.language_server.machine import Machine, ServerFacts
from namel3ss.language_server.trust import Address, Trust, address_of
from namel3ss.providers.registry import installed_providers
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.language_server.files import FACTS, make_workspace, opened
from tests.support.editor import open_editor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

MODEL = "ai model chat {\n    provider: ollama\n    model: llama3:8b\n}\n"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
        yield server


def problems(text: str, facts: ServerFacts) -> list[tuple[str, str]]:
    workspace, document = opened(text)
    found = find_online_problems(workspace, document, one_by_one(lambda _: facts))
    return [(problem.code, document.text[slice(*problem.span)]) for problem in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MODEL, []),
        (MODEL.replace("llama3:8b", "mistral:7b"), [("model-not-installed", "mistral:7b")]),
        (MODEL.replace("}\n", "    config: { num_ctx: 8192 }\n}\n"), []),
        (MODEL.replace("}\n", "    config: { num_ctx: 8193 }\n}\n"), [("window-too-large", "8193")]),
        (MODEL.replace("}\n", "    config: { think: true }\n}\n"), [("no-thinking", "true")]),
    ],
)
def test_a_model_is_held_against_what_its_server_says(text: str, expected: list[tuple[str, str]]) -> None:
    assert problems(text, FACTS) == expected


def test_a_server_that_is_not_there_is_an_information_only() -> None:
    workspace, document = opened(MODEL)

    (found,) = find_online_problems(
        workspace, document, one_by_one(lambda _: ServerFacts(False, problem="refused"))
    )

    assert found.code == "server-unreachable"
    told = found.as_diagnostic(document)
    assert told.severity == 3
    assert told.source == "namel3ss online"


@pytest.mark.parametrize(
    ("settings", "url", "is_asked"),
    [
        ("", None, True),
        ('base_url: "http://127.0.0.1:11434"', "http://127.0.0.1:11434", True),
        ('base_url: "http://localhost:9"', "http://localhost:9", True),
        ('base_url: "http://models.example:11434"', "http://models.example:11434", False),
        ('base_url: "http://127.0.0.1@models.example"', "http://models.example", False),
        ('base_url: "http://allowed.example:1"', "http://allowed.example:1", True),
        ("base_url: env.ELSEWHERE", "http://elsewhere.example:1", False),
        ("base_url: env.UNSET", None, None),
    ],
)
def test_a_file_does_not_choose_whom_we_ask(settings: str, url: str | None, is_asked: bool | None) -> None:
    environ = {"ELSEWHERE": "http://elsewhere.example:1"}
    workspace, document = opened(
        MODEL.replace("}\n", f"    config: {{ {settings} }}\n}}\n"), make_workspace(environ=environ)
    )
    model = workspace.program(document).file.models["chat"]

    address = address_of(model, environ)

    if is_asked is None:
        assert address is None
    else:
        assert address is not None
        assert address.url is None or address.url.rstrip("/") == url
        assert Trust(frozenset({"allowed.example"})).may_ask(address) is is_asked


async def test_a_click_lets_a_host_be_asked() -> None:
    trust = Trust()
    address = Address("http://models.example:1")
    assert not trust.may_ask(address)

    trust.allow("Models.Example")

    assert trust.may_ask(address)


async def test_facts_come_later_and_are_told(sandbox: SandboxServer) -> None:
    changed = asyncio.Event()
    machine = Machine(installed_providers(), Trust(), changed.set)
    workspace, document = opened(MODEL.replace("}\n", f'    config: {{ base_url: "{sandbox.url}" }}\n}}\n'))
    ask = ServerQuestions(workspace, machine).of_one
    model = workspace.program(document).file.models["chat"]

    assert ask(model) is None  # nobody waits
    await machine.settle()

    assert changed.is_set()
    facts = ask(model)
    assert facts is not None
    assert facts.is_reachable
    assert facts.find("llama3:8b") is not None
    assert facts.details["llama3:8b"].context_length is not None
    await machine.close()
    # The first look-up of a process loads a library on a thread of the loop.
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_details_of_the_model_meant_now_are_known_however_many_names_were_typed_before(
    sandbox: SandboxServer,
) -> None:
    machine = Machine(installed_providers(), Trust(), lambda: None)
    address = Address(sandbox.url)
    for number in range(1000):
        machine.facts("ollama", address, f"llama{number}")
    machine.facts("ollama", address, "llama3:8b")
    await machine.settle()

    facts = machine.facts("ollama", address, "llama3:8b")

    assert facts is not None
    assert "llama3:8b" in facts.details
    assert await _count_look_ups(machine, address) == 0  # the same name again asks nobody anything
    await machine.close()
    await asyncio.get_running_loop().shutdown_default_executor()


async def _count_look_ups(machine: Machine, address: Address) -> int:
    before = {task for task in asyncio.all_tasks() if "look-up" in task.get_name()}
    for _ in range(3):
        machine.facts("ollama", address, "llama3:8b")
    return len({task for task in asyncio.all_tasks() if "look-up" in task.get_name()} - before)


async def test_hover_tells_all_of_a_model_also_in_a_declaration_with_a_mistake(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    text = MODEL.replace("}\n", "    config: { temprature: 1 }\n}\n")
    uri = (tmp_path / "app.ai").as_uri()
    async with open_editor({**os.environ, "OLLAMA_HOST": sandbox.url}) as editor:
        await editor.initialize(tmp_path)
        editor.open(uri, text)
        found = None
        while "context: " not in str(
            found
        ):  # a request takes a while, and the suite ends one that never comes
            found = await editor.at("hover", uri, "llama3¦:8b")

    assert "can do: completion, tools" in str(found)


class _Listener:
    """Counts connections on a loopback address that stands for a foreign host, and what they bring."""

    def __init__(self) -> None:
        self.connections = 0
        self.heard = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.heard += await reader.read(4096)
        writer.close()


def _own_address() -> str:
    """An address of this machine that is not loopback, where it has one: a host as foreign as any to the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "192.0.2.1"
        return str(probe.getsockname()[0])


@pytest.mark.security(42)
async def test_a_hostile_file_makes_no_connection_and_sends_no_header(tmp_path: Path) -> None:
    foreign, local = _Listener(), _Listener()
    async with (
        await asyncio.start_server(foreign, "0.0.0.0", 0) as foreign_server,
        await asyncio.start_server(local, "127.0.0.1", 0) as local_server,
    ):
        foreign_host = f"{_own_address()}:{foreign_server.sockets[0].getsockname()[1]}"
        local_host = f"127.0.0.1:{local_server.sockets[0].getsockname()[1]}"
        hosts = (foreign_host, f"127.0.0.1@{foreign_host}", f"user:pw@{foreign_host}/v1", local_host)
        hostile = "".join(
            f"ai model m{number} {{\n    provider: ollama\n    model: tiny\n"
            f'    config: {{ base_url: "http://{host}", headers: {{ X-Take: env.TOP_SECRET }}, api_key: env.TOP_SECRET }}\n}}\n'
            for number, host in enumerate(hosts)
        )
        hostile += f'ai model last {{ provider: ollama  model: tiny  config: {{ hosts: ["http://{foreign_host}"] }} }}\n'
        uri = (tmp_path / "hostile.ai").as_uri()
        environ = {**os.environ, "TOP_SECRET": "do-not-send-me"}
        async with open_editor(environ) as editor:
            await editor.initialize(tmp_path)
            editor.open(uri, hostile)
            # The server on loopback is asked; that it gives no answer shows that the others had their turn, too.
            found = await editor.diagnostics(
                uri, lambda found: any(each.get("code") == "server-unreachable" for each in found)
            )
            for line in (2, 7, 12, 20):
                place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": 13}}
                await editor.request("textDocument/hover", place)
                await editor.request("textDocument/completion", place)
                span = {"start": place["position"], "end": place["position"]}
                await editor.request(
                    "textDocument/codeAction", {**place, "range": span, "context": {"diagnostics": []}}
                )
            await editor.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
            assert await editor.shut_down() == 0

    lines = {each["range"]["start"]["line"] for each in found if each.get("code") == "server-unreachable"}
    assert lines == {17}
    assert local.connections >= 1
    assert foreign.connections == 0
    assert b"do-not-send-me" not in local.heard
    assert b"x-take" not in local.heard.lower()
    assert b"authorization" not in local.heard.lower()
