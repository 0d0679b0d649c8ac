"""`namel3ss chat`: typed at a terminal and piped in."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.end_to_end.programs import write_program
from tests.support.command_line import call, on_terminal, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = r">>> "


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("llama3:8b", "mistral:7b"))) as running:
        yield running


def test_lines_of_a_pipe_are_answered_one_after_the_other(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("chat", program, stdin='Hello\n"""\ntwo\nlines\n"""\nlast \\\n')

    assert done.code == 0
    assert done.stdout.splitlines()[0].endswith("You wrote: Hello")
    assert "You wrote: two\nlines\n" in done.stdout
    assert "You wrote: last" in done.stdout
    assert done.stderr == ""


def test_earlier_turns_are_sent_along(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("chat", program, "--stats", stdin="Hello\nHello\nHello\n")

    counts = [int(line.split()[0]) for line in done.stderr.splitlines()]
    assert counts == sorted(set(counts))


def test_commands_change_model_settings_and_system(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", "mistral:7b", base_url=server.url)
    lines = [
        "/model",
        "/model mistral:7b",
        "Hi",
        "/set max_tokens=2",
        "/set",
        "Hi",
        "/system",
        "/system Be brief.",
        "/clear",
        "/help",
        "/exit",
        "never sent",
    ]

    done = call("chat", program, "--model", "llama3:8b", stdin="\n".join(lines))

    assert done.code == 0
    assert "* llama3:8b (llama3:8b)" in done.stderr
    assert "Talking to mistral:7b (mistral:7b)." in done.stderr
    assert "in place of mistral:7b" in done.stdout.splitlines()[0]
    assert len(done.stdout.splitlines()[1].split()) <= 3
    assert done.stderr.count("max_tokens=2") == 2
    assert "System: Be brief." in done.stderr
    assert "/save FILE" in done.stderr
    assert "never sent" not in done.stdout


def test_whole_conversation_is_saved_to_a_new_file_only(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)
    target = tmp_path / "talk.md"

    first = call("chat", program, stdin=f"Hello\n/save {target}\n")
    second = call("chat", program, stdin=f"Other\n/save {target}\n")

    assert first.code == 0
    assert "## You\n\nHello\n\n## llama3:8b\n\n" in target.read_text(encoding="utf-8")
    assert second.code == 2
    assert "exists already" in second.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/sett a=b", "Did you mean /set?"),
        ("/model none", "declares no ai model 'none'"),
        ("/set temperature=9", "a number from 0 to 2"),
        ("/save", "needs the name of a file"),
        ("/save /nowhere/at/all.md", "cannot be written"),
    ],
)
def test_command_that_fails_says_why_and_ends_a_piped_chat(
    line: str, words: str, tmp_path: Path, server: SandboxServer
) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("chat", program, stdin=f"{line}\nHello\n")

    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr


def test_line_that_is_no_text_is_refused(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("chat", program, stdin=b"bad \xff line\n")

    assert (done.code, done.stdout) == (2, "")
    assert "byte 5 is 0xff" in done.stderr


def test_full_window_leaves_out_the_oldest_turns_and_keeps_them_for_saving(tmp_path: Path) -> None:
    target = tmp_path / "talk.md"
    questions = [f"Question {number}: " + "word " * 20 for number in range(6)]
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), context=256)) as small:
        program = write_program(tmp_path, "llama3:8b", base_url=small.url)
        done = call("chat", program, stdin="\n".join([*questions, f"/save {target}"]))

    assert done.code == 0, done.stderr
    assert done.stdout.count("You wrote:") == 6
    assert "The context window is full: the oldest" in done.stderr
    saved = target.read_text(encoding="utf-8")
    assert [number for number in range(6) if f"Question {number}" not in saved] == []


def test_question_larger_than_the_window_is_an_error(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), context=64)) as small:
        program = write_program(tmp_path, "llama3:8b", base_url=small.url)
        done = call("chat", program, stdin="word " * 500 + "\n")

    assert (done.code, done.stdout) == (5, "")


def test_chat_on_the_sandbox_says_that_answers_are_made_up(tmp_path: Path) -> None:
    program = write_program(tmp_path, "llama3:8b")

    done = run_command("chat", str(program), "--sandbox", stdin="Hello\n")

    assert done.returncode == 0
    assert "made up" in done.stderr
    assert "You wrote: Hello" in done.stdout


def test_ctrl_c_stops_only_the_answer_and_ctrl_d_leaves(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(tokens_per_second=20)) as slow:
        program = write_program(tmp_path, "tiny-endless", base_url=slow.url)
        with on_terminal("chat", str(program)) as terminal:
            terminal.read_until(PROMPT)
            terminal.type("Hello\n")
            terminal.read_until(r"\w+ \w+")
            terminal.interrupt()
            terminal.read_until(r"\(stopped\)\r\n" + PROMPT)
            terminal.interrupt_until("Ctrl-D or /exit leaves.\r\n" + PROMPT)
            terminal.type("/set temperature=9\n")
            terminal.read_until("error: temperature")
            terminal.read_until(PROMPT)
            terminal.end_input()

            assert terminal.wait() == 0
        assert slow.active_requests == 0

    assert "Traceback" not in terminal.screen


def test_message_of_several_lines_shows_that_it_goes_on(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)
    with on_terminal("chat", str(program)) as terminal:
        terminal.read_until(PROMPT)
        terminal.type('"""one\n')
        terminal.read_until(r"\.\.\. ")
        terminal.type('two"""\n')
        terminal.read_until("You wrote: one\r\ntwo\r\n" + PROMPT)
        terminal.type("/exit\n")

        assert terminal.wait() == 0


def test_what_was_typed_is_remembered_for_the_user_alone(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    for line in ("first message", "second message"):
        with on_terminal("chat", str(program), environ=state) as terminal:
            terminal.read_until(PROMPT)
            terminal.type(f"{line}\n")
            terminal.read_until(PROMPT)
            terminal.end_input()
            assert terminal.wait() == 0

    history = tmp_path / "state" / "namel3ss" / "chat_history"
    assert history.read_text(encoding="utf-8").splitlines() == ["first message", "second message"]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
