"""A typed answer on its way: what is on the terminal only grows, and at the end is the value."""

from __future__ import annotations

import io
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.cli.live_value import ValuePrinter
from namel3ss.cli.output import Output
from namel3ss.runtime.partial_json import PartialJson
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import on_terminal, run_command

if TYPE_CHECKING:
    from pathlib import Path

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab]}[{"\\ \n,:é'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


class Utf8(io.StringIO):
    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO has none
        return "utf-8"


def shown(pieces: list[str], final: Any) -> list[str]:
    """What stood on the screen after each piece, and at the end."""
    screen = Utf8()
    printer = ValuePrinter(Output(screen, io.StringIO(), {}))
    partial, after = PartialJson(), []
    for piece in pieces:
        if partial.feed(piece):
            printer.show_so_far(partial.value)
        after.append(screen.getvalue())
    printer.finish(final)
    return [*after, screen.getvalue()]


@given(st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_what_is_shown_only_grows_and_ends_as_the_value(value: Any) -> None:
    steps = shown(list(json.dumps(value)), value)

    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(steps))
    assert steps[-1].endswith("\n")
    assert json.loads(steps[-1]) == value
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", steps[-1])


def test_values_appear_when_they_are_complete() -> None:
    steps = shown(
        ['{"title": "Te', 'a", "bullets": ["on', 'e", "tw', 'o"]}'],
        {"title": "Tea", "bullets": ["one", "two"]},
    )

    assert steps[:3] == [
        "",
        '{\n  "title": "Tea",\n  "bullets": [',
        '{\n  "title": "Tea",\n  "bullets": [\n    "one"',
    ]


def test_a_value_that_became_another_is_printed_whole() -> None:
    steps = shown(['{"title": "Tea", ', '"n": "many"}'], {"title": "Tea", "n": 2})

    assert steps[-1].endswith('"n": "many"\n{\n  "title": "Tea",\n  "n": 2\n}\n')


def test_text_is_printed_as_it_is() -> None:
    assert shown(['"a ', 'b"'], "a b") == ["", "", "a b\n"]


# -- the command ----------------------------------------------------------------------------------------------

PROGRAM = """
ai model chat { provider: ollama, model: llama3:8b }
prompt notes {
    input: { text: str }
    output: { title: str, bullets: list[str], count: int }
    template: "{{ text }}"
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "app.ai"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def test_on_a_terminal_the_first_values_stand_there_while_the_answer_goes_on(program: Path) -> None:
    options = SandboxOptions(installed=("llama3:8b",), faults=("stall:after=12",))
    with SandboxServer(options) as server:
        environ = {"NAMEL3SS_OLLAMA_BASE_URL": server.url}
        with on_terminal(
            "run", str(program), "--prompt", "notes", "--input", "text=Hi", environ=environ
        ) as terminal:
            terminal.read_until(r'"title": "[^"]+"')
            terminal.interrupt()

            assert terminal.wait() == 130
            assert "bullets" not in terminal.screen or "count" not in terminal.screen


@pytest.mark.long
def test_on_a_terminal_and_in_a_pipe_the_end_is_the_same(program: Path) -> None:
    arguments = ("run", str(program), "--prompt", "notes", "--input", "text=Hi", "--sandbox")
    with on_terminal(*arguments) as terminal:
        assert terminal.wait() == 0
        screen = terminal.screen
    piped = run_command(*arguments)

    whole = piped.stdout.replace("\n", "\r\n")
    assert set(json.loads(piped.stdout)) == {"title", "bullets", "count"}
    assert whole in screen
