"""Keys as text: hard to guess, easy to tell apart, known by their hash alone."""

from __future__ import annotations

import inspect
import json
import math
import re
import time
from base64 import urlsafe_b64encode
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store import KeyGrant, Keyring
from namel3ss.gateway.store.holders import describe_unknown, nobody
from namel3ss.gateway.store.tokens import digest_of, has_checksum, make_token, public_id
from tests.gateway.store.places import keys_of

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = re.compile(r"n3k_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
ME = "tester"


def encoded(part: object) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def signed_tokens() -> list[str]:
    """JSON Web Tokens as they are used against gateways: signed, unsigned, with foreign keys named."""
    claims = encoded({"sub": "admin", "scope": "admin", "exp": time.time() + 3600})
    headers = [
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "RS256", "kid": "../../dev/null"},
        {"alg": "RS256", "kid": "' OR 1=1 --"},
        {"alg": "RS256", "jku": "http://127.0.0.1:1/keys"},
    ]
    return [f"{encoded(header)}.{claims}.{end}" for header in headers for end in ("", "c2lnbmVk")]


@pytest.mark.security(7)
def test_keys_have_256_random_bits_and_a_checksum() -> None:
    tokens = [make_token("n3k").text for _ in range(500)]

    secrets = []
    for token in tokens:
        found = TOKEN.fullmatch(token)
        assert found is not None
        assert has_checksum(token)
        secrets.append(found[2])
    assert len(set(secrets)) == len(tokens)
    assert 62**43 > 2**256
    # Letters of the secret are spread as chance spreads them; the first holds less than the others.
    counts = Counter("".join(secret[1:] for secret in secrets))
    expected = len(tokens) * 42 / 62
    assert all(abs(counts[letter] - expected) < 8 * math.sqrt(expected) for letter in counts)
    assert len(counts) == 62


@pytest.mark.security(7)
@given(st.integers(0, 61), st.characters(codec="utf-8"))
def test_one_wrong_letter_is_noticed(place: int, letter: str) -> None:
    token = make_token("n3k").text
    changed = token[:place] + letter + token[place + 1 :]

    assert has_checksum(changed) is (changed == token)


@pytest.mark.security(7)
@given(st.text())
def test_what_is_no_key_is_told_from_one_that_nobody_knows(text: str) -> None:
    refusal = describe_unknown(text)

    assert refusal.reason is Reason.bad_key
    assert "not known" not in refusal.message
    assert not has_checksum(text)


def test_key_with_a_mistake_an_unknown_key_and_a_session_are_told_apart() -> None:
    key, session = make_token("n3k"), make_token("n3s")

    assert "typing mistake" in describe_unknown(key.text[:-1]).message
    assert (
        "typing mistake" in describe_unknown(key.text.swapcase()[:4].lower() + key.text[4:-1] + "?").message
    )
    assert f"The key {key.id} is not known" in describe_unknown(key.text).message
    assert "session has ended" in describe_unknown(session.text).message
    assert public_id(key.text) == key.id
    for token in (key, session):
        assert token.text not in str(describe_unknown(token.text))
        assert token.text not in repr(token)


@pytest.mark.security(12)
@pytest.mark.parametrize("token", signed_tokens())
async def test_json_web_tokens_are_refused(tmp_path: Path, token: str) -> None:
    async with keys_of(tmp_path) as (_, keyring):
        with pytest.raises(Refusal, match="JSON Web Token") as caught:
            keyring.find(token)

    assert caught.value.reason is Reason.bad_key


@pytest.mark.security(10)
async def test_tokens_that_begin_alike_are_never_taken_for_each_other(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, keyring):
        for name in ("alice", "bob"):
            await administration.users.create(name, actor=ME)
        key = (await administration.keys.create("alice", KeyGrant(), actor=ME)).token
        await administration.keys.create("bob", KeyGrant(), actor=ME)

        assert keyring.find(key).user == "alice"
        lookalikes = [key[:-1], key[:-1] + ("a" if key[-1] != "a" else "b"), key + "a", key + key, key[:40]]
        # The same first 64 characters, and more of them.
        lookalikes += [key + "abcdefgh", key + "abcdefgi", key + "\0", f"{key} ", f" {key}"]
        for lookalike in lookalikes:
            with pytest.raises(Refusal):
                keyring.find(lookalike)
        assert keyring.find(key).user == "alice"
    assert len({digest_of(text) for text in (key, *lookalikes)}) == 1 + len(lookalikes)


@pytest.mark.security(10)
async def test_nothing_is_remembered_of_tokens_that_are_unknown(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (_, keyring):
        before = sizes(keyring)
        for number in range(2000):
            with pytest.raises(Refusal):
                keyring.find(f"n3k_{number:060d}")

        assert sizes(keyring) == before


def sizes(keyring: Keyring) -> dict[str, int]:
    return {name: len(value) for name, value in vars(keyring).items() if hasattr(value, "__len__")}


@pytest.mark.security(9)
def test_known_and_unknown_keys_go_through_the_same_comparison() -> None:
    """No time is measured: on a busy machine it would say nothing of microseconds."""
    code = inspect.getsource(Keyring.find)

    # An unknown key is compared with nobody's, of the same length, before anything is decided.
    assert "self._holders.get(digest, self._nobody)" in code
    assert code.count("hmac.compare_digest(holder.digest, digest)") == 1
    assert code.index("hmac.compare_digest") < code.index("if ")
    assert len(nobody().digest) == len(digest_of("n3k_")) == 32
