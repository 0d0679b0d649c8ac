"""What the administration interface takes and answers of what goes on, as JSON: servers, queue, usage, audit, settings.

The rules of `shapes` hold.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from namel3ss.gateway.administration.shapes import Given, Name, Taken

__all__ = [
    "AuditEntryView",
    "AuditPage",
    "AuditQuery",
    "Configuration",
    "ConfigurationValue",
    "CreateServer",
    "Deleted",
    "Overview",
    "QueueEntry",
    "QueueView",
    "ServerList",
    "ServerView",
    "TranscriptPage",
    "TranscriptQuery",
    "TranscriptView",
    "UsageQuery",
    "UsageRow",
    "UsageView",
]

Day: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day in UTC: 2026-11-21.")]


# -- servers --------------------------------------------------------------------------------------------------


class ServerView(Given):
    """`reason` says why it is not up. `declared_at` is null for a server that is stored."""

    name: str
    base_url: str
    state: str
    """`starting`, `up`, `suspected`, `down`, `resting`, `drained`, `disabled`."""
    reason: str
    since: float | None
    """For how many seconds it has been so."""
    version: str | None
    warning: str | None
    slots: int
    in_flight: int
    loaded: list[str]
    loading: list[str]
    declared_at: str | None


class ServerList(Given):
    """Every server, those of the file first."""

    servers: list[ServerView]


class CreateServer(Taken):
    """What a `server` of the file says."""

    name: Name
    base_url: Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^https?://")]
    slots: Annotated[int, Meta(ge=1, le=1024)] = 1
    max_loaded_models: Annotated[int, Meta(ge=1, le=1024)] | None = None
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    shared: bool = False


# -- what goes on ---------------------------------------------------------------------------------------------


class QueueEntry(Given):
    """`position` says how many go first; it and `eta`, the expected rest of the wait, are there for those that wait."""

    id: str
    source: str
    priority: int
    user: str
    model: str
    client: str
    route: str
    stage: str
    """`waiting`, `sent` (it has a slot, and nothing has come back), `streaming`."""
    server: str | None
    wait_time: float
    run_time: float | None
    position: int | None
    eta: float | None
    pieces: int


class QueueView(Given):
    """Those that run first, then those that wait, in their order; at most as many entries as a page shows."""

    queue_length: int
    processing: bool
    running: int
    draining: int
    entries: list[QueueEntry]
    left_out: int


class Overview(Given):
    """What the panel asks for again and again, at one moment."""

    at: float
    version: str
    gateway: str
    queue: QueueView
    servers: list[ServerView]


class UsageQuery(Taken):
    """Days in UTC, both included; left out: the last 30."""

    first: Day | None = None
    last: Day | None = None
    user: Annotated[str, Meta(max_length=64)] | None = None


class UsageRow(Given):
    """What one user used of one model on one day."""

    day: str
    user: str
    model: str
    requests: int
    failed: int
    estimated: int
    """Requests whose tokens were estimated."""
    prompt_tokens: int
    completion_tokens: int


class UsageView(Given):
    """From the first to the last day, both included."""

    first: str
    last: str
    rows: list[UsageRow]
    is_complete: bool
    """False where there were more rows than are given at a time."""


class AuditQuery(Taken):
    """Newest first; `before` is the id of the last entry of the page before."""

    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class AuditEntryView(Given):
    """Who did what to what."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditPage(Given):
    """Newest first."""

    entries: list[AuditEntryView]


class TranscriptQuery(Taken):
    """Newest first; `before` is the id of the last of the page before."""

    user: Annotated[str, Meta(max_length=64)] | None = None
    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class TranscriptView(Given):
    """One request and its answer, as text. `is_cut`: there was more of one of them."""

    id: int
    at: float
    expires_at: float
    """When it will be deleted."""
    request_id: str
    user: str
    key: str
    class_name: str = msgspec.field(name="class")
    model: str
    route: str
    status: int
    prompt: str
    answer: str
    is_cut: bool


class TranscriptPage(Given):
    """`is_storing`: the file says that more are stored."""

    is_storing: bool
    transcripts: list[TranscriptView]


class Deleted(Given):
    """How many there were."""

    deleted: int


class ConfigurationValue(Given):
    """`origin` is `default`, or the kind of the declaration that says it; secrets are shown as where they come from."""

    name: str
    value: str
    origin: str
    declared_at: str | None


class Configuration(Given):
    """Every setting in force."""

    file: str
    gateway: str
    values: list[ConfigurationValue]
