"""What messages say of an answer that is not as it should be: its beginning, and how long it asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["quote", "retry_after_s"]

_QUOTED_CHARACTERS = 200
_LONGEST_RETRY_AFTER_S = 3600.0


def quote(data: bytes) -> str:
    """The beginning of `data`, safe to show: one line, bounded, anything unprintable escaped."""
    if not data:
        return "(empty)"
    text = " ".join(data[: 4 * _QUOTED_CHARACTERS].decode("utf-8", "replace").split())
    shown = text[:_QUOTED_CHARACTERS].encode("unicode_escape").decode("ascii")
    if text.isprintable():
        shown = text[:_QUOTED_CHARACTERS]
    return f"'{shown}'" + (
        "…" if len(text) > _QUOTED_CHARACTERS or len(data) > 4 * _QUOTED_CHARACTERS else ""
    )


def retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds a number or a date; None for anything else."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_RETRY_AFTER_S)
    from email.utils import parsedate_to_datetime  # slow to import, and hardly ever needed

    try:
        seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
