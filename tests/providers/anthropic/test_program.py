"""`provider: anthropic` in a file: checked, resolved, run, on the sandbox and against a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.anthropic import AnthropicKeyMissingError
from namel3ss.runtime import load
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.providers.anthropic.making import KEY, MODEL, PATH
from tests.support.anthropic_events import (
    HELLO,
    events,
    message_end,
    message_start,
    text_block,
    thinking_block,
    tool_block,
)
from tests.support.command_line import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.scripted_server import ScriptedServer

PROGRAM = f"""
ai model writer {{
    provider: anthropic
    model: {MODEL}
    system: "Be brief."
    config: {{ max_tokens: 3000, thinking: 2000 }}
}}

prompt summarize {{
    model: writer
    input: {{ text: str }}
    output: {{ title: str, bullets: list[str] }}
    template: "Summarize: {{{{text}}}}"
}}

chain both {{
    input: {{ text: str }}
    output: {{ summary: str }}
    step one {{ prompt: summarize  input: {{ text: "{{{{input.text}}}}" }}  output: summary }}
}}
"""
ENVIRON = {"ANTHROPIC_API_KEY": KEY}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.ai"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=(MODEL,))) as running:
        yield running


def with_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# -- checking --------------------------------------------------------------------------------------------------


def test_file_is_fine_where_the_key_is_set(app: Path) -> None:
    assert call("check", "--strict", app, environ=ENVIRON).code == 0


def test_missing_key_is_a_warning_of_a_check(app: Path) -> None:
    done = call("check", "--format", "concise", app, environ={})

    assert done.code == 0
    assert "N3301" in done.stdout
    assert "`ANTHROPIC_API_KEY` is not set" in done.stdout


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("temprature: 0.5", "N3201", "`temprature`"),
        ("stop_sequences: [a]", "N3201", "`stop_sequences`"),
        ("temperature: 1.5", "N3202", "temperature must be a number from 0 to 1, not 1.5"),
        ("thinking: 5000", "N3202", "leaves nothing for the answer"),
        ("effort: huge", "N3202", "effort must be one of low, medium, high, xhigh, max"),
        ("api_key: sk-ant-secret", "N3302", "api_key is a secret"),
    ],
)
def test_mistake_is_found_in_its_line(app: Path, line: str, code: str, words: str) -> None:
    app.write_text(f"ai model a {{\n    provider: anthropic\n    model: m\n    config: {{\n{line}\n}}\n}}\n")

    (found,) = json.loads(call("check", "--format", "json", app, environ=ENVIRON).stdout)["diagnostics"]

    assert found["code"] == code
    assert words in found["message"]
    assert found["line"] == 5
    assert "sk-ant-secret" not in json.dumps(found["message"])


def test_resolving_tells_where_values_come_from_but_not_the_key(app: Path) -> None:
    why = call("resolve", app, "--why", "writer.api_key", environ=ENVIRON)
    everything = call("resolve", app, environ=ENVIRON)

    assert "ANTHROPIC_API_KEY" in why.stdout
    assert "max_tokens: 3000" in everything.stdout
    assert KEY not in why.stdout + everything.stdout


def test_schema_of_all_providers_has_the_settings() -> None:
    schema = json.loads(call("schema").stdout)

    assert "thinking" in schema["$defs"]["anthropic"]["properties"]


# -- running ---------------------------------------------------------------------------------------------------


async def test_program_runs_on_the_sandbox_without_a_key(app: Path, sandbox: SandboxServer) -> None:
    async with load(app, environ={}, base_url=sandbox.url) as program:
        answer = await program.run("Hi", thinking="off")
        prompt = await program.prompts["summarize"](text="abc")
        chain = await program.chains["both"](text="abc")

    assert "made-up answer" in answer.output_text
    assert set(prompt.output) == {"title", "bullets"}
    assert json.loads(chain.output["summary"]).keys() == {"title", "bullets"}


async def test_program_needs_a_key_elsewhere(app: Path) -> None:
    async with load(app, environ={}) as program:
        with pytest.raises(AnthropicKeyMissingError):
            await program.run("Hi")


def test_command_line_says_what_is_missing(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    done = call("run", app, "Hi", environ={})

    assert done.code == 3
    assert "Set ANTHROPIC_API_KEY" in done.stderr


async def test_program_takes_key_and_address_from_its_environment(app: Path, server: ScriptedServer) -> None:
    """The server stands on this machine, so the key is only sent where the file says so."""
    server.on(PATH, events(*HELLO))
    path = with_text(app, PROGRAM.replace("thinking: 2000", "api_key: env.MY_KEY"))

    async with load(path, environ={"MY_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}) as program:
        await program.run("Hi")

    (request,) = server.requests
    assert request.header("x-api-key") == KEY
    assert request.json["system"] == "Be brief."


async def test_typed_prompt_sends_its_schema(app: Path, server: ScriptedServer) -> None:
    answer = json.dumps({"title": "T", "bullets": ["a"]})
    server.on(PATH, events(message_start(), *text_block(0, answer[:9], answer[9:]), *message_end()))

    async with (
        load(app, environ={"ANTHROPIC_BASE_URL": server.url}) as program,
        program.prompts["summarize"].stream(text="abc") as stream,
    ):
        partial = [value async for value in stream]
        result = await stream.result()

    assert result.output == {"title": "T", "bullets": ["a"]}
    assert partial[-1] == result.output
    assert server.requests[0].json["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "bullets": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["title", "bullets"],
            "additionalProperties": False,
        },
    }


async def test_functions_are_called_and_thinking_goes_back_signed(app: Path, server: ScriptedServer) -> None:
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"18 C in {city}"

    call_it = tool_block(1, "toolu_1", "get_weather", '{"city": "Paris"}')
    server.on(
        PATH,
        events(
            message_start(), *thinking_block(0, "Ask.", signature="sig="), *call_it, *message_end("tool_use")
        ),
        events(*HELLO),
    )

    async with load(app, environ={"ANTHROPIC_BASE_URL": server.url}) as program:
        run = await program.run_with_tools("Weather?", [get_weather])

    assert run.output_text == "Hello there."
    assert server.requests[1].json["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Ask.", "signature": "sig="},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C in Paris"}],
        },
    ]
