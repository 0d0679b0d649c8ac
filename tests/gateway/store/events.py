"""Principals and usage for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namel3ss.gateway.principal import KeyLimits, Principal, Scope
from namel3ss.gateway.usage import Usage, UsageEvent

# Noon of a day in UTC.
NOON = 1_795_262_400.0
TODAY = "2026-11-21"


def holder(key_id: str = "key1", user: str = "alice", **limits: int | None) -> Principal:
    return Principal(
        user=user,
        key_id=key_id,
        class_name="chat",
        priority=5,
        scopes=frozenset({Scope.USE}),
        limits=KeyLimits(**limits),
    )


def used(prompt: int, completion: int) -> Usage:
    return Usage(prompt, completion)


_EVENT = UsageEvent(
    at=NOON,
    request_id="r1",
    user="alice",
    key_id="key1",
    class_name="chat",
    model="llama3:8b",
    server="gpu1",
    route="/api/chat",
    outcome="ok",
    status=200,
    usage=Usage(10, 5),
    wait_s=0.5,
    first_token_s=0.1,
    duration_s=2.0,
)


def event(**changes: Any) -> UsageEvent:
    return replace(_EVENT, **changes)
