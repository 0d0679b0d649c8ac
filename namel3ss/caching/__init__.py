"""Answers to requests that were asked before: exact matches only, bounded in bytes and age, one request at a time.

    cache = ResponseCache(ttl_s=600, max_bytes=100_000_000)
    if is_deterministic("/api/chat", body):
        seat = cache.take(cache_key("/api/chat", content, digest=digest, caller=user))
        if seat.outcome is Outcome.MISS:
            ...  # send the request; feed what comes to seat.flight
        for piece in seat:
            ...

The pieces are bytes that mean nothing here, so that every protocol can keep its own.
"""

from namel3ss.caching.cache import CacheStatistics, Outcome, ResponseCache, Taken
from namel3ss.caching.flights import AsyncSeat, Flight, NotReadError, Seat
from namel3ss.caching.keys import cache_key, is_deterministic

__all__ = [
    "AsyncSeat",
    "CacheStatistics",
    "Flight",
    "NotReadError",
    "Outcome",
    "ResponseCache",
    "Seat",
    "Taken",
    "cache_key",
    "is_deterministic",
]
