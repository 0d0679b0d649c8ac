"""What the administration interface takes and answers of who may do what, as JSON: users, keys, sessions, the whitelist.

Everything that is taken refuses fields that it does not know, and every text in it has a bound. Times are seconds since
the epoch, durations seconds. `activity_shapes` has the rest.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from namel3ss.gateway.principal import Scope

__all__ = [
    "ChangeUser",
    "ClassList",
    "ClassView",
    "CreateKey",
    "CreateUser",
    "CreateWhitelistEntry",
    "CreatedKey",
    "Credentials",
    "Given",
    "KeyList",
    "KeyQuery",
    "KeyView",
    "Limits",
    "Name",
    "SessionView",
    "Taken",
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
Count: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Scopes: TypeAlias = Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]


class Taken(Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of what is taken."""


class Given(Struct, kw_only=True):
    """The base of what is answered."""


# -- who asks -------------------------------------------------------------------------------------------------


class Credentials(Taken):
    """Either a user and a password, or a key with the scope `admin`."""

    user: Annotated[str, Meta(max_length=64)] | None = None
    password: Password | None = None
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class SessionView(Given):
    """`csrf_token` goes as X-CSRF-Token with every change that a session's cookie makes."""

    user: str
    scopes: list[str]
    expires_at: float
    csrf_token: str


# -- users and keys -------------------------------------------------------------------------------------------


class UserView(Given):
    """`scopes` and `class` are those of the user's own logins; keys have theirs."""

    name: str
    class_name: str = msgspec.field(name="class")
    scopes: list[str]
    enabled: bool
    has_password: bool
    created_at: float
    keys: int
    """Those that can be used."""


class UserList(Given):
    """Every user, by name."""

    users: list[UserView]


class CreateUser(Taken):
    """Null for `class`: the default one. A user without a password has keys alone."""

    name: Name
    class_name: Name | None = msgspec.field(name="class", default=None)
    scopes: Scopes = msgspec.field(default_factory=lambda: [Scope.USE])
    password: NewPassword | None = None


class ChangeUser(Taken):
    """What is left out stays."""

    enabled: bool | None = None
    scopes: Scopes | None = None
    password: NewPassword | None = None


class Limits(Taken):
    """Null: no limit of the key's own."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    streams: Count | None = None


class KeyView(Given):
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


class KeyList(Given):
    """Keys in the order they were made, revoked ones included."""

    keys: list[KeyView]


class ClassView(Given):
    """`is_whitelisted`: its requests must come from a known address."""

    name: str
    priority: int
    is_default: bool
    is_whitelisted: bool


class ClassList(Given):
    """Every class, first served first."""

    classes: list[ClassView]


class KeyQuery(Taken):
    """Of one user, or of all."""

    user: Annotated[str, Meta(max_length=64)] | None = None


class CreateKey(Taken):
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


class CreatedKey(Given):
    """The only time that `secret` is shown."""

    key: KeyView
    secret: str


# -- whitelist ------------------------------------------------------------------------------------------------


class WhitelistEntryView(Given):
    """`declared_at` is the file, line and column; null for an entry that is stored."""

    class_name: str = msgspec.field(name="class")
    network: str
    note: str
    declared_at: str | None


class WhitelistView(Given):
    """The addresses of the file, then those that are stored."""

    entries: list[WhitelistEntryView]


class CreateWhitelistEntry(Taken):
    """The first entry of a class closes the class to every other address."""

    class_name: Name = msgspec.field(name="class")
    network: Address
    note: ShortText = ""


class WhitelistPlace(Taken):
    """One entry, by what it says."""

    class_name: Name = msgspec.field(name="class")
    network: Address
