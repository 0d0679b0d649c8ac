"""What the administration interface takes and answers, as JSON. Times are seconds since the epoch, durations seconds.

Everything that is taken refuses fields that it does not know, and every text in it has a bound.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from namel3ss.gateway.principal import Scope

__all__ = [
    "AuditEntryView",
    "AuditPage",
    "AuditQuery",
    "ChangeUser",
    "ClassList",
    "ClassView",
    "Configuration",
    "ConfigurationValue",
    "CreateKey",
    "CreateServer",
    "CreateUser",
    "CreateWhitelistEntry",
    "CreatedKey",
    "Credentials",
    "KeyList",
    "KeyQuery",
    "KeyView",
    "Limits",
    "Overview",
    "QueueEntry",
    "QueueView",
    "ServerList",
    "ServerView",
    "SessionView",
    "UsageQuery",
    "UsageRow",
    "UsageView",
    "UserList",
    "UserView",
    "WhitelistEntryView",
    "WhitelistPlace",
    "WhitelistView",
]

Name: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$",
        description="Letters, digits and . _ @ + -, at most 64; a letter or digit first.",
    ),
]
ShortText: TypeAlias = Annotated[str, Meta(max_length=200)]
Address: TypeAlias = Annotated[
    str, Meta(min_length=2, max_length=64, description="An address or a range, such as 10.1.0.0/16.")
]
ModelPattern: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=200, description="A name, or a pattern such as llama3:*.")
]
Password: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1024)]
NewPassword: TypeAlias = Annotated[str, Meta(min_length=10, max_length=1024)]
Day: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day in UTC: 2026-11-21.")]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Scopes: TypeAlias = Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]


class _Taken(Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of what is taken."""


class _Given(Struct, kw_only=True):
    """The base of what is answered."""


# -- who asks -------------------------------------------------------------------------------------------------


class Credentials(_Taken):
    """Either a user and a password, or a key with the scope `admin`."""

    user: Annotated[str, Meta(max_length=64)] | None = None
    password: Password | None = None
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class SessionView(_Given):
    """`csrf_token` goes as X-CSRF-Token with every change that a session's cookie makes."""

    user: str
    scopes: list[str]
    expires_at: float
    csrf_token: str


# -- users and keys -------------------------------------------------------------------------------------------


class UserView(_Given):
    """`scopes` and `class` are those of the user's own logins; keys have theirs."""

    name: str
    class_name: str = msgspec.field(name="class")
    scopes: list[str]
    enabled: bool
    has_password: bool
    created_at: float
    keys: int
    """Those that can be used."""


class UserList(_Given):
    """Every user, by name."""

    users: list[UserView]


class CreateUser(_Taken):
    """Null for `class`: the default one. A user without a password has keys alone."""

    name: Name
    class_name: Name | None = msgspec.field(name="class", default=None)
    scopes: Scopes = msgspec.field(default_factory=lambda: [Scope.USE])
    password: NewPassword | None = None


class ChangeUser(_Taken):
    """What is left out stays."""

    enabled: bool | None = None
    scopes: Scopes | None = None
    password: NewPassword | None = None


