"""All of administration in one: the application of its address, and the handlers of logging in at the main one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from namel3ss.gateway.administration.access import Access
from namel3ss.gateway.administration.activity import ActivityOperations
from namel3ss.gateway.administration.application import make_application
from namel3ss.gateway.administration.attempts import LoginAttempts
from namel3ss.gateway.administration.configuration import ConfigurationOperations
from namel3ss.gateway.administration.gauges import Gauges
from namel3ss.gateway.administration.keys import KeyOperations
from namel3ss.gateway.administration.login import LoginDesk, PanelLogin
from namel3ss.gateway.administration.main_login import LoginHandlers
from namel3ss.gateway.administration.main_openapi import OpenApi
from namel3ss.gateway.administration.panel_sessions import PanelSessions
from namel3ss.gateway.administration.reports import ReportOperations
from namel3ss.gateway.administration.roster import Roster
from namel3ss.gateway.administration.servers import ServerOperations
from namel3ss.gateway.administration.transcripts import TranscriptOperations
from namel3ss.gateway.administration.users import UserOperations
from namel3ss.gateway.administration.whitelist import WhitelistOperations
from namel3ss.gateway.front.credentials import Credentials
from namel3ss.gateway.routes import Action
from namel3ss.gateway.store import Audit, Classes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.administration.activity_shapes import ConfigurationValue
    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.backends.backends import Backends
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.live import LiveRequests
    from namel3ss.gateway.metrics import GatewayMetrics
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.queue_views import Head
    from namel3ss.gateway.store import Books, KeyAdministration, Keyring, Store
    from namel3ss.scheduling import Scheduler

__all__ = ["Administration"]


class Administration:
    """An asynchronous context manager, within those of the parts it is given: inside it stored servers are used.

    `application` is what the administration address serves. `configuration` is what it shows as being in force.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        *,
        store: Store,
        administration: KeyAdministration,
        keyring: Keyring,
        books: Books,
        authority: Authority,
        backends: Backends,
        scheduler: Scheduler,
        live: LiveRequests,
        head: Head,
        metrics: GatewayMetrics,
        configuration: tuple[ConfigurationValue, ...] = (),
    ) -> None:
        audit = Audit(store)
        classes = Classes.of(plan.settings.priorities)
        panel_sessions = PanelSessions()
        access = Access(keyring, Credentials(plan, keyring), panel_sessions)
        desk = LoginDesk(administration.sessions, LoginAttempts(), metrics)
        self._roster = Roster(plan, keyring, backends)
        servers = ServerOperations(administration, backends, self._roster, audit)
        rooms = (
            ActivityOperations(plan, live, scheduler, head, servers, audit),
            servers,
            KeyOperations(
                administration,
                classes,
                metrics,
                whitelisted=lambda: {*plan.settings.whitelist, *keyring.snapshot.whitelist},
                now=time.time,
            ),
            UserOperations(administration, classes, time.time),
            WhitelistOperations(administration),
            ReportOperations(books, audit),
            TranscriptOperations(plan, administration.transcripts),
            ConfigurationOperations(plan, configuration),
        )
        metrics.add_gauges(
            Gauges(plan, live=live, scheduler=scheduler, backends=backends, keyring=keyring, books=books)
        )
        self._handlers = LoginHandlers(desk, authority).handlers()
        self._handlers[Action.OPENAPI] = OpenApi().handle
        self.application = make_application(
            plan,
            [operation for room in rooms for operation in room.operations()],
            access=access,
            login=PanelLogin(desk, keyring, access, panel_sessions),
            metrics=metrics,
        )

    async def __aenter__(self) -> Self:
        await self._roster.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._roster.__aexit__()

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        """Of LOGIN, LOGOUT, WHO_AM_I and OPENAPI."""
        return self._handlers
