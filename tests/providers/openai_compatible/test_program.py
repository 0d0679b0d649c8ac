"""The providers inside files: checked, run, and run on the sandbox without anybody's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text
from namel3ss.providers.registry import ProviderPlugin, installed_providers
from namel3ss.runtime import load
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.providers.openai_compatible.making import CHAT, call_piece, piece, streamed
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("openai", "vllm", "local_ai", "openai_compatible")


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_an_installed_plug_in(name: str) -> None:
    plugin = installed_providers().get(name)

    assert isinstance(plugin, ProviderPlugin)
    assert plugin.summary
    assert plugin.editor_tools() is None


def test_settings_of_a_file_are_checked_where_they_stand() -> None:
    found = check_text(
        """ai model a {
    provider: vllm
    model: "Qwen/Qwen3-8B"
    config: { temprature: 0.2 }
    deployment_config: { gpu_memory_utilization: 1.5, tensor_parallel_size: 2, max_model_len: 8192, dtype: bfloat16 }
}
ai model b {
    provider: local_ai
    model: phi
    deployment_config: { backend: "llama-cpp", f16: true, threads: 0, context_size: 4096 }
}
""",
        "app.ai",
    ).diagnostics
    assert [(each.code, each.message) for each in found] == [
        ("N3201", "unknown setting `temprature` in config"),
        (
            "N3202",
            "gpu_memory_utilization must be a number above 0 and of at most 1, not 1.5",
        ),
        ("N3202", "threads must be a whole number from 1 to 4096 (threads), not 0"),
    ]


def test_key_whose_variable_is_not_set_is_one_warning() -> None:
    text = "ai model a { provider: openai, model: m, config: { api_key: env.A_KEY_THAT_NOBODY_SET } }"
    assert [each.code for each in check_text(text, "app.ai", environ={}).diagnostics] == ["N3301"]
    assert [
        each.code for each in check_text("ai model a { provider: openai, model: m }", environ={}).diagnostics
    ] == ["N3301"]


PROGRAM = """
ai model chat {{
    provider: {provider}
    model: "some-model"
    config: {{ base_url: "https://api.example.test/v1", api_key: env.KEY{more} }}
}}
prompt place {{
    input: {{ text: str }}
    output: {{ city: str }}
    model: chat
    template: "Where is {{{{ text }}}}?"
}}
"""


@pytest.mark.parametrize("provider", NAMES)
async def test_program_runs_on_the_sandbox_and_leaves_the_key_at_home(tmp_path: Path, provider: str) -> None:
    more = ', organization: "org-1", headers: { X-Key: env.KEY }' if provider == "openai" else ""
    (tmp_path / "app.ai").write_text(PROGRAM.format(provider=provider, more=more))
    secret = {"KEY": "sk-secret-1", "OPENAI_API_KEY": "sk-secret-2"}

    with SandboxServer(SandboxOptions(installed=("some-model",))) as sandbox:
        async with load(tmp_path / "app.ai", environ=secret, sandbox_url=sandbox.url) as program:
            answer = await program.run("hello")
            async with program.stream("hello") as stream:
                streamed_text = "".join([chunk.output_text async for chunk in stream])
            place = await program.prompts["place"](text="Paris")

    assert "some-model" in answer.output_text
    assert streamed_text
    assert answer.metadata["provider"] == provider
    assert isinstance(place.output["city"], str)


async def test_sandbox_asks_for_no_key_at_all(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text(PROGRAM.format(provider="openai", more=""))

    with SandboxServer(SandboxOptions(installed=("some-model",))) as sandbox:
        async with load(tmp_path / "app.ai", environ={}, sandbox_url=sandbox.url) as program:
            assert (await program.run("hello")).output_text


async def test_override_of_the_address_sends_no_secret(tmp_path: Path) -> None:
    more = ', organization: "org-1", headers: { X-Key: env.KEY }'
    (tmp_path / "app.ai").write_text(PROGRAM.format(provider="openai", more=more))
    secret = {"KEY": "sk-secret-1", "OPENAI_API_KEY": "sk-secret-2"}

    with ScriptedServer() as server:
        server.on(CHAT, streamed(piece("Hi", finish="stop")))
        async with load(tmp_path / "app.ai", environ=secret, sandbox_url=server.url) as program:
            await program.run("hello")

        request = server.requests[0]

    assert "secret" not in str(request.headers)
    assert "org-1" not in str(request.headers)


async def test_program_lets_a_model_call_functions(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text("ai model chat { provider: vllm, model: m }")

    def weather(city: str) -> str:
        """The weather of a city."""
        return f"18 C in {city}"

    with ScriptedServer() as server:
        server.on(
            CHAT,
            streamed(
                call_piece(0, call_id="a", name="weather", arguments='{"city": "Paris"}'),
                piece(finish="tool_calls"),
            ),
            streamed(piece("It is warm.", finish="stop")),
        )
        async with load(tmp_path / "app.ai", environ={}, sandbox_url=server.url) as program:
            answer = await program.run_with_tools("Weather?", [weather])

        sent = server.requests[1].json["messages"]

    assert answer.response.output_text == "It is warm."
    assert sent[-1] == {"role": "tool", "tool_call_id": "a", "content": "18 C in Paris"}