class Limits(_Taken):
    """Null: no limit of the key's own."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    streams: Count | None = None


class KeyView(_Given):
    """A key without its secret, which is stored nowhere."""

    id: str
    user: str
    label: str
    class_name: str = msgspec.field(name="class")
    priority: int | None
    """Null where the file no longer has the class: then the key cannot be used."""
    scopes: list[str]
    models: list[str] | None
    networks: list[str] | None
    limits: Limits
    allows_fallback: bool
    allows_cloud: bool
    in_address: bool
    state: Literal["active", "expired", "revoked", "disabled"]
    created_at: float
    expires_at: float | None
    last_used_at: float | None


class KeyList(_Given):
    """Keys in the order they were made, revoked ones included."""

    keys: list[KeyView]


class ClassView(_Given):
    """`is_whitelisted`: its requests must come from a known address."""

    name: str
    priority: int
    is_default: bool
    is_whitelisted: bool


class ClassList(_Given):
    """Every class, first served first."""

    classes: list[ClassView]


class KeyQuery(_Taken):
    """Of one user, or of all."""

    user: Annotated[str, Meta(max_length=64)] | None = None


class CreateKey(_Taken):
    """Null for `models` and `networks`: all, anywhere. `expires_in` in seconds; null: never."""

    user: Name
    label: ShortText = ""
    class_name: Name | None = msgspec.field(name="class", default=None)
    scopes: Scopes = msgspec.field(default_factory=lambda: [Scope.USE])
    models: Annotated[list[ModelPattern], Meta(max_length=200)] | None = None
    networks: Annotated[list[Address], Meta(max_length=200)] | None = None
    limits: Limits = msgspec.field(default_factory=Limits)
    allows_fallback: bool = False
    allows_cloud: bool = False
    in_address: bool = False
    expires_in: Annotated[float, Meta(gt=0, le=3_153_600_000)] | None = None


class CreatedKey(_Given):
    """The only time that `secret` is shown."""

    key: KeyView
    secret: str


# -- whitelist and servers ------------------------------------------------------------------------------------


class WhitelistEntryView(_Given):
    """`declared_at` is the file, line and column; null for an entry that is stored."""

    class_name: str = msgspec.field(name="class")
    network: str
    note: str
    declared_at: str | None


class WhitelistView(_Given):
    """The addresses of the file, then those that are stored."""

    entries: list[WhitelistEntryView]


class CreateWhitelistEntry(_Taken):
    """The first entry of a class closes the class to every other address."""

    class_name: Name = msgspec.field(name="class")
    network: Address
    note: ShortText = ""


class WhitelistPlace(_Taken):
    """One entry, by what it says."""

    class_name: Name = msgspec.field(name="class")
    network: Address


class ServerView(_Given):
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


class ServerList(_Given):
    """Every server, those of the file first."""

    servers: list[ServerView]


class CreateServer(_Taken):
    """What a `server` of the file says."""

    name: Name
    base_url: Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^https?://")]
    slots: Annotated[int, Meta(ge=1, le=1024)] = 1
    max_loaded_models: Annotated[int, Meta(ge=1, le=1024)] | None = None
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    shared: bool = False


# -- what goes on ---------------------------------------------------------------------------------------------


class QueueEntry(_Given):
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


class QueueView(_Given):
    """Those that run first, then those that wait, in their order; at most as many entries as a page shows."""

    queue_length: int
    processing: bool
    running: int
    draining: int
    entries: list[QueueEntry]
    left_out: int


class Overview(_Given):
    """What the panel asks for again and again, at one moment."""

    at: float
    version: str
    gateway: str
    queue: QueueView
    servers: list[ServerView]


class UsageQuery(_Taken):
    """Days in UTC, both included; left out: the last 30."""

    first: Day | None = None
    last: Day | None = None
    user: Annotated[str, Meta(max_length=64)] | None = None


class UsageRow(_Given):
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


class UsageView(_Given):
    """From the first to the last day, both included."""

    first: str
    last: str
    rows: list[UsageRow]
    is_complete: bool
    """False where there were more rows than are given at a time."""


class AuditQuery(_Taken):
    """Newest first; `before` is the id of the last entry of the page before."""

    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class AuditEntryView(_Given):
    """Who did what to what."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditPage(_Given):
    """Newest first."""

    entries: list[AuditEntryView]


class ConfigurationValue(_Given):
    """`origin` is `default`, or the kind of the declaration that says it; secrets are shown as where they come from."""

    name: str
    value: str
    origin: str
    declared_at: str | None


class Configuration(_Given):
    """Every setting in force."""

    file: str
    gateway: str
    values: list[ConfigurationValue]
