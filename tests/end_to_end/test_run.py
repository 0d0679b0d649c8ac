"""`namel3ss run` as a person or a script calls it, on the sandbox."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.end_to_end.programs import write_program
from tests.support.command_line import call, on_terminal, run_command, started_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE_UP = "Sandbox: no model runs, the answers are made up.\n"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as running:
        yield running


@pytest.fixture
def silent_port() -> Iterator[socket.socket]:
    """A listening socket that must see no connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_first_run_answers_on_the_sandbox_and_says_that_it_is_made_up(tmp_path: Path) -> None:
    write_program(tmp_path, "llama3.2:1b")

    done = run_command("run", "app.ai", "Hi", "--sandbox", cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.endswith("You wrote: Hi\n")
    assert done.stdout.count("\n") == 1
    assert done.stderr == MADE_UP


def test_sandbox_takes_the_place_of_every_address(tmp_path: Path, silent_port: socket.socket) -> None:
    write_program(tmp_path, "llama3:8b", base_url=url_of(silent_port))
    environ = {"NAMEL3SS_OLLAMA_BASE_URL": url_of(silent_port), "OLLAMA_HOST": url_of(silent_port)}

    done = run_command(
        "run",
        "app.ai",
        "Hi",
        "--sandbox",
        "--set",
        f"base_url={url_of(silent_port)}",
        cwd=tmp_path,
        environ=environ,
    )

    assert done.returncode == 0, done.stderr
    assert "You wrote: Hi" in done.stdout


def test_without_a_server_the_last_line_offers_the_sandbox(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = url_of(listener)
    write_program(tmp_path, "llama3:8b", base_url=url, max_retries=0)

    done = call("run", tmp_path / "app.ai", "Hi")

    assert (done.code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: Could not reach Ollama server at {url}")
    assert "--sandbox" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_prompt_is_the_argument_then_what_is_piped_in(tmp_path: Path) -> None:
    write_program(tmp_path, "llama3:8b")

    both = call("run", tmp_path / "app.ai", "Explain:", "--sandbox", stdin="the sky\n")
    piped = call("run", tmp_path / "app.ai", "--sandbox", stdin="the sky\n")

    assert both.stdout.endswith("You wrote: Explain:\n\nthe sky\n")
    assert piped.stdout.endswith("You wrote: the sky\n")


def test_no_prompt_is_a_usage_error_in_a_pipe_and_on_a_terminal(tmp_path: Path) -> None:
    write_program(tmp_path, "llama3:8b")

    done = call("run", tmp_path / "app.ai")
    with on_terminal("run", "app.ai", cwd=tmp_path) as terminal:
        code = terminal.wait()

    assert (done.code, done.stdout) == (2, "")
    assert "There is no prompt" in done.stderr
    assert code == 2
    assert "There is no prompt" in terminal.screen


def test_json_is_one_valid_object_with_everything(tmp_path: Path, server: SandboxServer) -> None:
    write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("run", tmp_path / "app.ai", "Hi", "--json")

    document: dict[str, Any] = json.loads(done.stdout)
    assert done.stderr == ""
    assert set(document) == {
        "output_text",
        "model",
        "finish_reason",
        "usage",
        "timings",
        "tool_calls",
        "thinking",
        "metadata",
    }
    assert document["output_text"].endswith("You wrote: Hi")
    assert document["metadata"]["provider"] == "ollama"
    usage = document["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert all(seconds >= 0 for seconds in document["timings"].values())


def test_statistics_go_to_stderr(tmp_path: Path, server: SandboxServer) -> None:
    write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("run", tmp_path / "app.ai", "Hi", "--stats", "--no-stream")

    assert done.stdout.endswith("You wrote: Hi\n")
    for word in ("prompt tokens", "completion tokens", "tokens/s", "load", "first token"):
        assert word in done.stderr


def test_thinking_never_reaches_stdout_and_can_be_hidden(tmp_path: Path, server: SandboxServer) -> None:
    write_program(tmp_path, "tiny-thinker", base_url=server.url)

    shown = call("run", tmp_path / "app.ai", "Hi")
    hidden = call("run", tmp_path / "app.ai", "Hi", "--hide-thinking")
    document = json.loads(call("run", tmp_path / "app.ai", "Hi", "--json").stdout)

    thinking = document["thinking"]
    assert thinking
    assert shown.stdout == hidden.stdout == document["output_text"] + "\n"
    assert thinking in shown.stderr
    assert hidden.stderr == ""


def test_thinking_is_dimmed_on_a_terminal(tmp_path: Path, server: SandboxServer) -> None:
    write_program(tmp_path, "tiny-thinker", base_url=server.url)

    with on_terminal("run", "app.ai", "Hi", cwd=tmp_path, environ={"NO_COLOR": ""}) as terminal:
        assert terminal.wait() == 0

    assert "\x1b[2m" in terminal.screen
    assert "\x1b[2mHi" not in terminal.screen


def test_settings_and_system_of_the_command_line_reach_the_server(
    tmp_path: Path, server: SandboxServer
) -> None:
    write_program(tmp_path, "llama3:8b", base_url=server.url, system="From the file.")

    def prompt_tokens(*more: str) -> int:
        document = json.loads(call("run", tmp_path / "app.ai", "Hi", "--json", *more).stdout)
        tokens: int = document["usage"]["prompt_tokens"]
        return tokens

    cut = call("run", tmp_path / "app.ai", "Hi", "--set", "max_tokens=3")

    assert cut.code == 0
    assert len(cut.stdout.split()) <= 4
    assert "the answer was cut" in cut.stderr
    assert (
        prompt_tokens("--system", "")
        < prompt_tokens()
        < prompt_tokens("--system", "A much longer text. " * 9)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "temperatura=1"], "temperature"),
        (["--set", "temperature=hot"], "a number from 0 to 2"),
        (["--set", "api_key=sk-canary"], "cannot be set on the command line"),
        (["--model", "lama3:8b"], "Did you mean llama3:8b?"),
        (["--image", "missing.png"], "missing.png"),
    ],
)
def test_wrong_option_is_explained_before_anything_is_sent(
    arguments: list[str], words: str, tmp_path: Path, silent_port: socket.socket
) -> None:
    write_program(tmp_path, "llama3:8b", base_url=url_of(silent_port))

    done = call("run", tmp_path / "app.ai", "Hi", *arguments)

    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_model_is_the_named_one_else_the_only_one_else_default_else_an_error(tmp_path: Path) -> None:
    write_program(tmp_path, "one:a", "two:b")
    write_program(tmp_path, "one:a", "default", name="with_default.ai")

    def model_of(*arguments: str | Path) -> object:
        return json.loads(call("run", *arguments, "Hi", "--json", "--sandbox").stdout)["model"]

    unclear = call("run", tmp_path / "app.ai", "Hi", "--sandbox")
    assert model_of(tmp_path / "app.ai", "--model", "two:b") == "two:b"
    assert model_of(tmp_path / "with_default.ai") == "default"
    assert unclear.code == 2
    assert "one:a, two:b" in unclear.stderr


def test_broken_file_shows_its_findings_and_a_half_healthy_one_still_runs(tmp_path: Path) -> None:
    (tmp_path / "broken.ai").write_text("ai model m { provider: olama  model: tiny }", encoding="utf-8")
    half = write_program(tmp_path, "llama3:8b")
    half.write_text(half.read_text() + "\nai model m { provider: olama  model: tiny }", encoding="utf-8")

    broken = call("run", tmp_path / "broken.ai", "Hi", "--sandbox")
    healthy = call("run", tmp_path / "app.ai", "Hi", "--sandbox", "--model", "llama3:8b")

    assert (broken.code, broken.stdout) == (1, "")
    assert "broken.ai:1:" in broken.stderr
    assert "did you mean" in broken.stderr.lower()
    assert broken.stderr.endswith("broken.ai cannot be used.\n")
    assert broken.stderr.count("unknown provider") == 1
    assert healthy.code == 0
    assert MADE_UP in healthy.stderr
    assert "app.ai:6:" in healthy.stderr


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("binary.ai", b"%PDF-1.7\n\x00"),
        ("latin.ai", b"ai model m { model: \xe9 }"),
        ("missing.ai", None),
        (".", None),
    ],
)
def test_what_is_no_program_ends_in_one_explanation(name: str, data: bytes | None, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)

    done = call("run", tmp_path / name, "Hi", "--sandbox")

    assert (done.code, done.stdout) == (1, "")
    assert "error" in done.stderr
    assert "Traceback" not in done.stderr


