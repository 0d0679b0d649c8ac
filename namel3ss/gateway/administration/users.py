"""Users over HTTP."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation
from namel3ss.gateway.administration.shapes import ChangeUser, CreateUser, UserList, UserView
from namel3ss.gateway.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.store import Classes, KeyAdministration, User

__all__ = ["UserOperations"]


class UserOperations:
    """Lists, makes and changes users."""

    def __init__(self, administration: KeyAdministration, classes: Classes, now: Callable[[], float]) -> None:
        self._users = administration.users
        self._keys = administration.keys
        self._classes = classes
        self._now = now

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/users",
                do=self.show,
                takes=Nothing,
                answers=UserList,
                summary="All users.",
            ),
            Operation(
                method="POST",
                path="/api/users",
                do=self.create,
                takes=CreateUser,
                answers=UserView,
                status=201,
                summary="Make a user.",
                refusals=(Reason.conflict,),
            ),
            Operation(
                method="PATCH",
                path="/api/users/{name}",
                do=self.change,
                takes=ChangeUser,
                answers=UserView,
                summary="Disable or enable a user, set a password, or say what logins of theirs may do.",
                refusals=(Reason.not_found,),
            ),
            Operation(
                method="DELETE",
                path="/api/users/{name}",
                do=self.remove,
                takes=Nothing,
                answers=Nothing,
                summary="Forget a user with all keys; usage and audit log keep the name.",
                refusals=(Reason.not_found,),
            ),
        )

    async def show(self, call: Call[Nothing]) -> UserList:
        return UserList(users=await self._views())

    async def create(self, call: Call[CreateUser]) -> UserView:
        taken = call.taken
        user = await self._users.create(
            taken.name,
            actor=call.actor,
            scopes=taken.scopes,
            class_name=taken.class_name,
            password=taken.password,
        )
        return self._view(user, 0)

    async def change(self, call: Call[ChangeUser]) -> UserView:
        name, taken, actor = call.parameters["name"], call.taken, call.actor
        if taken.password is not None:
            await self._users.set_password(name, taken.password, actor=actor)
        if taken.scopes is not None:
            await self._users.set_scopes(name, taken.scopes, actor=actor)
        if taken.enabled is not None:
            await (self._users.enable if taken.enabled else self._users.disable)(name, actor=actor)
        found = [view for view in await self._views() if view.name == name]
        if not found:
            # Nothing was to be changed, so nothing else has looked whether there is such a user.
            await self._keys.list(name)
        return found[0]

    async def remove(self, call: Call[Nothing]) -> Nothing:
        await self._users.remove(call.parameters["name"], actor=call.actor)
        return Nothing()

    async def _views(self) -> list[UserView]:
        now = self._now()
        usable = Counter(
            key.user
            for key in await self._keys.list()
            if key.revoked_at is None and (key.grant.expires_at is None or key.grant.expires_at > now)
        )
        return [self._view(user, usable[user.name]) for user in await self._users.list()]

    def _view(self, user: User, keys: int) -> UserView:
        return UserView(
            name=user.name,
            class_name=user.class_name or self._classes.default,
            scopes=sorted(user.scopes),
            enabled=user.disabled_at is None,
            has_password=user.has_password,
            created_at=user.created_at,
            keys=keys,
        )
