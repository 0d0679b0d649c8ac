"""What administrators may change, together: the panel, the administration interface and the command line use this."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from namel3ss.gateway.store.acts import Acts
from namel3ss.gateway.store.classes import Classes
from namel3ss.gateway.store.first_key import first_class, make_first_key
from namel3ss.gateway.store.keys import Keys
from namel3ss.gateway.store.passwords import Passwords
from namel3ss.gateway.store.servers import Servers
from namel3ss.gateway.store.sessions import Sessions
from namel3ss.gateway.store.transcripts import Transcripts
from namel3ss.gateway.store.users import Users
from namel3ss.gateway.store.whitelist import Whitelist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store.records import NewKey
    from namel3ss.gateway.store.store import Store

__all__ = ["KeyAdministration"]


class KeyAdministration:
    """The users, keys, sessions, whitelist, servers and transcripts of one store.

    What the file of `plan` declares is read-only here. `applied` is awaited after each change: the keyring's `refresh`,
    where one is open. Nothing here asks whether the caller may do it.
    """

    def __init__(
        self,
        store: Store,
        plan: GatewayPlan | None = None,
        *,
        applied: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        classes = None if plan is None else Classes.of(plan.settings.priorities)
        self.store = store
        self._first_class = (
            None if plan is None or classes is None else first_class(classes, plan.settings.whitelist)
        )
        self._acts = Acts(store, applied=applied, clock=clock)
        passwords = Passwords()
        self.users = Users(self._acts, passwords, classes)
        self.keys = Keys(self._acts, classes)
        self.sessions = Sessions(self._acts, passwords)
        self.whitelist = Whitelist.of(self._acts, plan, classes)
        self.servers = Servers(self._acts, plan)
        self.transcripts = Transcripts(self._acts)

    async def make_first_key(self, deliver: Callable[[NewKey], None]) -> bool:
        """See `make_first_key`."""
        return await make_first_key(self._acts, self._first_class, deliver)
