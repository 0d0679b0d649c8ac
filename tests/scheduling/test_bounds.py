"""What the core keeps of users and models that are gone is bounded, whoever comes."""

from __future__ import annotations

import gc
from collections import Counter

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.placement import Model
from namel3ss.scheduling.tickets import Ticket
from namel3ss.scheduling.tiers import Account, Bucket, Line
from namel3ss.scheduling.values import Policy, Request, Server

KINDS = (Account, Bucket, Line, Model, Ticket)


def kept() -> Counter[type]:
    gc.collect()
    return Counter(type(known) for known in gc.get_objects() if isinstance(known, KINDS))


def test_users_and_models_that_never_come_again_are_forgotten() -> None:
    before = kept()
    core = SchedulerCore(Policy(), [Server(name="gpu1")])
    for number in range(3000):
        core.submit(Request(model=f"model {number}", user=f"user {number}", cost=1.0), float(number))
        ((_, ticket),) = core.take_events()
        assert ticket.lease is not None
        core.release(ticket.lease, number + 0.5)

    more = kept() - before

    assert all(count <= 1100 for count in more.values()), more


def test_one_user_of_many_models_is_no_exception() -> None:
    before = kept()
    core = SchedulerCore(Policy(), [Server(name="gpu1", max_loaded_models=2)])
    core.submit(Request(model="busy", user="ada", max_wait_s=1e9), 0.0)
    core.take_events()
    for number in range(3000):
        core.submit(Request(model=f"model {number}", user="ada", cost=1.0), float(number))
        ((_, ticket),) = core.take_events()
        assert ticket.lease is not None
        core.release(ticket.lease, number + 0.5)

    more = kept() - before

    assert all(count <= 1100 for count in more.values()), more


def test_who_passes_by_one_that_waits_for_long_is_forgotten() -> None:
    before = kept()
    core = SchedulerCore(Policy(classes=(0,), max_wait_s=1e9), [Server(name="gpu1")])
    core.submit(Request(model="m", user="greedy", cost=1e9), 0.0)
    core.submit(Request(model="m", user="greedy", cost=1.0), 0.0)
    ((_, ticket),) = core.take_events()
    for number in range(3000):
        core.submit(Request(model="m", user=f"user {number % 5}", cost=1.0), number + 0.5)
        assert ticket.lease is not None
        core.release(ticket.lease, number + 1.0)
        ((_, ticket),) = core.take_events()
        assert ticket.account.user.name != "greedy"

    # The last thousand are kept to tell how many come.
    assert (kept() - before)[Ticket] <= 1024 + 256 + 3
