from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.prompts import LARGEST_PROMPT_BYTES, assemble_prompt, read_piped_text, text_argument
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    controller, terminal = os.openpty()
    with os.fdopen(terminal, encoding="utf-8") as stream:
        yield stream
    os.close(controller)


def piped(data: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def test_argument_comes_before_what_is_piped_in() -> None:
    assert assemble_prompt("Explain:", piped(b"the sky\n")) == "Explain:\n\nthe sky"


def test_one_of_the_two_is_enough(terminal: TextIO) -> None:
    assert assemble_prompt("Hi", terminal) == "Hi"
    assert assemble_prompt("Hi", piped(b"")) == "Hi"
    assert assemble_prompt(None, piped(b"Hi\n")) == "Hi"
    assert assemble_prompt("Hi", None) == "Hi"


def test_inner_blank_lines_and_indentation_are_kept() -> None:
    assert assemble_prompt(None, piped(b"  a\n\n  b\n")) == "  a\n\n  b"


@pytest.mark.parametrize("argument", [None, "", "  \n"])
def test_no_prompt_at_all_is_a_usage_error(argument: str | None, terminal: TextIO) -> None:
    with pytest.raises(UsageError, match="There is no prompt"):
        assemble_prompt(argument, terminal)
    with pytest.raises(UsageError, match="There is no prompt"):
        assemble_prompt(argument, piped(b"\n"))


def test_bytes_that_are_no_text_are_named_with_their_place() -> None:
    with pytest.raises(UsageError, match="byte 4 is 0xff"):
        read_piped_text(io.BytesIO(b"abc\xff"))


def test_more_than_any_model_reads_is_refused_without_reading_it_all() -> None:
    stream = io.BytesIO(b"a" * (LARGEST_PROMPT_BYTES + 1000))

    with pytest.raises(UsageError, match="larger than 32 MB"):
        read_piped_text(stream)

    assert stream.tell() == LARGEST_PROMPT_BYTES + 1


def test_bom_and_carriage_returns_of_windows_are_not_part_of_the_prompt() -> None:
    assert read_piped_text(io.BytesIO(b"\xef\xbb\xbfa\r\nb")) == "a\nb"


@pytest.mark.parametrize("text", ["", "plain", "ünïcode 😀"])
def test_argument_that_is_text_stays_as_it_is(text: str) -> None:
    assert text_argument(text, "The prompt") == text


def test_argument_read_in_a_locale_that_does_not_know_it_is_put_together_again() -> None:
    as_ascii_reads_it = "ünï".encode().decode("ascii", "surrogateescape")

    assert text_argument(as_ascii_reads_it, "The prompt") == "ünï"


def test_argument_of_other_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="The prompt is not UTF-8 text"):
        text_argument("bad \udcff byte", "The prompt")
