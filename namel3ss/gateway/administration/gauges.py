"""What /metrics shows of the moment, asked for when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from namel3ss.gateway.live import Stage
from namel3ss.gateway.management import LANES
from namel3ss.gateway.metrics import Reading, families

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from namel3ss.gateway.backends.backends import Backends
    from namel3ss.gateway.live import LiveRequests
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store import Books, Keyring
    from namel3ss.scheduling import Scheduler

__all__ = ["Gauges"]


class Gauges:
    """A source of gauges. Every class and server has a value, 0 included: an absent series raises no alarm."""

    def __init__(
        self,
        plan: GatewayPlan,
        *,
        live: LiveRequests,
        scheduler: Scheduler,
        backends: Backends,
        keyring: Keyring,
        books: Books,
    ) -> None:
        self._classes = tuple(plan.settings.priorities)
        self._live = live
        self._scheduler = scheduler
        self._backends = backends
        self._keyring = keyring
        self._books = books

    async def __call__(self) -> Iterable[Reading]:
        statistics = await self._scheduler.statistics()
        waiting = Counter(
            request.source for request in self._live.by_id.values() if request.stage is Stage.WAITING
        )
        holders = self._keyring.snapshot.holders.values()
        return [
            *(Reading(families.WAITING, waiting[name], (name,)) for name in self._classes),
            Reading(families.RUNNING, statistics.running),
            Reading(families.DRAINING, statistics.draining),
            *self._of_servers(statistics.busy_by_server),
            *[reading for lane in LANES for reading in await self._of_lane(lane)],
            Reading(families.KEYS, sum(not holder.is_session for holder in holders)),
            Reading(families.SESSIONS, sum(holder.is_session for holder in holders)),
            Reading(families.USAGE_LOST, self._books.lost_events),
        ]

    async def _of_lane(self, lane: str) -> Iterable[Reading]:
        statistics = await self._scheduler.statistics(lane)
        return (
            Reading(families.LANE_RUNNING, statistics.running, (lane,)),
            Reading(families.LANE_WAITING, statistics.waiting, (lane,)),
        )

    def _of_servers(self, busy: Mapping[str, int]) -> Iterable[Reading]:
        for name in self._backends.names:
            status = self._backends.status(name)
            yield Reading(families.SERVER_UP, float(self._backends.is_usable(name)), (name,))
            yield Reading(families.SLOTS_BUSY, busy.get(name, 0), (name,))
            yield Reading(families.IN_FLIGHT, status.in_flight, (name,))
            yield Reading(families.MODELS_LOADED, len(status.loaded), (name,))
