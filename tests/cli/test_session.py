from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.output import Output
from namel3ss.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """What a command writes there that shows the warnings of namel3ss, as every command does."""
    logger = logging.getLogger("namel3ss")
    before = logger.handlers[:], logger.level, logger.propagate
    written = io.StringIO()
    Session(Output(io.StringIO(), written, {}), None, {}).show_warnings()
    yield written
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_what_nobody_foresaw_is_told_with_its_traceback_and_without_secrets(stderr: io.StringIO) -> None:
    try:
        raise RuntimeError("api_key=s3cr3t-canary")
    except RuntimeError:
        logging.getLogger("namel3ss.gateway").exception("request %s failed", "r1")

    told = stderr.getvalue()
    assert told.startswith("warning: request r1 failed\nTraceback (most recent call last):\n")
    assert told.endswith("RuntimeError: api_key=***\n")


def test_a_warning_is_one_line_though_an_error_led_to_it(stderr: io.StringIO) -> None:
    logging.getLogger("namel3ss.gateway").warning("gpu1 is down", exc_info=OSError("refused"))

    assert stderr.getvalue() == "warning: gpu1 is down\n"
