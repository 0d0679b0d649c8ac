"""One thread with one connection to the database: the event loop gives it work and never waits for a disk itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

from namel3ss.gateway.store.engine import StaleConnectionError, interrupt, require_alive
from namel3ss.gateway.store.errors import store_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection, Engine

__all__ = ["Worker"]

ResultT = TypeVar("ResultT")

_MOST_WAITING: Final = 1000


class Worker:
    """Does each work in a transaction of its own, one after the other. Lives until `close`, which ends its thread."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._waiting: deque[tuple[Future[Any], Callable[[Connection], Any]]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._running: tuple[Future[Any], Any] | None = None
        self._given_up: Future[Any] | None = None
        """What was given up after it was begun, and before it had its connection."""
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name=f"namel3ss {name}", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], ResultT]) -> Future[ResultT]:
        """Have work done; what it returns or raises is the future's. Raises Refusal where too much waits already."""
        future: Future[ResultT] = Future()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("The store is closed.")
            if len(self._waiting) >= _MOST_WAITING:
                raise store_down("too much waits for it")
            self._waiting.append((future, work))
            self._changed.notify()
        return future

    def give_up(self, future: Future[Any]) -> None:
        """Nobody waits for this work any more: it is not begun, or ended where it stands if it was."""
        if future.cancel():
            return
        with self._changed:
            if self._running is None:
                self._given_up = future
            elif self._running[0] is future:
                interrupt(self._running[1])

    async def close(self, grace_s: float) -> None:
        """Do what waits, then end the thread and the connection. After `grace_s` what runs is ended."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        ended = asyncio.wrap_future(self._ended)
        await asyncio.wait([ended], timeout=grace_s)
        with self._changed:
            abandoned, running = list(self._waiting), self._running
            self._waiting.clear()
        for future, _ in abandoned:
            future.cancel()
        if running is not None:
            self.give_up(running[0])
        await ended

    def _work(self) -> None:
        try:
            while (next_one := self._take()) is not None:
                self._do(*next_one)
        finally:
            self._engine.dispose()
            self._ended.set_result(None)

    def _take(self) -> tuple[Future[Any], Callable[[Connection], Any]] | None:
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._changed.wait()
            return self._waiting.popleft()

    def _do(self, future: Future[Any], work: Callable[[Connection], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self._in_transaction(future, work)
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    def _in_transaction(self, future: Future[Any], work: Callable[[Connection], Any]) -> Any:
        with contextlib.suppress(StaleConnectionError):
            return self._once(future, work)
        # The server was started anew since the last work. Nothing of this one was done.
        try:
            return self._once(future, work)
        except StaleConnectionError as error:
            raise error.reason from error

    def _once(self, future: Future[Any], work: Callable[[Connection], Any]) -> Any:
        with self._engine.connect() as connection:
            with self._changed:
                if self._given_up is future:
                    raise store_down("it took too long")
                self._running = (future, connection.connection.driver_connection)
            try:
                with connection.begin():
                    require_alive(connection)
                    return work(connection)
            finally:
                with self._changed:
                    self._running = None
