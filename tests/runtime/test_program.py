"""Programs: loading, choosing a model, running, and closing everything in reverse order."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import ProgramError, UsageError
from namel3ss.providers.base import N3Provider, ProviderMessage
from namel3ss.runtime import Program, load, open_program
from tests.runtime.scripted import EchoProvider, Plugin, registry_of, texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from namel3ss.providers.base import Messages, ProviderResponse, ProviderStream

TWO = """
    ai model fast { provider: echo, model: small, system: "Be brief." }
    ai model careful { provider: echo, model: large }
"""


@pytest.fixture
def open_text(tmp_path: Path) -> Callable[..., Program]:
    def open_it(text: str, **options: Any) -> Program:
        path = tmp_path / "app.ai"
        path.write_text(textwrap.dedent(text))
        options.setdefault("environ", {})
        return load(path, registry=registry_of("echo", EchoProvider), **options)

    return open_it


def _events(program: Program) -> list[str]:
    plugin = program._registry.get("echo")
    assert isinstance(plugin, Plugin)
    return plugin.events


def _provider(program: Program, name: str) -> EchoProvider:
    provider = program.models[name].provider
    assert isinstance(provider, EchoProvider)
    return provider


def _spoken(program: Program, name: str) -> list[tuple[str, str]]:
    return [(each.role, each.content) for each in _provider(program, name).calls[-1].messages]


# -- loading --------------------------------------------------------------------------------------------------


def test_loading_makes_no_provider(open_text: Callable[..., Program]):
    program = open_text(TWO)

    assert list(program.models) == ["fast", "careful"]
    assert _events(program) == []


def test_a_file_without_a_usable_model_shows_its_first_findings(open_text: Callable[..., Program]):
    lines = "\n".join(f"ai model m{n} {{ provider: nobody, model: x }}" for n in range(7))

    with pytest.raises(ProgramError) as caught:
        open_text(lines)

    shown = str(caught.value)
    assert "app.ai:1:25: error[N3103]" in shown
    assert "N3103" in shown
    assert "… and 2 more." in shown
    assert "Run: namel3ss check" in shown
    assert len(caught.value.diagnostics) == 7


def test_a_missing_file_is_a_program_error(tmp_path: Path):
    with pytest.raises(ProgramError, match=r"There is no file .*absent\.ai"):
        load(tmp_path / "absent.ai", environ={})


def test_a_file_that_cannot_be_read_as_text_is_named(tmp_path: Path):
    path = tmp_path / "binary.ai"
    path.write_bytes(b"%PDF-1.7")

    with pytest.raises(ProgramError, match=r"binary\.ai: .*, not a program\.$"):
        load(path, environ={})


def test_a_file_without_models_says_so(open_text: Callable[..., Program]):
    with pytest.raises(ProgramError, match="declares no ai model that can be run"):
        open_text("# nothing\n")


def test_healthy_models_load_beside_broken_ones(open_text: Callable[..., Program]):
    program = open_text(TWO + "ai model bad { provider: echo }\n")

    assert list(program.models) == ["fast", "careful"]
    assert [found.code for found in program.diagnostics] == ["N3102"]


def test_two_replacements_of_the_address_are_refused(open_text: Callable[..., Program]):
    with pytest.raises(UsageError, match="base_url and sandbox_url"):
        open_text(TWO, base_url="http://a", sandbox_url="http://b")


@pytest.mark.parametrize("parameter", ["base_url", "sandbox_url"])
def test_a_given_address_replaces_that_of_the_file(open_text: Callable[..., Program], parameter: str):
    program = open_text(
        "ai model m { provider: echo, model: x, config: { base_url: http://file:1 } }",
        **{parameter: "http://given:2"},
    )

    assert _provider(program, "m").config.base_url == "http://given:2"


def test_a_given_address_needs_nothing_that_the_old_one_needed(open_text: Callable[..., Program]):
    program = open_text(
        "ai model m { provider: echo, model: x, config: { base_url: env.FAR, temperature: env.WARM ?? 1 } }",
        sandbox_url="http://given:2",
    )

    config = _provider(program, "m").config
    assert (config.base_url, config.temperature) == ("http://given:2", 1)


def test_an_unset_variable_is_an_error_of_the_model_that_is_used(open_text: Callable[..., Program]):
    program = open_text(TWO + "ai model far { provider: echo, model: x, config: { base_url: env.FAR } }\n")

    assert _provider(program, "fast").model == "small"
    with pytest.raises(ProgramError, match="base_url comes from the environment, and FAR is not set"):
        _ = program.models["far"].provider


def test_the_given_environment_takes_the_place_of_the_process_s_for_addresses_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", "http://localhost:1")
    path = tmp_path / "app.ai"
    path.write_text("ai model m { provider: ollama  model: env.MODEL }", encoding="utf-8")
    given = {"MODEL": "tiny", "NAMEL3SS_OLLAMA_BASE_URL": "http://localhost:2"}

    addresses = [
        getattr(load(path, environ=environ).model().provider, "base_url", None)
        for environ in (given, {"MODEL": "tiny"}, {"MODEL": "tiny", "OLLAMA_HOST": "localhost:3"})
    ]

    assert addresses == ["http://localhost:2", "http://localhost:11434", "http://localhost:3"]


# -- choosing -------------------------------------------------------------------------------------------------


def test_the_only_model_needs_no_name(open_text: Callable[..., Program]):
    assert open_text("ai model m { provider: echo, model: x }").model().name == "m"


def test_of_several_models_the_one_called_default_is_taken(open_text: Callable[..., Program]):
    program = open_text(TWO + "ai model { provider: echo, model: x }")

    assert program.model().name == "default"
    assert program.model("fast").model == "small"


def test_several_models_without_a_default_are_listed(open_text: Callable[..., Program]):
    with pytest.raises(UsageError, match="declares several models: fast, careful"):
        open_text(TWO).model()


def test_a_name_that_is_no_text_is_unknown(open_text: Callable[..., Program]):
    program: Any = open_text(TWO)
    with pytest.raises(UsageError, match="declares no ai model 5"):
        program.model(5)


def test_an_unknown_name_is_led_to_the_nearest(open_text: Callable[..., Program]):
    with pytest.raises(UsageError, match="declares no ai model 'carefull'") as caught:
        open_text(TWO).model("carefull")
    assert caught.value.suggestion == "Did you mean careful?"


@pytest.mark.parametrize("name", ["bad", None])
def test_a_model_that_does_not_load_says_so(open_text: Callable[..., Program], name: str | None):
    broken = "bad" if name else "default"
    program = open_text(f"ai model m {{ provider: echo, model: x }}\nai model {broken} {{ provider: echo }}")

    with pytest.raises(ProgramError, match=f"ai model '{broken}' of .* does not load") as caught:
        program.model(name)
    assert caught.value.diagnostics


# -- running --------------------------------------------------------------------------------------------------


async def test_a_prompt_goes_to_the_model_with_the_declared_system_prompt(open_text: Callable[..., Program]):
    async with open_text(TWO) as program:
        answer = await program.run("Hello there", model="fast", temperature=0)

        assert answer.output_text == "Hello there"
        assert _spoken(program, "fast") == [("system", "Be brief."), ("user", "Hello there")]
        assert [call.overrides for call in _provider(program, "fast").calls] == [{"temperature": 0}]


@pytest.mark.parametrize(
    ("prompt", "system", "spoken"),
    [
        ("Hi", None, [("system", "Be brief."), ("user", "Hi")]),
        ("Hi", "Be loud.", [("system", "Be loud."), ("user", "Hi")]),
        ("Hi", "", [("user", "Hi")]),
        (ProviderMessage("user", "Hi"), None, [("system", "Be brief."), ("user", "Hi")]),
        ({"role": "user", "content": "Hi"}, None, [("system", "Be brief."), ("user", "Hi")]),
        (
            [{"role": "system", "content": "Mine."}, {"role": "user", "content": "Hi"}],
            None,
            [("system", "Mine."), ("user", "Hi")],
        ),
        (
            [ProviderMessage("system", "Mine."), ProviderMessage("user", "Hi")],
            "Be loud.",
            [("system", "Be loud."), ("user", "Hi")],
        ),
    ],
)
async def test_whose_system_prompt_is_said(
    open_text: Callable[..., Program], prompt: Any, system: str | None, spoken: list[tuple[str, str]]
):
    async with open_text(TWO) as program:
        await program.run(prompt, model="fast", system=system)

        assert _spoken(program, "fast") == spoken


@pytest.mark.parametrize(
    ("prompt", "images", "why"),
    [
        (None, (), "prompt must be a text or a list of messages, not None"),
        (5, (), "prompt must be a text or a list of messages, not a value of type int"),
        (b"Hi", (), "prompt must be a text or a list of messages, not a value of type bytes"),
        ([], (), "empty conversation"),
        (["Hi"], (), r"messages\[0\] must be a message, not a value of type str"),
        ([{"role": "user", "content": "Hi"}, None], (), r"messages\[1\] must be a message, not None"),
        ("Hi", b"png", "images must be a list, not a value of type bytes"),
        ("Hi", "cat.png", "images must be a list, not a value of type str"),
    ],
)
async def test_what_is_no_prompt_is_refused_before_the_model_is_asked(
    open_text: Callable[..., Program], prompt: Any, images: Any, why: str
):
    async with open_text(TWO) as program:
        with pytest.raises(UsageError, match=why):
            await program.run(prompt, model="fast", images=images)
        with pytest.raises(UsageError, match=why):
            program.stream(prompt, model="fast", images=images)

        assert _provider(program, "fast").calls == []


async def test_images_belong_to_the_last_question(open_text: Callable[..., Program]):
    async with open_text(TWO) as program:
        await program.run("What is this?", model="careful", images=[b"png"])
        (message,) = _provider(program, "careful").calls[-1].messages
        assert message.images == (b"png",)

        with pytest.raises(UsageError, match="images goes with a prompt that is text"):
            await program.run([{"role": "user", "content": "x"}], model="careful", images=[b"png"])


async def test_a_stream_comes_piece_by_piece(open_text: Callable[..., Program]):
    async with open_text(TWO) as program, program.stream("one two three", model="careful") as stream:
        assert (await anext(stream)).output_text == "one"
        assert await texts(stream) == [" two", " three"]
        assert (await stream.result()).output_text == "one two three"


def test_the_models_of_a_program_run_and_stream_without_asyncio(open_text: Callable[..., Program]):
    with open_text(TWO).sync as program:
        model = program.models["fast"]

        assert list(program.models) == ["fast", "careful"]
        assert model.run("Hi").output_text == program.run("Hi", model="fast").output_text
        assert "".join(chunk.output_text for chunk in model.stream("Hi")) == model.run("Hi").output_text


async def test_vectors_come_from_a_model_that_makes_them(open_text: Callable[..., Program], tmp_path: Path):
    path = tmp_path / "embed.ai"
    path.write_text("ai model m { provider: scripted  model: any }", encoding="utf-8")
    program = load(path, environ={})
    async with program:
        vectors = await program.embed(["a", "b"], dimensions=3)
    with load(path, environ={}).sync as blocking:
        assert blocking.embed("a", dimensions=3)[0] == vectors[0]

    assert [len(vector) for vector in vectors] == [3, 3]


class Mute(N3Provider):
    """A provider that makes no vectors."""

    name = model = "mute"

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        raise AssertionError("nobody asks")

    def stream(self, messages: Messages, **overrides: Any) -> ProviderStream:
        raise AssertionError("nobody asks")

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_a_provider_without_vectors_says_so(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text("ai model m { provider: mute  model: any }", encoding="utf-8")
    registry = registry_of("mute", lambda *_: Mute())

    async with load(path, environ={}, registry=registry) as program:
        with pytest.raises(UsageError, match="The provider 'mute' of ai model 'm' makes no vectors"):
            await program.embed("a")


# -- closing --------------------------------------------------------------------------------------------------


async def test_each_provider_is_made_once_and_closed_in_reverse_order(open_text: Callable[..., Program]):
    async with open_text(TWO) as program:
        await asyncio.gather(*(program.run("x", model=name) for name in ("careful", "fast", "careful")))
        assert "2 open" in repr(program)
    await program.aclose()

    assert _events(program) == ["created careful", "created fast", "closed fast", "closed careful"]
    assert repr(program).endswith("closed>")


async def test_one_that_fails_to_close_does_not_keep_the_others_open(open_text: Callable[..., Program]):
    program = open_text(TWO + "ai model bad { provider: echo, model: x, config: { fails_to_close: true } }")
    await program.run("x", model="fast")
    await program.run("x", model="bad")

    with pytest.raises(OSError, match="cannot close"):
        await program.aclose()

    assert _events(program)[-2:] == ["closed bad", "closed fast"]


async def test_a_closed_program_says_so(open_text: Callable[..., Program]):
    program = open_text(TWO)
    await program.aclose()

    with pytest.raises(RuntimeError, match="is closed"):
        await program.run("x", model="fast")


async def test_open_program_closes_what_it_opened(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text("ai model m { provider: ollama, model: x }")

    async with open_program(path, environ={}) as program:
        assert list(program.models) == ["m"]

    assert repr(program).endswith("closed>")


# -- without asyncio ------------------------------------------------------------------------------------------


def test_the_same_calls_work_without_asyncio(open_text: Callable[..., Program]):
    with open_text(TWO).sync as program:
        assert program.run("Hello", model="fast").output_text == "Hello"
        with program.stream("one two", model="fast") as stream:
            assert [chunk.output_text for chunk in stream] == ["one", " two", ""]
        assert program.stream("one two", model="fast", system="").result().output_text == "one two"


def test_leaving_a_blocking_stream_early_cancels_it(open_text: Callable[..., Program]):
    program = open_text(TWO)
    with program.sync as sync, sync.stream("one two", model="fast") as stream:
        next(stream)
        provider = _provider(program, "fast")

    assert [call.outcome for call in provider.calls] == ["cancelled"]


async def test_the_blocking_calls_work_inside_a_running_loop(open_text: Callable[..., Program]):
    async with open_text(TWO) as program:
        assert program.sync.run("Hello", model="fast").output_text == "Hello"
        assert (await program.run("Hello", model="fast")).output_text == "Hello"

    with pytest.raises(RuntimeError, match="is closed"):
        program.sync.run("Hello", model="fast")


def test_closing_the_blocking_side_closes_the_program(open_text: Callable[..., Program]):
    program = open_text(TWO)
    program.sync.run("Hello", model="fast")
    program.sync.close()
    program.sync.close()

    assert _events(program) == ["created fast", "closed fast"]
    assert repr(program).endswith("closed>")


def test_errors_reach_the_blocking_caller(open_text: Callable[..., Program]):
    with open_text(TWO).sync as program:
        with pytest.raises(UsageError, match="several models"):
            program.run("Hello")
        with pytest.raises(UsageError, match="several models"):
            program.stream("Hello")


# -- importing ------------------------------------------------------------------------------------------------


def test_importing_namel3ss_loads_nothing_and_load_is_there():
    program = """
        import sys
        import namel3ss
        assert not [name for name in sys.modules if name.startswith("namel3ss.")
                    and name != "namel3ss._version"], "import namel3ss loads other rooms"
        namel3ss.load
        heavy = {"httpx", "aiohttp", "click", "rich", "uvicorn"} & set(sys.modules)
        assert not heavy, heavy
    """
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, env=environ)


def test_what_blocks_shows_what_it_blocks_for(open_text: Callable[..., Program]):
    with open_text(TWO).sync as program:
        assert repr(program).startswith("<SyncProgram of <Program ")
        with program.stream("Hi", model="fast") as stream:
            assert repr(stream).startswith("<SyncStream of <")
            assert "".join(chunk.output_text for chunk in stream) == "Hi"
