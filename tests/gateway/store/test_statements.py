"""Whatever callers write reaches the database as a value, and never as a part of a statement."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import ipaddress
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import namel3ss.gateway
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.store import Audit, Books, KeyAdministration, KeyGrant, Keyring, Store
from namel3ss.gateway.store.sessions import stored_password
from tests.gateway.store.events import NOON, event
from tests.gateway.store.places import CLASSES, opened
from tests.support.clock import ManualClock

pytestmark = pytest.mark.security(11)

_EXECUTING: Final = {
    "execute",
    "exec_driver_sql",
    "executemany",
    "executescript",
    "text",
    "scalar",
    "scalars",
}
EnteredT = TypeVar("EnteredT")

_BITES: Final = ("'", '"', "';--", "\\", "%s", "%(x)s", ":x", "?", "\0", "\udcff", "') OR 1=1 --", "💥")

texts = st.one_of(
    st.sampled_from(_BITES), st.text(), st.tuples(st.text(), st.sampled_from(_BITES)).map("".join)
)


def statements() -> list[tuple[Path, ast.expr]]:
    """What the gateway's modules hand to anything that runs SQL."""
    found = []
    for path in Path(namel3ss.gateway.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                function = node.func
                name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                if name in _EXECUTING:
                    found.append((path, node.args[0]))
    return found


def is_put_together(node: ast.expr) -> bool:
    """Whether a text is made of pieces: an f-string with a hole, a sum, a % or a format()."""
    return any(
        isinstance(each, ast.FormattedValue | ast.BinOp)
        or (isinstance(each, ast.Attribute) and each.attr in ("format", "join", "replace"))
        for each in ast.walk(node)
    ) and not isinstance(node, ast.Call | ast.Name | ast.Attribute)


def test_no_statement_is_put_together_from_pieces() -> None:
    allowed = {("engine.py", "f'PRAGMA {pragma}'")}  # of three words that stand beside it

    found = {(path.name, ast.unparse(node)) for path, node in statements() if is_put_together(node)}

    assert found <= allowed
    assert len(statements()) > 30


async def _ask(store: Store, keyring: Keyring, books: Books, text: str) -> None:
    """Write and look for a text in every place where callers may have one."""
    administration = KeyAdministration(store, applied=keyring.refresh, clock=ManualClock(NOON))
    users, keys, whitelist = administration.users, administration.keys, administration.whitelist
    day, network = date(2026, 11, 21), ipaddress.ip_network("10.0.0.0/8")
    for call in (
        lambda: users.create(text, actor=text),
        lambda: users.disable(text, actor=text),
        lambda: users.remove(text, actor=text),
        lambda: keys.create(text, KeyGrant(note=text, models=(text,)), actor=text),
        lambda: keys.create("alice", KeyGrant(note=text), actor=text),
        lambda: keys.create("alice", KeyGrant(models=(text,)), actor=text),
        lambda: keys.list(text),
        lambda: keys.revoke(text, actor=text),
        lambda: keys.rotate(text, actor=text),
        lambda: store.read(lambda connection: stored_password(connection, text)),
        lambda: administration.sessions.close(text),
        lambda: administration.sessions.end(text),
        lambda: whitelist.add(text, network, actor=text, note=text),
        lambda: whitelist.remove(text, network, actor=text),
        lambda: administration.servers.add(text, text, actor=text),
        lambda: administration.servers.add("gpu", f"http://{text}", actor=text),
        lambda: administration.servers.remove(text, actor=text),
        lambda: Audit(store).record(text, text, text, {text: text}),
        lambda: books.usage(since=day, until=day, by=("user",), only={"user": text, "model": text}),
    ):
        with contextlib.suppress(Refusal):
            await call()
    with contextlib.suppress(Refusal):
        keyring.find(text)
    books.record(event(user=text, key_id=text, class_name=text, model=text, server=text))
    await books.flush()


def test_any_text_is_a_value_like_any_other(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:

        def enter(manager: contextlib.AbstractAsyncContextManager[EnteredT]) -> EnteredT:
            stack.callback(lambda: runner.run(manager.__aexit__(None, None, None)))
            return runner.run(manager.__aenter__())

        store = enter(opened(tmp_path))
        keyring = enter(Keyring(store, CLASSES))
        books = enter(Books(store, streams_per_user=1, wall_clock=clock))
        administration = KeyAdministration(store, applied=keyring.refresh)
        runner.run(administration.users.create("alice", actor="tester"))
        known = runner.run(administration.keys.create("alice", KeyGrant(note="kept"), actor="tester"))

        @settings(max_examples=8)
        @given(texts)
        def holds(text: str) -> None:
            runner.run(_ask(store, keyring, books, text))
            assert keyring.find(known.token).user == "alice"

        for text in _BITES:
            runner.run(_ask(store, keyring, books, text))
        holds()
        assert known.key in runner.run(administration.keys.list())
        assert "alice" in [user.name for user in runner.run(administration.users.list())]
