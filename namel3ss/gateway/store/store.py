"""The database of one gateway: opened once, asked from the event loop, closed with it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from namel3ss.gateway.store.engine import Access, is_sqlite, make_engine
from namel3ss.gateway.store.errors import describe_failure, is_lock, store_down, store_error
from namel3ss.gateway.store.location import locate, secure_file
from namel3ss.gateway.store.migrating import migrate
from namel3ss.gateway.store.threads import in_thread
from namel3ss.gateway.store.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

    from sqlalchemy.engine import URL, Connection

__all__ = ["Store"]

ResultT = TypeVar("ResultT")

_OPENING_PATIENCE_S: Final = 10.0
_RETRY_S: Final = 0.05
_PATIENT_S: Final = 30.0
_CLOSING_GRACE_S: Final = 5.0


class Store:
    """Writes go through one thread and reads through another; an async context manager, made by `open`.

    `timeout_s` bounds every operation that a request may wait for, `patience_s` the part of it that goes into waiting for
    a lock that another process holds: it ends first, so that such a failure has its name.
    """

    def __init__(self, url: URL, *, timeout_s: float, patience_s: float | None = None) -> None:
        self.url = url
        self.timeout_s = timeout_s
        patience_s = timeout_s * 0.8 if patience_s is None else patience_s
        self._writer = Worker(make_engine(url, Access.WRITE, patience_s), "store writer")
        self._reader = Worker(make_engine(url, Access.READ, patience_s), "store reader")

    @classmethod
    async def open(
        cls,
        database: str,
        folder: Path | str,
        *,
        timeout_s: float = 0.25,
        patience_s: float | None = None,
        creates: bool = True,
    ) -> Self:
        """Open the database of a setting such as `sqlite:///gateway.db`, a relative path being below `folder`.

        Makes what is missing: the file, its folder, the tables; a file only where it `creates` one. Raises UsageError
        for a setting that means nothing, StoreError where the database cannot be used.
        """
        url = locate(database, Path(folder))
        if is_sqlite(url):
            path = Path(str(url.database))
            await in_thread(lambda: secure_file(path, Path(folder), creates=creates), "store opening")
        store = cls(url, timeout_s=timeout_s, patience_s=patience_s)
        try:
            await store._prepare()
        except BaseException:
            await store.aclose()
            raise
        return store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Store {self.url.render_as_string(hide_password=True)}>"

    async def aclose(self, *, grace_s: float = _CLOSING_GRACE_S) -> None:
        """Finish what was begun and close the connections. What has not ended after `grace_s` is ended."""
        await asyncio.gather(self._writer.close(grace_s), self._reader.close(grace_s))

    async def read(self, work: Callable[[Connection], ResultT], *, timeout_s: float | None = None) -> ResultT:
        """What `work` reads in one transaction. Raises Refusal where the database does not answer in time.

        `timeout_s` is for what no request waits for.
        """
        return await self._within(self._reader, self._reader.submit(work), timeout_s or self.timeout_s)

    async def write(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Do `work` in one transaction, which is on the disk when this returns. Raises Refusal as `read` does.

        Then nothing was done, unless the time ran out while the disk was at it. A Refusal that `work` raises undoes it.
        """
        return await self._within(self._writer, self._writer.submit(work), self.timeout_s)

    async def write_patiently(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """`write` for what no request waits for: it has half a minute, and its outcome is always known."""
        future = self._writer.submit(work)
        done = asyncio.wrap_future(future)
        done.add_done_callback(_look_at)
        await asyncio.wait([done], timeout=_PATIENT_S)
        if not done.done():
            self._writer.give_up(future)
            await asyncio.wait([done])
        if done.cancelled():
            raise store_down("it took too long")
        return await _named(done)

    async def _within(self, worker: Worker, future: Future[ResultT], timeout_s: float) -> ResultT:
        try:
            async with asyncio.timeout(timeout_s):
                return await _named(asyncio.wrap_future(future))
        except TimeoutError:
            worker.give_up(future)
            raise store_down("it took too long") from None

    async def _prepare(self) -> None:
        """Make the tables. Where another process is at it, wait for its end."""
        deadline = time.monotonic() + _OPENING_PATIENCE_S
        while True:
            try:
                await asyncio.wrap_future(self._writer.submit(migrate))
                return
            except SQLAlchemyError as error:
                if not is_lock(error) or time.monotonic() > deadline:
                    raise store_error(self.url, error) from error
            await asyncio.sleep(_RETRY_S)


def _look_at(done: asyncio.Future[ResultT]) -> None:
    """Whoever waited is told of a failure, and may have gone."""
    if not done.cancelled():
        done.exception()


async def _named(future: asyncio.Future[ResultT]) -> ResultT:
    """The result; the driver's failures become a Refusal. Mistakes in how it was asked stay what they are."""
    try:
        return await future
    except DBAPIError as error:
        raise store_down(describe_failure(error)) from error
