"""The first administrator's key is seen by whoever starts the gateway, and by nobody else."""

from __future__ import annotations

import io
import stat
import traceback
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store import KeyAdministration, KeyGrant, StoreError, hand_over
from namel3ss.gateway.store.keys import insert_key, new_key
from tests.gateway.plans import plan_with
from tests.gateway.store.places import keys_of, opened

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection

pytestmark = pytest.mark.security(31)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_the_key_once(tmp_path: Path) -> None:
    made, terminal = new_key("admin", KeyGrant(), 0.0), Terminal()

    hand_over(made, terminal, tmp_path)

    assert terminal.getvalue().count(made.token) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.security(45)
def test_what_is_no_terminal_never_sees_the_key_but_where_it_is(tmp_path: Path) -> None:
    made, log = new_key("admin", KeyGrant(), 0.0), io.StringIO()

    hand_over(made, log, tmp_path)

    (file,) = tmp_path.iterdir()
    assert file.read_text() == made.token + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in log.getvalue()
    assert made.token.rpartition("_")[2] not in log.getvalue()


def test_key_that_cannot_be_written_anywhere_is_an_error(tmp_path: Path) -> None:
    made = new_key("admin", KeyGrant(), 0.0)
    (tmp_path / f"administrator-{made.key.id}.key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError, match="could not be written") as caught:
        hand_over(made, io.StringIO(), tmp_path)
    assert made.token not in str(caught.value)
    assert not (tmp_path / "elsewhere").exists()


async def test_store_that_has_an_administrator_gets_no_other(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, _):
        await administration.users.create("root", actor="tester")
        grant = KeyGrant(scopes=frozenset({Scope.ADMIN}))
        await administration.keys.create("root", grant, actor="tester")

        assert not await administration.make_first_key(lambda _: None)
        assert len(await administration.keys.list()) == 1


async def test_first_administrator_that_is_removed_does_not_come_back(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, _):
        assert await administration.make_first_key(lambda _: None)
        await administration.users.remove("admin", actor="tester")

        assert not await administration.make_first_key(lambda _: None)
        assert await administration.keys.list() == ()


@pytest.mark.parametrize(
    ("whitelisted", "expected"),
    [
        ("", None),
        ("coding", None),
        ("batch", "chat"),
        ("batch, chat", "coding"),
        ("batch, chat, coding", None),
    ],
)
async def test_first_key_has_a_class_that_works_from_anywhere(
    tmp_path: Path, whitelisted: str, expected: str | None
) -> None:
    entries = " ".join(f'{name}: ["10.1.0.0/16"]' for name in whitelisted.split(", ") if name)
    plan = plan_with(f"priorities: {{ coding: 0 chat: 5 batch: 9 }} whitelist: {{ {entries} }}")
    async with opened(tmp_path) as store:
        administration = KeyAdministration(store, plan)
        assert await administration.make_first_key(lambda _: None)
        [key], [user] = await administration.keys.list(), await administration.users.list()

    assert (key.grant.class_name, user.class_name) == (expected, expected)


@pytest.mark.security(25)
async def test_failure_of_the_database_tells_no_value_in_its_traceback(tmp_path: Path) -> None:
    made = new_key("nobody-canary", KeyGrant(note="note-canary"), 0.0)

    def insert(connection: Connection) -> None:
        insert_key(connection, made)

    async with opened(tmp_path) as store:
        with pytest.raises(Refusal) as caught:
            await store.write(insert)

    told = "".join(traceback.format_exception(caught.value))
    assert "FOREIGN KEY" in told
    assert made.token not in told
    assert "canary" not in told
