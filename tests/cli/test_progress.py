"""What moves on stderr, and what other lines do to it."""

from __future__ import annotations

import asyncio
import io

from namel3ss.cli.output import Output
from namel3ss.cli.progress import spinning
from namel3ss.cli.pull_display import PullDisplay, pull_line
from namel3ss.providers.local.ollama import PullProgress


class Screen(io.StringIO):
    """Text that claims to be a terminal, and tells when something moved on it."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = asyncio.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.moved.set()
        return super().write(text)


def progress(**changes: object) -> PullProgress:
    values: dict[str, object] = {
        "model": "llama3:8b",
        "phase": "download",
        "status": "pulling 6a0746a1ec1a",
        "digest": "sha256:6a0746a1ec1a",
        "completed_bytes": 2_100_000_000,
        "total_bytes": 4_700_000_000,
        "fraction": 0.45,
        "bytes_per_s": 52_300_000.0,
        "eta_s": 49.0,
        "layers": (),
    }
    return PullProgress(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def test_pull_is_told_with_share_bytes_speed_and_time_left() -> None:
    assert pull_line(progress()) == "45 % · 2.1 GB of 4.7 GB · 52.3 MB/s · 0:49 left"
    assert pull_line(progress(bytes_per_s=None, eta_s=None)) == "45 % · 2.1 GB of 4.7 GB"
    assert pull_line(progress(phase="verify")) == "verifying"
    assert pull_line(progress(phase="manifest", fraction=None)) == "looking it up"


def test_pull_without_a_terminal_says_a_line_for_each_tenth() -> None:
    log = io.StringIO()
    with PullDisplay(Output(io.StringIO(), log, {})) as display:
        for fraction in (None, 0.01, 0.11, 0.12, 0.19, 0.2, 0.55):
            display(progress(fraction=fraction))
        display(progress(phase="success", fraction=1.0))

    lines = log.getvalue().splitlines()
    assert lines[0] == "Pulling llama3:8b …"
    assert [line.split(": ")[1][:4] for line in lines[1:-2]] == ["11 %", "20 %", "55 %"]
    assert lines[-1] == "Pulled llama3:8b (4.7 GB)."


def test_pulls_one_after_the_other_are_told_apart() -> None:
    log = io.StringIO()
    with PullDisplay(Output(io.StringIO(), log, {})) as display:
        for model in ("one", "two"):
            display(progress(model=model, fraction=0.0))
            display(progress(model=model, phase="success"))

    assert [line for line in log.getvalue().splitlines() if line.endswith("…")] == [
        "Pulling one …",
        "Pulling two …",
    ]


async def test_spinner_leaves_an_empty_line_for_what_comes() -> None:
    screen = Screen()
    output = Output(io.StringIO(), screen, {"NO_COLOR": "1"})

    async with spinning(output, "Waiting"):
        await screen.moved.wait()
    output.note("done")

    assert screen.getvalue().endswith("Waiting\r\x1b[Kdone\n")


async def test_line_that_comes_while_it_turns_takes_its_place() -> None:
    screen = Screen()
    output = Output(io.StringIO(), screen, {"NO_COLOR": "1"})

    async with spinning(output, "Waiting"):
        await screen.moved.wait()
        output.warn("careful")

    assert "Waiting\r\x1b[Kwarning: careful\n" in screen.getvalue()


async def test_a_frame_that_is_wider_than_the_terminal_is_cut() -> None:
    screen = Screen()
    output = Output(io.StringIO(), screen, {"NO_COLOR": "1"})

    async with spinning(output, "Waiting for " + "x" * 200):
        await screen.moved.wait()

    frame = screen.getvalue().partition("\r")[0]
    assert len(frame) == output.width - 1 == 79


async def test_nothing_turns_without_a_terminal() -> None:
    log = io.StringIO()

    async with spinning(Output(io.StringIO(), log, {}), "Waiting"):
        await asyncio.sleep(0)

    assert log.getvalue() == ""
