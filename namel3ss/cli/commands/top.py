"""``namel3ss top``: who waits and what runs on a gateway, live in a terminal."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.gateway_client import GatewayClient
from namel3ss.cli.gateway_view import Sight, Speed, render_sight
from namel3ss.cli.interruption import Terminated
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.cli.output import Output

_URL_VARIABLE: Final = "NAMEL3SS_GATEWAY_URL"
_KEY_VARIABLE: Final = "NAMEL3SS_GATEWAY_KEY"
_DEFAULT_URL: Final = "http://127.0.0.1:8080"

# Into the terminal's second screen and back, so that what stood there before is there again afterwards.
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


@click.command(cls=Command, short_help="Watch the queue of a gateway.")
@click.option("--url", metavar="URL", help=f"The gateway; {_URL_VARIABLE} or {_DEFAULT_URL} unless given.")
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"A file that holds your key; {_KEY_VARIABLE} unless given.",
)
@click.option("--once", is_flag=True, help="Show it once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print it once as JSON.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@pass_session
def command(
    session: Session, url: str | None, key_file: Path | None, once: bool, as_json: bool, interval: float
) -> ExitCode:
    """Show who waits in a gateway's queue, what runs, and how its servers are, until Ctrl-C.

    With an ordinary key you see your own requests, with an operator's everybody's.
    """
    address = url or session.environ.get(_URL_VARIABLE) or _DEFAULT_URL
    with GatewayClient(address, _key(session, key_file)) as gateway:
        output = session.output
        if as_json:
            output.line(json.dumps(_look(gateway).document(), ensure_ascii=not output.encodes_unicode))
        elif once or not output.stdout_is_terminal:
            width = output.width if output.stdout_is_terminal else 10_000
            output.result(
                render_sight(_look(gateway), gateway.url, None, width=width, color=output.stdout_has_color)
            )
        else:
            _watch(output, gateway, interval)
    return ExitCode.OK


def _key(session: Session, file: Path | None) -> str:
    key = file.read_text(encoding="utf-8") if file is not None else session.environ.get(_KEY_VARIABLE, "")
    if not key.strip():
        raise UsageError(
            "A gateway shows its queue to holders of a key only.",
            suggestion=f"Put yours into {_KEY_VARIABLE}, or name its file with --key-file.",
        )
    return key.strip()


def _look(gateway: GatewayClient) -> Sight:
    return Sight(time.monotonic(), gateway.get("/api/status"), gateway.get("/requests"))


def _watch(output: Output, gateway: GatewayClient, interval_s: float) -> None:
    speed, pause = Speed(), threading.Event()
    sight = _look(gateway)  # before the screen changes, so that an error is shown where it stays
    with contextlib.suppress(KeyboardInterrupt, Terminated), _second_screen(output):
        while True:
            size = shutil.get_terminal_size()
            picture = render_sight(
                sight,
                gateway.url,
                speed.of(sight),
                width=size.columns,
                height=size.lines,
                color=output.stdout_has_color,
            )
            # Without an end to the last line, which would push the first out of the screen.
            lines = f"{_CLEAR_LINE}\n".join(picture.splitlines()[: size.lines])
            output.result(f"{_HOME}{lines}{_CLEAR_LINE}{_CLEAR_BELOW}")
            pause.wait(interval_s)
            sight = _look(gateway)


@contextlib.contextmanager
def _second_screen(output: Output) -> Iterator[None]:
    output.result(_ENTER)
    try:
        yield
    finally:
        output.result(_LEAVE)