def test_prompt_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_program(tmp_path, "llama3:8b")

    done = call("run", tmp_path / "app.ai", "--sandbox", stdin=b"\xff\xfe\x00")

    assert (done.code, done.stdout) == (2, "")
    assert "not UTF-8: byte 1 is 0xff" in done.stderr


def test_prompt_larger_than_the_window_is_refused_with_remedies(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), context=64)) as small:
        write_program(tmp_path, "llama3:8b", base_url=small.url)
        done = call("run", tmp_path / "app.ai", "word " * 500)

    assert (done.code, done.stdout) == (5, "")
    assert done.stderr.startswith("error: Input is too large for model's context window")
    assert "num_ctx" in done.stderr


def test_debug_logs_and_shows_the_traceback_but_no_secret(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = url_of(listener)
    (tmp_path / "app.ai").write_text(
        f'ai model m {{ provider: ollama  model: tiny  base_url: "{url}"  max_retries: 0\n'
        "config: { api_key: env.SERVER_KEY } }",
        encoding="utf-8",
    )

    done = run_command("run", "app.ai", "Hi", "--debug", cwd=tmp_path, environ={"SERVER_KEY": "sk-canary"})

    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "canary" not in done.stderr


def test_spinner_turns_while_the_model_loads_and_is_wiped(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), load_delay=0.8)) as slow:
        write_program(tmp_path, "llama3:8b", base_url=slow.url)
        with on_terminal("run", "app.ai", "Hi", cwd=tmp_path) as terminal:
            terminal.read_until("Waiting for llama3:8b")
            terminal.read_until(r"\r\x1b\[KThis is")
            assert terminal.wait() == 0


def test_a_reader_who_has_seen_enough_ends_the_command_without_a_word(tmp_path: Path) -> None:
    write_program(tmp_path, "llama3:8b")
    lines = "x\n" * 2000

    with started_command("run", "app.ai", lines, "--sandbox", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read().decode() == MADE_UP
        assert process.wait(30) == 0
