from __future__ import annotations

from namel3ss.scheduling import Engine, MemoryEngine, Policy, Server
from tests.scheduling.clocks import ManualClock
from tests.scheduling.conformance import EngineConformance, Harness


class MemoryHarness(Harness):
    def __init__(self, policy: Policy, servers: tuple[Server, ...]) -> None:
        super().__init__()
        self.clock = ManualClock()
        self._engine = MemoryEngine(policy, servers, clock=self.clock)

    @property
    def engine(self) -> Engine:
        return self._engine

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestMemoryEngine(EngineConformance):
    async def open(self, policy: Policy, *servers: Server) -> MemoryHarness:
        harness = MemoryHarness(policy, servers)
        await harness.engine.open(harness.outcomes.append, harness.note_change)
        return harness

    async def test_idle_engine_comes_to_rest(self) -> None:
        """An alarm that has lost its meaning rings once more at most; nothing goes round and round."""
        harness = await self.open(Policy(), Server(name="gpu1"))
        for name in "abc":
            await harness.submit(name)
        await harness.drain_in_order()

        assert harness.clock.pending == 1
        await harness.advance(120.0)

        assert harness.clock.pending == 0
        await self.close(harness)

    async def test_closed_engine_leaves_no_alarm(self) -> None:
        harness = await self.open(Policy(lease_ttl_s=5.0), Server(name="gpu1"))
        await harness.submit("a")
        await harness.submit("b")
        assert harness.clock.pending == 1

        await self.close(harness)

        assert harness.clock.pending == 0

    async def test_looking_changes_nothing_for_the_watchers(self) -> None:
        harness = await self.open(Policy(), Server(name="gpu1"))
        await harness.submit("a")
        await harness.submit("b")
        changes = harness.changes

        await harness.engine.position("b")
        await harness.engine.statistics()

        assert harness.changes == changes
        await self.close(harness)
