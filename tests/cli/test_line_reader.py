from __future__ import annotations

import io

import pytest

from namel3ss.cli.line_reader import PipeReader, TerminalReader
from namel3ss.cli.output import Output
from namel3ss.errors import UsageError


def piped(data: bytes) -> PipeReader:
    return PipeReader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_pipe_gives_lines_without_their_ends_and_then_ends() -> None:
    reader = piped(b"one\r\n\ntwo")

    assert [reader.read(goes_on=False) for _ in range(3)] == ["one", "", "two"]
    with pytest.raises(EOFError):
        reader.read(goes_on=False)


def test_input_that_was_closed_before_the_start_ends_at_once() -> None:
    with pytest.raises(EOFError):
        PipeReader(None).read(goes_on=False)


def test_line_that_is_no_text_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match="byte 2 is 0xff"):
        piped(b"a\xff\n").read(goes_on=False)


def test_prompt_stays_out_of_a_stdout_that_is_no_terminal() -> None:
    answers, screen = io.StringIO(), io.StringIO()
    reader = TerminalReader(Output(answers, screen, {}), io.StringIO("one\ntwo\n"))

    lines = [reader.read(goes_on=False), reader.read(goes_on=True)]

    assert lines == ["one", "two"]
    assert answers.getvalue() == ""
    assert screen.getvalue() == ">>> ... "
