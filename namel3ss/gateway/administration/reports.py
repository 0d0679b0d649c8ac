"""What was used, and what administrators did."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.administration.activity_shapes import (
    AuditEntryView,
    AuditPage,
    AuditQuery,
    UsageQuery,
    UsageRow,
    UsageView,
)
from namel3ss.gateway.administration.calls import AnyOperation, Call, Operation
from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from namel3ss.gateway.store import Audit, Books

__all__ = ["ReportOperations"]

_DAYS: Final = 30
_LONGEST: Final = timedelta(days=3660)
_MOST_ROWS: Final = 10_000


class ReportOperations:
    """Reads the books and the audit log."""

    def __init__(self, books: Books, audit: Audit) -> None:
        self._books = books
        self._audit = audit

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/usage",
                do=self.usage,
                takes=UsageQuery,
                answers=UsageView,
                summary="Requests and tokens by day, user and model.",
            ),
            Operation(
                method="GET",
                path="/api/audit",
                do=self.audit,
                takes=AuditQuery,
                answers=AuditPage,
                summary="What administrators did, newest first.",
            ),
        )

    async def usage(self, call: Call[UsageQuery]) -> UsageView:
        asked = call.taken
        last = self._books.today() if asked.last is None else _day(asked.last)
        first = last - min(timedelta(days=_DAYS - 1), last - date.min)
        if asked.first is not None:
            first = _day(asked.first)
        if not timedelta(0) <= last - first <= _LONGEST:
            raise Refusal(
                Reason.invalid,
                f"From {first} to {last} is no span of days that can be shown.",
                suggestion="Let `first` be before `last`, by ten years at most.",
            )
        rows = await self._books.usage(
            since=first,
            until=last,
            by=("day", "user", "model"),
            only={} if asked.user is None else {"user": asked.user},
            limit=_MOST_ROWS,
        )
        return UsageView(
            first=first.isoformat(),
            last=last.isoformat(),
            rows=[
                UsageRow(
                    day=row.day or "",
                    user=row.user or "",
                    model=row.model or "",
                    requests=row.requests,
                    failed=row.failed,
                    estimated=row.estimated,
                    prompt_tokens=row.prompt_tokens,
                    completion_tokens=row.completion_tokens,
                )
                for row in rows
            ],
            is_complete=len(rows) < _MOST_ROWS,
        )

    async def audit(self, call: Call[AuditQuery]) -> AuditPage:
        entries = await self._audit.entries(limit=call.taken.limit, before_id=call.taken.before)
        return AuditPage(
            entries=[
                AuditEntryView(
                    id=entry.id,
                    at=entry.at,
                    actor=entry.actor,
                    action=entry.action,
                    subject=entry.subject,
                    detail=entry.detail,
                )
                for entry in entries
            ]
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(Reason.invalid, f"{text!r} is no day.", suggestion="Write it as 2026-11-21.") from None
