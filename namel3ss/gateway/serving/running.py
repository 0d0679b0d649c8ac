"""The gateway as a process of its own: its event loop, its signals, and the words at its start."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvloop

from namel3ss.gateway.serving.gateway import open_gateway
from namel3ss.gateway.serving.limits import ConnectionLimits, raise_file_limit
from namel3ss.gateway.store.first_key import hand_over

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import TextIO

    from namel3ss.gateway.administration.activity_shapes import ConfigurationValue
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.serving.gateway import Gateway

__all__ = ["serve_until_stopped"]

_NOTICE_S: Final = 1.0
# Ctrl-C, and the end of the terminal itself.
_FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)


@dataclass(slots=True)
class _Signals:
    """What has arrived. The first ends the gateway in order, the second at once."""

    task: asyncio.Task[None]
    stopping: asyncio.Event
    gateway: Gateway | None = None
    is_from_terminal: bool = False

    def hear(self, number: signal.Signals) -> None:
        if self.gateway is None:
            # Nobody is served yet.
            self.task.cancel()
        elif self.stopping.is_set():
            self.gateway.course.hurry.set()
        else:
            self.is_from_terminal = number in _FROM_TERMINAL
            self.stopping.set()


def serve_until_stopped(
    plan: GatewayPlan,
    *,
    configuration: tuple[ConfigurationValue, ...],
    tls: ssl.SSLContext | None,
    terminal: TextIO,
    on_ready: Callable[[Gateway], None],
    environ: Mapping[str, str],
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP. The first administrator's key is shown on `terminal`, if that is one.

    Raises UsageError where an address is taken, StoreError where the database cannot be used.
    """
    opening = open_gateway(
        plan,
        deliver_first_key=lambda made, folder: hand_over(made, terminal, folder),
        limits=ConnectionLimits(connections=raise_file_limit()),
        tls=tls,
        configuration=configuration,
        environ=environ,
    )
    with (
        contextlib.suppress(asyncio.CancelledError),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(opening, on_ready))


def _spare_collections() -> None:
    """Look for garbage in cycles seldom, for each search takes time from all requests; about once a minute through everything.

    Requests that end well leave next to none. Those that break off leave their frames, in the hands of the exceptions that
    ended them, and whatever outlives the small searches would pile up until a whole one. What has been made by now stays to
    the end, and is not searched at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 5)


async def _serve(opening: AbstractAsyncContextManager[Gateway], on_ready: Callable[[Gateway], None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    signals = _Signals(task, asyncio.Event())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, *_FROM_TERMINAL):
        # Started with `nohup`, it outlives its terminal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, signals.hear, number)
    async with opening as gateway:
        signals.gateway = gateway
        _spare_collections()
        on_ready(gateway)
        await signals.stopping.wait()
        # Whoever sits at a terminal has no balancer that must hear of it first.
        await gateway.stop(notice_s=0.0 if signals.is_from_terminal else _NOTICE_S)
