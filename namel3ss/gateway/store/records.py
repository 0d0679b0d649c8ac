"""What the store holds, as values. Nothing in them is secret but the token of a new key, and that hides itself."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.principal import KeyLimits, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import RowMapping

    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

__all__ = [
    "AuditEntry",
    "Key",
    "KeyGrant",
    "NewKey",
    "StoredPull",
    "StoredServer",
    "Transcript",
    "User",
    "WhitelistEntry",
    "read_key",
    "read_networks",
    "read_scopes",
    "read_user",
]


_SCOPES: Final = {scope.value: scope for scope in Scope}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who has keys, and may sign in where there is a password. Scopes and class are those of the sign-in."""

    name: str
    scopes: frozenset[Scope]
    class_name: str | None
    """None: the gateway's default class."""
    has_password: bool
    created_at: float
    disabled_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGrant:
    """What a key is good for. The fields mean what they mean in a Principal."""

    scopes: frozenset[Scope] = frozenset({Scope.USE})
    class_name: str | None = None
    """None: the gateway's default class."""
    models: tuple[str, ...] | None = None
    networks: tuple[Network, ...] | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)
    allows_fallback: bool = False
    allows_cloud: bool = False
    in_address: bool = False
    expires_at: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as lists show it. Moments are seconds since the epoch."""

    id: str
    user: str
    grant: KeyGrant
    created_at: float
    revoked_at: float | None
    last_used_at: float | None
    """To some seconds."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with what is shown once."""

    key: Key
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhitelistEntry:
    """An address that a class may be used from. `origin` is the place in the file, None for what is stored."""

    class_name: str
    network: Network
    note: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredServer:
    """A server that an administrator added."""

    name: str
    base_url: str
    slots: int
    max_loaded_models: int | None
    weight: float
    shared: bool
    disabled_at: float | None
    created_at: float
    created_by: str

    @property
    def backend(self) -> BackendPlan:
        """As the rest of the gateway knows servers: like one of the file, but declared nowhere, and guarded."""
        return BackendPlan(
            name=self.name,
            base_url=self.base_url,
            slots=self.slots,
            max_loaded_models=self.max_loaded_models,
            weight=self.weight,
            shared=self.shared,
            is_guarded=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPull:
    """A download that has not ended. The fields mean what they mean in a PullJob."""

    id: str
    server: str
    model: str
    user: str
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What one caller asked and was answered. Its repr shows neither."""

    id: int
    at: float
    expires_at: float
    request_id: str
    user_name: str
    key_id: str
    class_name: str
    model: str
    route: str
    status: int
    prompt: str = field(repr=False)
    answer: str = field(repr=False)
    is_cut: bool
    """Whether there was more of one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act of an administrator, or of the gateway itself."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


def read_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names; what a later version may have written and this one does not know gives no right."""
    return frozenset(_SCOPES[name] for name in names if name in _SCOPES)


def read_networks(texts: Iterable[str] | None) -> tuple[Network, ...] | None:
    """The networks of these texts; None stays None."""
    return None if texts is None else tuple(ipaddress.ip_network(text) for text in texts)


def read_user(row: RowMapping) -> User:
    """The user of a row."""
    return User(
        name=row["name"],
        scopes=read_scopes(row["scopes"]),
        class_name=row["class_name"],
        has_password=row["password_hash"] is not None,
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


def read_key(row: RowMapping) -> Key:
    """The key of a row."""
    return Key(
        id=row["id"],
        user=row["user_name"],
        grant=KeyGrant(
            scopes=read_scopes(row["scopes"]),
            class_name=row["class_name"],
            models=None if row["models"] is None else tuple(row["models"]),
            networks=read_networks(row["networks"]),
            limits=KeyLimits(
                requests_per_minute=row["requests_per_minute"],
                tokens_per_minute=row["tokens_per_minute"],
                tokens_per_day=row["tokens_per_day"],
                streams=row["streams"],
            ),
            allows_fallback=row["allows_fallback"],
            allows_cloud=row["allows_cloud"],
            in_address=row["in_address"],
            expires_at=row["expires_at"],
            note=row["note"],
        ),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
