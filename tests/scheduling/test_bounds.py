"""What the core keeps of users and models that are gone is bounded, whoever comes."""

from __future__ import annotations

import gc
from collections import Counter

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.placement import Model
from namel3ss.scheduling.tiers import Account, Bucket, Line
from namel3ss.scheduling.values import Policy, Request, Server

KINDS = (Account, Bucket, Line, Model)


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
