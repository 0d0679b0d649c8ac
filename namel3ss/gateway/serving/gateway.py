"""Puts the gateway together: every part once, in the order in which they need each other, and closed in reverse."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.gateway.administration.composition import Administration
from namel3ss.gateway.authority import Authority
from namel3ss.gateway.backends.backends import Backends
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.forwarding.fallback import open_fallback
from namel3ss.gateway.forwarding.forwarder import Forwarder
from namel3ss.gateway.front.front import Front
from namel3ss.gateway.live import LiveRequests
from namel3ss.gateway.management.composition import LANES, Management
from namel3ss.gateway.metrics.recording import GatewayMetrics
from namel3ss.gateway.queue_views import Head, QueueViews
from namel3ss.gateway.routes import Action
from namel3ss.gateway.serving.limits import ConnectionLimits
from namel3ss.gateway.serving.listening import Endpoint, bind
from namel3ss.gateway.serving.stopping import Course, stop_serving
from namel3ss.gateway.store.administration import KeyAdministration
from namel3ss.gateway.store.audit import Audit
from namel3ss.gateway.store.books import Books
from namel3ss.gateway.store.classes import Classes
from namel3ss.gateway.store.engine import is_sqlite
from namel3ss.gateway.store.keyring import Keyring
from namel3ss.gateway.store.pulls import StoredPulls
from namel3ss.gateway.store.store import Store
from namel3ss.gateway.store.transcripts import TranscriptWriter
from namel3ss.scheduling import Policy, Scheduler

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping

    from namel3ss.gateway.administration.activity_shapes import ConfigurationValue
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store.records import NewKey

__all__ = ["Gateway", "open_gateway"]

_OPENING_S: Final = 10.0


class Gateway:
    """A gateway that serves, on the event loop of `open_gateway`, which makes it."""

    def __init__(
        self,
        plan: GatewayPlan,
        front: Front,
        live: LiveRequests,
        course: Course,
        administration: KeyAdministration,
        endpoint: Endpoint,
        admin_endpoint: Endpoint,
    ) -> None:
        self.plan = plan
        self.course = course
        self.administration = administration
        self._front = front
        self._live = live
        self._endpoint = endpoint
        self._admin_endpoint = admin_endpoint

    @property
    def url(self) -> str:
        """Where users connect."""
        return self._endpoint.url

    @property
    def admin_url(self) -> str:
        """Where administration, the panel and the metrics are."""
        return self._admin_endpoint.url

    async def stop(self, *, notice_s: float = 0.0) -> None:
        """End in order: say so, refuse who waits, let running answers end within the declared grace, cut the rest."""
        await stop_serving(
            self.course,
            self._front,
            self._live,
            self._endpoint,
            notice_s=notice_s,
            grace_s=self.plan.settings.shutdown_grace,
        )


@contextlib.asynccontextmanager
async def open_gateway(
    plan: GatewayPlan,
    *,
    deliver_first_key: Callable[[NewKey, Path], None],
    limits: ConnectionLimits | None = None,
    store_timeout_s: float = 0.25,
    tls: ssl.SSLContext | None = None,
    configuration: tuple[ConfigurationValue, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Gateway]:
    """Serve inside the block; leaving it cuts what is running, unless `stop` was awaited before.

    `deliver_first_key` is called on another thread, with the administrator's key of a new database and a folder for it.
    `configuration` is what administrators are shown of the file; `environ` is where the fallback finds its key.
    Raises UsageError where an address cannot be listened on, StoreError where the database cannot be used.
    """
    limits = limits or ConnectionLimits()
    settings = plan.settings
    async with contextlib.AsyncExitStack() as stack:
        # The addresses first: whoever starts a second gateway by mistake learns it before anything was touched.
        sockets = [
            _bound(stack, bind(settings.listen, "listen")),
            _bound(stack, bind(settings.admin_listen, "admin_listen")),
        ]
        kept = await _open_kept(stack, plan, deliver_first_key, store_timeout_s)
        metrics = GatewayMetrics({model.model for model in plan.models})
        scheduler = await stack.enter_async_context(Scheduler(policy=policy_of(plan)))
        backends = await stack.enter_async_context(Backends(plan, scheduler, metrics))
        live, course, authority = LiveRequests(), Course(), Authority(plan)
        management = await stack.enter_async_context(
            Management(
                plan,
                authority,
                backends,
                scheduler,
                audit=Audit(kept.store),
                pull_log=StoredPulls(kept.store),
                events=metrics,
                is_stopping=lambda: course.is_stopping,
            )
        )
        stack.callback(
            backends.on_up(lambda server: management.pull_declared(server, backends.to_pull(server)))
        )
        head = Head(live, scheduler)
        views = QueueViews(
            live,
            scheduler,
            head,
            status=management.status,
            watchers_per_user=settings.limits.streams_per_user,
        )
        fallback = open_fallback(plan, os.environ if environ is None else environ)
        if fallback is not None:
            await stack.enter_async_context(fallback)
        writer = await stack.enter_async_context(TranscriptWriter(kept.store, keep_s=settings.prompts_kept))
        forwarder = Forwarder(
            plan,
            authority,
            scheduler,
            backends,
            kept.books,
            live,
            metrics,
            fallback=fallback,
            transcripts=writer if settings.store_prompts else None,
        )
        administration = await stack.enter_async_context(
            Administration(
                plan,
                store=kept.store,
                administration=kept.administration,
                keyring=kept.keyring,
                books=kept.books,
                authority=authority,
                backends=backends,
                scheduler=scheduler,
                live=live,
                head=head,
                metrics=metrics,
                configuration=configuration,
            )
        )
        front = Front(
            plan,
            kept.keyring,
            {
                **dict.fromkeys((Action.CHAT, Action.GENERATE, Action.EMBED), forwarder),
                **management.handlers(),
                **views.handlers(),
                **administration.handlers(),
            },
            live=live,
            metrics=metrics,
            stored=lambda name: kept.keyring.snapshot.whitelist.get(name, ()),
            count=kept.books.count,
        )
        kept.keyring.on_revoked(lambda key_id: front.interrupt(_revoked(), key_id=key_id))
        endpoint = await _listen(stack, Endpoint(front, sockets[0], limits, tls))
        admin_endpoint = await _listen(stack, Endpoint(administration.application, sockets[1], limits, tls))
        yield Gateway(plan, front, live, course, kept.administration, endpoint, admin_endpoint)


def _revoked() -> Refusal:
    return Refusal(
        Reason.bad_key,
        "The key of this request was revoked.",
        suggestion="Ask an administrator for another one.",
    )


class _Kept(NamedTuple):
    """What is in the database, and those who look after it."""

    store: Store
    keyring: Keyring
    administration: KeyAdministration
    books: Books


async def _open_kept(
    stack: contextlib.AsyncExitStack,
    plan: GatewayPlan,
    deliver_first_key: Callable[[NewKey, Path], None],
    timeout_s: float,
) -> _Kept:
    settings = plan.settings
    store = await stack.enter_async_context(
        await Store.open(settings.database, plan.path.parent, timeout_s=timeout_s)
    )
    # Nobody waits yet, and a machine that has just started is slow.
    store.timeout_s = max(timeout_s, _OPENING_S)
    keyring = Keyring(store, Classes.of(settings.priorities))
    administration = KeyAdministration(store, plan, applied=keyring.refresh)
    await administration.make_first_key(lambda made: deliver_first_key(made, _private_folder(store, plan)))
    await stack.enter_async_context(keyring)
    books = await stack.enter_async_context(Books(store, streams_per_user=settings.limits.streams_per_user))
    store.timeout_s = timeout_s
    return _Kept(store, keyring, administration, books)


def _private_folder(store: Store, plan: GatewayPlan) -> Path:
    """Where the database is, if that is a file; others cannot read there."""
    return (
        Path(store.url.database).parent if is_sqlite(store.url) and store.url.database else plan.path.parent
    )


def policy_of(plan: GatewayPlan) -> Policy:
    """The queue's numbers as the scheduler takes them."""
    queue, priorities = plan.settings.queue, plan.settings.priorities
    return Policy(
        classes=tuple(sorted(set(priorities.values()))),
        ageing_s=queue.ageing if queue.ageing is not None else math.inf,
        reserve=queue.reserve,
        max_waiting=queue.max_waiting,
        max_waiting_per_user=queue.max_waiting_per_user,
        max_wait_s=queue.max_wait,
        lanes=LANES,
    )


def _bound(stack: contextlib.AsyncExitStack, listener: socket.socket) -> socket.socket:
    stack.callback(listener.close)
    return listener


async def _listen(stack: contextlib.AsyncExitStack, endpoint: Endpoint) -> Endpoint:
    stack.push_async_callback(endpoint.aclose)
    await endpoint.start()
    return endpoint
