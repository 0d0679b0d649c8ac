from __future__ import annotations

import pytest

from namel3ss.providers.base import ProviderError
from namel3ss.providers.transport.secrets import Secrets


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
