from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.output import Output, OutputClosedError, OutputError, Style, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO


class Screen(io.StringIO):
    """Text that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def output(
    stdout: TextIO | None = None, stderr: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> Output:
    return Output(stdout or io.StringIO(), stderr or io.StringIO(), environ or {})


@pytest.fixture
def broken_pipe() -> Iterator[TextIO]:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream


def test_reader_that_went_away_ends_the_command_and_nothing_complains_later(broken_pipe: TextIO) -> None:
    out = output(broken_pipe)

    with pytest.raises(OutputClosedError):
        out.answer("lost")

    broken_pipe.flush()


def test_stderr_that_nobody_reads_is_no_reason_to_stop(broken_pipe: TextIO) -> None:
    out = output(stderr=broken_pipe)

    out.note("lost")
    out.error("lost too")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_full_disk_is_an_error_with_a_hint() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        out = output(full)

        with pytest.raises(OutputError, match="No space left"):
            out.answer("lost")


def test_answer_goes_into_a_pipe_byte_for_byte() -> None:
    pipe = io.StringIO()

    output(pipe).answer("a\x1b[31m\r\nb\x07")

    assert pipe.getvalue() == "a\x1b[31m\r\nb\x07"


def test_answer_cannot_steer_a_terminal() -> None:
    screen = Screen()

    output(screen).answer("a\x1b]0;title\x07\r\nb\x9b2J")

    assert screen.getvalue() == "a␛]0;title␇\nb\N{REPLACEMENT CHARACTER}2J"


def test_printable_keeps_text_newlines_and_tabs() -> None:
    assert printable("ä\t😀\n") == "ä\t😀\n"


@pytest.mark.parametrize(
    ("stream", "environ", "colored"),
    [
        (Screen(), {}, True),
        (Screen(), {"NO_COLOR": ""}, True),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_only_on_a_terminal_that_wants_it(
    stream: TextIO, environ: Mapping[str, str], colored: bool
) -> None:
    out = output(stream, stream, environ)

    assert out.stdout_has_color is out.stderr_has_color is colored
    assert out.styled("x", Style.DIM) == ("\x1b[2mx\x1b[0m" if colored else "x")


def test_dumb_terminal_shows_nothing_that_moves() -> None:
    assert output(stderr=Screen()).can_animate
    assert not output(stderr=Screen(), environ={"TERM": "dumb"}).can_animate


def test_line_is_ended_only_where_one_was_begun() -> None:
    pipe = io.StringIO()
    out = output(pipe)

    out.end_line()
    out.answer("one")
    out.end_line()
    out.answer("two\n")
    out.end_line()

    assert pipe.getvalue() == "one\ntwo\n"


def test_error_starts_on_a_line_of_its_own_on_a_terminal() -> None:
    screen = Screen()
    out = output(screen, screen, {"NO_COLOR": "1"})

    out.answer("half an ans")
    out.error("The server is gone.")

    assert screen.getvalue() == "half an ans\nerror: The server is gone.\n"
