"""Sizes, durations and ages as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["format_age", "format_bytes", "format_duration", "parse_timestamp"]

_BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_AGES: Final = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(weeks=1), "week"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
    (timedelta(seconds=1), "second"),
)
# Ollama writes nanoseconds, of which Python takes six digits.
_FRACTION: Final = re.compile(r"(\.\d{1,6})\d*")


def format_bytes(count: float) -> str:
    """``4.7 GB``: decimal units, as disks and Ollama count them."""
    size = float(count)
    for unit in _BYTE_UNITS:
        if abs(size) < 999.5 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """``1:05:09``, ``5:09`` or ``0:09``."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def parse_timestamp(text: object) -> datetime | None:
    """A moment as a server writes it (RFC 3339); None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_age(moment: datetime, now: datetime) -> str:
    """``3 weeks ago`` or ``in 4 minutes``."""
    distance = abs(now - moment)
    for unit, name in _AGES:
        count = distance // unit
        if count:
            words = f"{count} {name}{'s' if count != 1 else ''}"
            return f"{words} ago" if moment <= now else f"in {words}"
    return "now"
