"""What can be wrong with the store itself, and the one place where a driver's errors become ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from namel3ss.errors import N3Error
from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["StoreError", "describe_failure", "is_lock", "store_down", "store_error"]

# What SQLite and PostgreSQL say, by a word that is in their texts and no other.
_CAUSES = (
    ("lock timeout", "another process holds it"),
    ("locked", "another process holds it"),
    ("readonly", "it may only be read"),
    ("read-only", "it may only be read"),
    ("malformed", "its file is damaged"),
    ("not a database", "its file is not a database"),
    ("is full", "there is no room for more"),
    ("no space", "there is no room for more"),
    ("disk i/o", "its disk failed"),
    ("unable to open", "its file cannot be opened"),
    ("interrupted", "it took too long"),
    ("timeout", "it took too long"),
    ("password", "it refused the user or the password"),
    ("does not exist", "it is not there"),
    ("connection", "it cannot be reached"),
    ("closed", "the connection broke off"),
)


class StoreError(N3Error):
    """The database cannot be opened: it is not there, not ours, damaged, newer than this version."""


def describe_failure(error: BaseException) -> str:
    """Why the database failed, in words that hold no SQL, no value and no path."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).casefold()
    for word, cause in _CAUSES:
        if word in text:
            return cause
    return "it failed"


def store_down(cause: str) -> Refusal:
    """What a caller is told when the database did not do its work in time."""
    return Refusal(
        Reason.store_down,
        f"The gateway's database did not do this: {cause}.",
        suggestion="Try again in a moment.",
        retry_after_s=1.0,
    )


def store_error(url: URL, error: SQLAlchemyError | OSError) -> StoreError:
    """Why a database cannot be opened, naming it without its password."""
    where = url.render_as_string(hide_password=True)
    suggestion = {
        "another process holds it": "End what holds it, or try again.",
        "it may only be read": "Give the user that runs the gateway the right to write the file and its folder.",
        "its file is damaged": "Restore it from a backup (docs/operations.md), or move it away to begin anew.",
        "its file is not a database": "Name another file in `database`, or move this one away.",
        "there is no room for more": "Make room on the disk.",
        "it cannot be reached": "Is the database server running, and is the address right?",
        "it refused the user or the password": "Look at the user and the password in `database`.",
    }.get(describe_failure(error))
    return StoreError(
        f"The database {where} cannot be used: {describe_failure(error)}.", suggestion=suggestion
    )


def is_lock(error: BaseException) -> bool:
    """Whether another process holds what was wanted, so that it may work a moment later."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).casefold()
    return "locked" in text or "lock timeout" in text
