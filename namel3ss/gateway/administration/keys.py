"""Keys and classes over HTTP. A key's secret is in the answer that makes it, and nowhere else."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal

from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation
from namel3ss.gateway.administration.shapes import (
    ClassList,
    ClassView,
    CreatedKey,
    CreateKey,
    KeyList,
    KeyQuery,
    KeyView,
    Limits,
)
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import KeyLimits
from namel3ss.gateway.store import KeyGrant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from namel3ss.gateway.metrics import GatewayMetrics
    from namel3ss.gateway.store import Classes, Key, KeyAdministration, NewKey
    from namel3ss.gateway.store.records import Network

__all__ = ["KeyOperations", "read_network"]


class KeyOperations:
    """Lists, makes, exchanges and revokes keys. `whitelisted` gives the classes that need a known address."""

    def __init__(
        self,
        administration: KeyAdministration,
        classes: Classes,
        metrics: GatewayMetrics,
        *,
        whitelisted: Callable[[], Collection[str]],
        now: Callable[[], float],
    ) -> None:
        self._users = administration.users
        self._keys = administration.keys
        self._classes = classes
        self._metrics = metrics
        self._whitelisted = whitelisted
        self._now = now

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/keys",
                do=self.show,
                takes=KeyQuery,
                answers=KeyList,
                summary="All keys, or one user's, without their secrets.",
                refusals=(Reason.not_found,),
            ),
            Operation(
                method="POST",
                path="/api/keys",
                do=self.create,
                takes=CreateKey,
                answers=CreatedKey,
                status=201,
                summary="Make a key. Its secret is in this answer and nowhere else.",
                refusals=(Reason.not_found,),
            ),
            Operation(
                method="POST",
                path="/api/keys/{id}/rotate",
                do=self.rotate,
                takes=Nothing,
                answers=CreatedKey,
                status=201,
                summary="Make a key that is good for the same, and revoke the old one.",
                refusals=(Reason.not_found, Reason.conflict),
            ),
            Operation(
                method="DELETE",
                path="/api/keys/{id}",
                do=self.revoke,
                takes=Nothing,
                answers=KeyView,
                summary="Revoke a key; what it runs is ended.",
                refusals=(Reason.not_found,),
            ),
            Operation(
                method="GET",
                path="/api/classes",
                do=self.list_classes,
                takes=Nothing,
                answers=ClassList,
                summary="The classes that keys may have, first served first.",
            ),
        )

    async def show(self, call: Call[KeyQuery]) -> KeyList:
        disabled = await self._disabled_users()
        keys = await self._keys.list(call.taken.user)
        return KeyList(keys=[self._view(key, key.user in disabled) for key in keys])

    async def create(self, call: Call[CreateKey]) -> CreatedKey:
        taken = call.taken
        limits = taken.limits
        grant = KeyGrant(
            scopes=frozenset(taken.scopes),
            class_name=taken.class_name,
            models=None if taken.models is None else tuple(taken.models),
            networks=None if taken.networks is None else tuple(map(read_network, taken.networks)),
            limits=KeyLimits(
                requests_per_minute=limits.requests_per_minute,
                tokens_per_minute=limits.tokens_per_minute,
                tokens_per_day=limits.tokens_per_day,
                streams=limits.streams,
            ),
            allows_fallback=taken.allows_fallback,
            allows_cloud=taken.allows_cloud,
            in_address=taken.in_address,
            expires_at=None if taken.expires_in is None else self._now() + taken.expires_in,
            note=taken.label,
        )
        made = await self._keys.create(taken.user, grant, actor=call.actor)
        self._metrics.event("key", change="created")
        return await self._created(made)

    async def rotate(self, call: Call[Nothing]) -> CreatedKey:
        made = await self._keys.rotate(call.parameters["id"], actor=call.actor)
        self._metrics.event("key", change="rotated")
        return await self._created(made)

    async def revoke(self, call: Call[Nothing]) -> KeyView:
        key = await self._keys.revoke(call.parameters["id"], actor=call.actor)
        self._metrics.event("key", change="revoked")
        return self._view(key, key.user in await self._disabled_users())

    async def list_classes(self, call: Call[Nothing]) -> ClassList:
        whitelisted = self._whitelisted()
        ordered = sorted(self._classes.priorities.items(), key=lambda item: item[1])
        return ClassList(
            classes=[
                ClassView(
                    name=name,
                    priority=priority,
                    is_default=name == self._classes.default,
                    is_whitelisted=name in whitelisted,
                )
                for name, priority in ordered
            ]
        )

    async def _disabled_users(self) -> set[str]:
        return {user.name for user in await self._users.list() if user.disabled_at is not None}

    async def _created(self, made: NewKey) -> CreatedKey:
        view = self._view(made.key, made.key.user in await self._disabled_users())
        return CreatedKey(key=view, secret=made.token)

    def _view(self, key: Key, is_disabled: bool) -> KeyView:
        grant = key.grant
        class_name = grant.class_name or self._classes.default
        return KeyView(
            id=key.id,
            user=key.user,
            label=grant.note,
            class_name=class_name,
            priority=self._classes.priorities.get(class_name),
            scopes=sorted(grant.scopes),
            models=None if grant.models is None else list(grant.models),
            networks=None if grant.networks is None else [str(network) for network in grant.networks],
            limits=Limits(
                requests_per_minute=grant.limits.requests_per_minute,
                tokens_per_minute=grant.limits.tokens_per_minute,
                tokens_per_day=grant.limits.tokens_per_day,
                streams=grant.limits.streams,
            ),
            allows_fallback=grant.allows_fallback,
            allows_cloud=grant.allows_cloud,
            in_address=grant.in_address,
            state=self._state(key, is_disabled),
            created_at=key.created_at,
            expires_at=grant.expires_at,
            last_used_at=key.last_used_at,
        )

    def _state(self, key: Key, is_disabled: bool) -> Literal["active", "expired", "revoked", "disabled"]:
        if key.revoked_at is not None:
            return "revoked"
        if key.grant.expires_at is not None and key.grant.expires_at <= self._now():
            return "expired"
        return "disabled" if is_disabled else "active"


def read_network(text: str) -> Network:
    """An address or a range as a network. Raises Refusal."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise Refusal(
            Reason.invalid,
            f"{text!r} is no address and no range: {error}.",
            suggestion="Write 10.0.0.7, or a range such as 10.1.0.0/16.",
        ) from error
