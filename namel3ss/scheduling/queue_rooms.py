"""What a `RequestQueue` holds in one process: its living requests, its schedulers, its answers, its event loop.

The lock guards the tables and sums, and is held only while they are read or changed.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from namel3ss.scheduling.errors import QueueMemoryError, SchedulerClosedError
from namel3ss.scheduling.queue_loop import QueueLoop
from namel3ss.scheduling.queue_shelf import Completions, Shelf, ShelfLimits
from namel3ss.scheduling.sync import SyncScheduler
from namel3ss.scheduling.values import Policy, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.scheduling.queue_entries import Entry
    from namel3ss.scheduling.queue_sending import Sender

__all__ = ["Room", "Slots"]

# For every server, or by address; None: what the server's own variable says.
Slots: TypeAlias = "int | Mapping[str, int] | None"


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
        open_sender: Callable[[], Sender],
        clock: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._slots = slots
        self._max_loaded_models = max_loaded_models
        self._max_waiting_bytes = max_waiting_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._living: dict[str, Entry] = {}
        self._living_bytes = 0
        self._shelf = Shelf(limits)
        self._completions = Completions()
        self._schedulers: dict[str, SyncScheduler] = {}
        self._process_id = os.getpid()
        self.is_closing = False
        self.sender = open_sender()
        self.loop = QueueLoop(self.sender.aclose)

    # -- requests -----------------------------------------------------------------------------------------------

    def admit(self, entry: Entry) -> SyncScheduler:
        """Let a new request in; the scheduler that it is to wait at."""
        size_bytes = entry.body_bytes
        with self._lock:
            if self.is_closing:
                raise SchedulerClosedError
            if self._living_bytes + size_bytes > self._max_waiting_bytes:
                raise QueueMemoryError(size_bytes, self._max_waiting_bytes)
            self._shelf.clean(self._clock())
            self._living[entry.id] = entry
            self._living_bytes += size_bytes
            return self._scheduler(entry.request.server)

    def forget(self, entry: Entry) -> None:
        """A request that was not accepted after all."""
        with self._lock:
            self._leave(entry)

    def ended(self, entry: Entry) -> None:
        """A request has ended: keep its answer for a while."""
        with self._lock:
            if self._leave(entry):
                entry.drop_body()
                self._shelf.put(entry, self._clock())

    def find(self, request_id: str) -> Entry | None:
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
        found = [scheduler.statistics() for scheduler in self.schedulers()]
        return {
            "queue_size": sum(statistics.waiting for statistics in found),
            "active_requests": sum(statistics.running for statistics in found),
            "avg_processing_time": mean_s,
            "recent_completions": count,
        }

    def schedulers(self) -> list[SyncScheduler]:
        with self._lock:
            return list(self._schedulers.values())

    def scheduler_of(self, entry: Entry) -> SyncScheduler:
        with self._lock:
            return self._scheduler(entry.request.server)

    # -- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self.is_closing = True

    def abandon(self) -> None:
        """End the threads of a queue that nobody holds any more. Does nothing in a forked child."""
        if self._process_id == os.getpid():
            self.close()
            for scheduler in self.schedulers():
                scheduler.close()
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

    def _scheduler(self, server: str) -> SyncScheduler:
        scheduler = self._schedulers.get(server)
        if scheduler is None:
            spec = Server(
                name=server,
                slots=_count(self._slots, server, "OLLAMA_NUM_PARALLEL"),
                max_loaded_models=_count(self._max_loaded_models, server, "OLLAMA_MAX_LOADED_MODELS"),
            )
            scheduler = SyncScheduler([spec], policy=self._policy, clock=self._clock)
            self._schedulers[server] = scheduler
        return scheduler


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
