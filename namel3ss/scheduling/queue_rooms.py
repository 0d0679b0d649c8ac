"""What a `RequestQueue` holds in one process: its living requests, its schedulers, its answers, its event loop.

The lock guards the tables and sums, and is held only while they are read or changed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import resolve_address
from namel3ss.scheduling.errors import QueueMemoryError, SchedulerClosedError
from namel3ss.scheduling.queue_digests import Digests
from namel3ss.scheduling.queue_loop import QueueLoop, Started
from namel3ss.scheduling.queue_pools import Pool
from namel3ss.scheduling.queue_requests import model_key
from namel3ss.scheduling.queue_shelf import Completions, Shelf, ShelfLimits
from namel3ss.scheduling.values import Policy, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from namel3ss.scheduling.queue_arguments import Slots
    from namel3ss.scheduling.queue_entries import Entry
    from namel3ss.scheduling.queue_requests import Outgoing
    from namel3ss.scheduling.queue_sending import Sender

__all__ = ["Room"]

logger = logging.getLogger(__name__)


class Room:
    """The state of a queue. It ends with its process: a forked child gets a new one."""

    def __init__(
        self,
        *,
        policy: Policy,
        slots: Slots,
        max_loaded_models: Slots,
        limits: ShelfLimits,
        max_waiting_bytes: int,
        look_every_s: float,
        open_sender: Callable[[], Sender],
        clock: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._slots = slots
        self._max_loaded_models = max_loaded_models
        self._max_waiting_bytes = max_waiting_bytes
        self._look_every_s = look_every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._living: dict[str, Entry] = {}
        self._living_bytes = 0
        self._shelf = Shelf(limits)
        self._completions = Completions()
        # By address; several addresses may have one pool.
        self._pools: dict[str, Pool] = {}
        self._process_id = os.getpid()
        self.is_closing = False
        self.sender = open_sender()
        self.loop = QueueLoop(self.sender.aclose)
        self.digests = Digests(self.sender.look, self.loop, clock=clock, keep_s=look_every_s)

    # -- servers ------------------------------------------------------------------------------------------------

    def add_servers(self, servers: Sequence[Server | str]) -> bool:
        """Let these servers answer for one another; False if they do already. Raises UsageError where one of them is
        used otherwise.
        """
        if not servers:
            raise UsageError("The list of servers is empty.")
        specs = [self._spec(server) for server in servers]
        names = {spec.name for spec, _ in specs}
        if len(names) < len(specs):
            raise UsageError("A server stands twice in the list of servers.")
        with self._lock:
            known = [pool for name in names if (pool := self._pools.get(name)) is not None]
            if known and known[0].members.keys() == names:
                return False
            if known:
                other = next(name for name in names if name in self._pools)
                raise UsageError(
                    f"{other} is used already, alone or together with other servers.",
                    suggestion="Name all servers that answer for one another before the first request.",
                )
            pool = self._make_pool(specs)
            self._pools |= dict.fromkeys(names, pool)
            return True

    def pools(self) -> list[Pool]:
        """Every pool once."""
        with self._lock:
            return list(dict.fromkeys(self._pools.values()))

    def pool_at(self, base_url: str) -> Pool:
        """The pool that an address belongs to. Raises UsageError where nobody named it."""
        server = resolve_address(base_url).url
        with self._lock:
            if (pool := self._pools.get(server)) is None:
                raise UsageError(
                    f"The queue has no server {server}.",
                    suggestion=f"It has: {', '.join(self._pools) or 'none yet'}.",
                )
            return pool

    def is_down(self, request: Outgoing) -> bool:
        """Whether all servers that may answer a request are known to be down."""
        with self._lock:
            pool = self._pools.get(request.server)
        return pool is not None and pool.is_down

    def digest(self, request: Outgoing) -> str | None:
        """What the request's model means on all servers that may answer it; None where that is not one thing."""
        with self._lock:
            pool = self._pools.get(request.server)
        if pool is None or not pool.has_choice:
            return self.digests.of(request)
        healthy = [member for member in pool.members.values() if not member.is_down]
        found = {self.digests.of(request.at(member.spec.name, member.base_url)) for member in healthy}
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    # -- requests -----------------------------------------------------------------------------------------------

    def admit(self, entry: Entry) -> Pool:
        """Let a new request in; the servers that it is to wait for."""
        size_bytes = entry.body_bytes
        if size_bytes > self._max_waiting_bytes:
            raise UsageError(
                f"The body has {size_bytes} bytes, more than the queue may keep: {self._max_waiting_bytes}.",
                suggestion="Send a smaller request, or give the queue more max_waiting_bytes.",
            )
        with self._lock:
            if self.is_closing:
                raise SchedulerClosedError
            if self._living_bytes + size_bytes > self._max_waiting_bytes:
                _, mean_s = self._completions.count_and_mean(self._clock())
                raise QueueMemoryError(size_bytes, self._max_waiting_bytes, max(1.0, mean_s or 0.0))
            self._shelf.clean(self._clock())
            self._living[entry.id] = entry
            self._living_bytes += size_bytes
            pool = self._pool(entry)
        pool.requested(entry.request)
        return pool

    def forget(self, entry: Entry) -> None:
        """A request that was not accepted after all."""
        with self._lock:
            self._leave(entry)

    def ended(self, entry: Entry) -> None:
        """A request has ended: keep its answer for a while, and tell whoever wants to know."""
        with self._lock:
            if not self._leave(entry):
                return
            entry.drop_body()
            self._shelf.put(entry, self._clock())
        if entry.on_end is not None:
            try:
                entry.on_end(entry.id)
            except Exception:
                # Whoever ends a request, its own caller or another, has more to do.
                logger.exception("The on_end of request %s failed.", entry.id)

    def find(self, request_id: object) -> Entry | None:
        """The request of that id; None where there is none, whatever was given for one."""
        if not isinstance(request_id, str):
            return None
        with self._lock:
            self._shelf.clean(self._clock())
            return self._living.get(request_id) or self._shelf.get(request_id)

    def delivered(self, entry: Entry) -> None:
        with self._lock:
            self._shelf.delivered(entry.id, self._clock())

    def completed(self, duration_s: float) -> None:
        with self._lock:
            self._completions.add(duration_s, self._clock())

    def living(self) -> list[Entry]:
        with self._lock:
            return list(self._living.values())

    # -- looking ------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, Any]:
        with self._lock:
            count, mean_s = self._completions.count_and_mean(self._clock())
        found = [pool.scheduler.statistics() for pool in self.pools()]
        return {
            "queue_size": sum(statistics.waiting for statistics in found),
            "active_requests": sum(statistics.running for statistics in found),
            "avg_processing_time": mean_s,
            "recent_completions": count,
        }

    def pool_of(self, entry: Entry) -> Pool:
        """The servers of a request."""
        with self._lock:
            return self._pool(entry)

    # -- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self.is_closing = True

    def abandon(self) -> None:
        """End the threads of a queue that nobody holds any more. Does nothing in a forked child."""
        if self._process_id == os.getpid():
            self.close()
            for pool in self.pools():
                pool.scheduler.close()
            self.loop.stop()

    def wait_until_idle(self, timeout_s: float | None) -> None:
        with self._lock:
            self._idle.wait_for(lambda: not self._living, timeout_s)

    def _leave(self, entry: Entry) -> bool:
        if self._living.pop(entry.id, None) is None:
            return False
        self._living_bytes -= entry.body_bytes
        if not self._living:
            self._idle.notify_all()
        return True

    def _pool(self, entry: Entry) -> Pool:
        """The pool of a request's server; that server alone where nobody named it. The lock is held."""
        server = entry.request.server
        pool = self._pools.get(server)
        if pool is None:
            pool = self._pools[server] = self._make_pool([(self._default_spec(server), None)])
        return pool

    def _make_pool(self, specs: Sequence[tuple[Server, str | None]]) -> Pool:
        return Pool(
            specs,
            policy=self._policy,
            clock=self._clock,
            look_every_s=self._look_every_s,
            look=self.sender.look,
            start=self._start,
        )

    def _spec(self, server: Server | str) -> tuple[Server, str | None]:
        """A server under its address in the usual form, and the address as it was given."""
        given = server if isinstance(server, str) else server.name
        name = resolve_address(given).url
        return self._default_spec(name) if isinstance(server, str) else _usual(server, name), given

    def _default_spec(self, server: str) -> Server:
        return Server(
            name=server,
            slots=_count(self._slots, server, "OLLAMA_NUM_PARALLEL"),
            max_loaded_models=_count(self._max_loaded_models, server, "OLLAMA_MAX_LOADED_MODELS"),
        )

    def _start(self, coroutine: Coroutine[object, object, None]) -> None:
        """Begin something in the loop that nobody waits for."""
        with contextlib.suppress(RuntimeError):  # shut down
            self.loop.start(Started(), coroutine, _nobody_waits)


def _usual(server: Server, name: str) -> Server:
    """A server under that name, with the names of its models in the form by which requests are counted."""
    return replace(
        server,
        name=name,
        models=None if server.models is None else frozenset(map(model_key, server.models)),
        missing=frozenset(map(model_key, server.missing)),
        model_slots={model_key(model): count for model, count in server.model_slots.items()},
    )


def _nobody_waits(_: object) -> None:
    """What a look has found was told where it belongs."""


def _count(given: Slots, server: str, variable: str) -> int:
    """How many at a time on a server: as given, else as the server's own variable says on this machine, else 1."""
    if isinstance(given, Mapping):
        given = given.get(server)
    if given is not None:
        return given
    text = os.environ.get(variable, "").strip() if _is_here(server) else ""
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def _is_here(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
