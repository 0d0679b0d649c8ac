from __future__ import annotations

import json

import pytest

from namel3ss.providers.base import ProviderError
from namel3ss.providers.transport.secrets import Secrets

WRITTEN = "QXZ/\"QXZ\\&<QXZ+'QXZ="


@pytest.mark.parametrize(
    ("headers", "said", "shown"),
    [
        ({"Authorization": "Bearer sk-12345"}, "Bad key sk-12345.", "Bad key ***."),
        ({"Authorization": "Bearer sk-12345"}, "Got Bearer sk-12345.", "Got ***."),
        ({"Authorization": "Bearer sk-12345"}, "Bearer is missing.", "Bearer is missing."),
        ({"X-Team": "team-secret", "X-Key": "team-secret-2"}, "team-secret-2, team-secret", "***, ***"),
        ({"X-Version": "2023-06-01"}, "Use 2023-06-01.", "Use 2023-06-01."),
        ({"X-Short": "yes"}, "yes, it is", "yes, it is"),
        ({}, "nothing to hide", "nothing to hide"),
    ],
)
def test_headers_are_hidden_but_for_their_schemes_and_short_or_public_values(
    headers: dict[str, str], said: str, shown: str
) -> None:
    secrets = Secrets(headers, public={"x-version"})
    error = secrets.hide_in(ProviderError(said, suggestion="Look."))

    assert secrets.hide(said.encode()) == shown.encode()
    assert (error.message, error.args, str(error)) == (shown, (shown,), f"{shown}\n\nSuggestion: Look.")


@pytest.mark.parametrize(
    "said",
    [
        json.dumps(WRITTEN),
        json.dumps(WRITTEN).replace("/", "\\/"),
        json.dumps(WRITTEN).replace("&", "\\u0026").replace("<", "\\u003C"),
        json.dumps(json.dumps(WRITTEN)),
        json.dumps(json.dumps(json.dumps(WRITTEN).replace("&", "\\u0026"))),
        repr({"key": WRITTEN}),
    ],
)
def test_a_secret_is_known_as_json_and_python_write_it(said: str) -> None:
    secrets = Secrets({"Authorization": f"Basic {WRITTEN}"})

    assert WRITTEN not in said
    for hidden in (secrets.hide(said.encode()).decode(), secrets.hide_in_text(said)):
        assert "***" in hidden
        assert set("QXZ").isdisjoint(hidden)


def test_many_backslashes_take_no_longer_than_their_number() -> None:
    said = b"\\" * 200_000

    assert Secrets({"X-Key": "/+/+/+/+"}).hide(said) == said


@pytest.mark.parametrize("length", range(1, 13))
def test_the_beginning_of_a_secret_is_hidden_where_the_rest_was_cut_off(length: int) -> None:
    secrets = Secrets({"Authorization": "Bearer sk-1234567890", "X-Short": "abc"})

    assert secrets.hide_in_beginning(b"Bad key " + b"sk-1234567890"[:length]) == b"Bad key ***"
    assert secrets.hide_in_beginning(b"Bad key Bearer sk-1234567890 for abc") == b"Bad key *** for abc"
