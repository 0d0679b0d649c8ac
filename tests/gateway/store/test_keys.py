"""A key from being made to its end."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import KeyLimits, Principal, Scope
from namel3ss.gateway.store import KeyGrant
from tests.gateway.store.places import database_file, keys_of, opened

if TYPE_CHECKING:
    from pathlib import Path

    from namel3ss.gateway.store import Keyring

ME = "tester"


def refused(keyring: Keyring, token: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        keyring.find(token)
    assert caught.value.reason is Reason.bad_key
    assert token not in str(caught.value) or len(token) < 8
    return caught.value


@pytest.mark.security(13)
async def test_key_is_found_with_everything_that_it_was_given(tmp_path: Path) -> None:
    grant = KeyGrant(
        scopes=frozenset({Scope.USE, Scope.MODELS_WRITE}),
        class_name="coding",
        models=("llama3:*", "coder"),
        networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("::1/128")),
        limits=KeyLimits(requests_per_minute=10, tokens_per_minute=1000, tokens_per_day=5000, streams=2),
        allows_fallback=True,
        allows_cloud=True,
        in_address=True,
        expires_at=time.time() + 3600,
        note="for the build",
    )
    async with keys_of(tmp_path) as (administration, keyring):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", grant, actor=ME)

        assert keyring.find(made.token) == Principal(
            user="alice",
            key_id=made.key.id,
            class_name="coding",
            priority=0,
            scopes=grant.scopes,
            models=grant.models,
            networks=grant.networks,
            limits=grant.limits,
            allows_fallback=True,
            allows_cloud=True,
            in_address=True,
            expires_at=grant.expires_at,
        )
        assert await administration.keys.list() == (made.key,)
        assert made.key.grant == grant


async def test_key_without_a_class_has_the_gateway_s_default_class(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, keyring):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)

        principal = keyring.find(made.token)

    assert (principal.class_name, principal.priority) == ("batch", 9)


@pytest.mark.security(6, 13)
async def test_revoked_rotated_and_disabled_keys_are_refused_at_once(tmp_path: Path) -> None:
    ended: list[str] = []
    async with keys_of(tmp_path) as (administration, keyring):
        keyring.on_revoked(ended.append)
        users, keys = administration.users, administration.keys
        await users.create("alice", actor=ME)
        first = await keys.create("alice", KeyGrant(class_name="chat"), actor=ME)

        second = await keys.rotate(first.key.id, actor=ME)
        refused(keyring, first.token)
        assert keyring.find(second.token).class_name == "chat"
        assert ended == [first.key.id]

        await users.disable("alice", actor=ME)
        assert "user is disabled" in refused(keyring, second.token).message
        await users.enable("alice", actor=ME)
        keyring.find(second.token)
        assert ended == [first.key.id, second.key.id]

        assert (await keys.revoke(second.key.id, actor=ME)).revoked_at is not None
        refused(keyring, second.token)
        assert ended == [first.key.id, second.key.id, second.key.id]
        assert [key.revoked_at is None for key in await keys.list("alice")] == [False, False]


@pytest.mark.security(7, 25)
async def test_secret_of_a_key_is_in_no_file_and_in_no_repr(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, _keyring):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)
        secret = made.token.rpartition("_")[2]

        while_open = b"".join(path.read_bytes() for path in database_file(tmp_path).parent.iterdir())
    at_rest = database_file(tmp_path).read_bytes()

    assert made.key.id.encode() in at_rest
    assert secret.encode() not in while_open + at_rest
    assert secret[:12].encode() not in while_open + at_rest
    assert secret not in repr(made)


async def test_keys_outlive_the_process(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, _):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)

    async with keys_of(tmp_path) as (_, keyring):
        assert keyring.find(made.token).user == "alice"


async def test_second_opening_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    before = database_file(tmp_path).read_bytes()
    async with opened(tmp_path):
        pass

    assert database_file(tmp_path).read_bytes() == before
