"""Keys: made, listed, revoked, exchanged for new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store.records import Key, KeyGrant, NewKey, read_key
from namel3ss.gateway.store.schema import KEYS
from namel3ss.gateway.store.texts import check_note, is_name
from namel3ss.gateway.store.tokens import KEY_PREFIX, digest_of, make_token
from namel3ss.gateway.store.users import require_user

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.classes import Classes

__all__ = ["Keys", "insert_key", "new_key"]

_LARGEST_LIMIT: Final = 2**31 - 1
_MOST_PATTERNS: Final = 200
_LONGEST_PATTERN: Final = 256


class Keys:
    """The keys of one store. Every change names its `actor` in the audit log."""

    def __init__(self, acts: Acts, classes: Classes | None) -> None:
        self._acts = acts
        self._classes = classes

    async def list(self, user: str | None = None) -> tuple[Key, ...]:
        """All or one user's, in the order they were made, revoked ones included."""
        query = sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)
        if user is not None:
            query = query.where(KEYS.c.user_name == user)

        def look(connection: Connection) -> tuple[Key, ...]:
            if user is not None:
                require_user(connection, user)
            return tuple(read_key(row) for row in connection.execute(query).mappings())

        return await self._acts.store.read(look)

    async def create(self, user: str, grant: KeyGrant, *, actor: str) -> NewKey:
        """Make a key for a user. Its token is in the answer and nowhere else. Raises Refusal."""
        self._check(grant)
        made = new_key(user, grant, self._acts.clock())

        def insert(connection: Connection) -> None:
            require_user(connection, user)
            insert_key(connection, made)

        await self._acts.do(
            insert, actor=actor, action="key.create", subject=made.key.id, detail=_described(made.key)
        )
        return made

    async def revoke(self, key_id: str, *, actor: str) -> Key:
        """Let the key work no more. Revoking it again changes nothing. Raises Refusal for an id that is not there."""
        now = self._acts.clock()

        def revoke(connection: Connection) -> Key:
            key = _require_key(connection, key_id)
            if key.revoked_at is not None:
                return key
            connection.execute(KEYS.update().where(KEYS.c.id == key_id).values(revoked_at=now))
            return replace(key, revoked_at=now)

        return await self._acts.do(revoke, actor=actor, action="key.revoke", subject=key_id)

    async def rotate(self, key_id: str, *, actor: str, overlap_s: float = 0.0) -> NewKey:
        """A new key that is good for the same. The old one works for `overlap_s` more. Raises Refusal."""
        now = self._acts.clock()

        def rotate(connection: Connection) -> NewKey:
            old = _require_key(connection, key_id)
            if old.revoked_at is not None:
                raise Refusal(
                    Reason.conflict,
                    f"The key {key_id} is revoked.",
                    suggestion=f"Make another one for {old.user}.",
                )
            made = new_key(old.user, old.grant, now)
            insert_key(connection, made)
            connection.execute(
                KEYS.update().where(KEYS.c.id == key_id).values(**_ending(old, now, overlap_s))
            )
            return made

        return await self._acts.do(rotate, actor=actor, action="key.rotate", subject=key_id)

    def _check(self, grant: KeyGrant) -> None:
        check_note(grant.note)
        if self._classes is not None:
            self._classes.check(grant.class_name)
        if not grant.scopes:
            raise Refusal(
                Reason.invalid,
                "A key without a scope is good for nothing.",
                suggestion=f"There are {', '.join(Scope)}.",
            )
        if grant.expires_at is not None and grant.expires_at <= self._acts.clock():
            raise Refusal(Reason.invalid, "The key would have expired already.")
        _check_limits(grant)
        _check_models(grant.models)


def new_key(user: str, grant: KeyGrant, now: float) -> NewKey:
    """A key that is stored nowhere yet."""
    token = make_token(KEY_PREFIX)
    key = Key(id=token.id, user=user, grant=grant, created_at=now, revoked_at=None, last_used_at=None)
    return NewKey(key, token.text)


def insert_key(connection: Connection, made: NewKey) -> None:
    """Add a key within a transaction."""
    key, grant = made.key, made.key.grant
    connection.execute(
        KEYS.insert().values(
            id=key.id,
            digest=digest_of(made.token),
            user_name=key.user,
            note=grant.note,
            class_name=grant.class_name,
            scopes=sorted(grant.scopes),
            models=None if grant.models is None else list(grant.models),
            networks=None if grant.networks is None else [str(network) for network in grant.networks],
            requests_per_minute=grant.limits.requests_per_minute,
            tokens_per_minute=grant.limits.tokens_per_minute,
            tokens_per_day=grant.limits.tokens_per_day,
            streams=grant.limits.streams,
            allows_fallback=grant.allows_fallback,
            allows_cloud=grant.allows_cloud,
            in_address=grant.in_address,
            created_at=key.created_at,
            expires_at=grant.expires_at,
        )
    )


def _require_key(connection: Connection, key_id: str) -> Key:
    row = None
    if is_name(key_id):
        row = connection.execute(sa.select(KEYS).where(KEYS.c.id == key_id)).mappings().first()
    if row is None:
        raise Refusal(
            Reason.not_found,
            f"There is no key with the id {key_id[:80]!r}.",
            suggestion="`namel3ss gateway key list` shows the ids: the part between the first two `_` of a key.",
        )
    return read_key(row)


def _ending(old: Key, now: float, overlap_s: float) -> dict[str, Any]:
    if overlap_s <= 0:
        return {"revoked_at": now}
    until = now + overlap_s
    return {"expires_at": until if old.grant.expires_at is None else min(until, old.grant.expires_at)}


def _described(key: Key) -> dict[str, Any]:
    """What the audit log says of a new key."""
    grant = key.grant
    detail: dict[str, Any] = {"user": key.user, "scopes": sorted(grant.scopes), "class": grant.class_name}
    if grant.models is not None:
        detail["models"] = list(grant.models)
    if grant.networks is not None:
        detail["networks"] = [str(network) for network in grant.networks]
    if grant.expires_at is not None:
        detail["expires_at"] = grant.expires_at
    flags = {
        "fallback": grant.allows_fallback,
        "cloud": grant.allows_cloud,
        "in_address": grant.in_address,
    }
    return detail | {name: True for name, is_set in flags.items() if is_set}


def _check_limits(grant: KeyGrant) -> None:
    limits = grant.limits
    for name in ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "streams"):
        value = getattr(limits, name)
        if value is not None and not 1 <= value <= _LARGEST_LIMIT:
            raise Refusal(
                Reason.invalid,
                f"{name} is a whole number from 1 to {_LARGEST_LIMIT}, not {value}.",
                suggestion="Leave it out for no limit; revoke the key to stop it.",
            )


def _check_models(models: tuple[str, ...] | None) -> None:
    if models is None:
        return
    if not models or len(models) > _MOST_PATTERNS:
        raise Refusal(
            Reason.invalid,
            f"A key may have 1 to {_MOST_PATTERNS} names and patterns of models, not {len(models)}.",
            suggestion="Without any it may use all that the gateway serves.",
        )
    for model in models:
        if not model or len(model) > _LONGEST_PATTERN or not model.isprintable() or " " in model:
            raise Refusal(
                Reason.invalid,
                f"{model[:80]!r} is no name and no pattern of models.",
                suggestion="Write a name such as llama3:8b, or a pattern such as llama3:*",
            )
