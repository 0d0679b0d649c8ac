"""What may be answered from memory, and what makes two requests the same."""

from __future__ import annotations

from typing import Any

import pytest

from namel3ss.caching import cache_key, is_deterministic


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/api/chat", {"options": {"temperature": 0}}, True),
        ("/api/chat", {"options": {"temperature": 0.0}}, True),
        ("/api/generate", {"options": {"temperature": 0.7, "seed": 7}}, True),
        ("/api/chat", {"options": {"seed": 0}}, True),
        ("/api/chat", {"options": {"seed": -1}}, False),
        ("/api/chat", {"options": {"temperature": 0, "seed": -1}}, True),
        ("/api/chat", {"options": {"temperature": 0.01}}, False),
        ("/api/chat", {"options": {"temperature": False}}, False),
        ("/api/chat", {"options": {"temperature": "0"}}, False),
        ("/api/chat", {"options": {"seed": True}}, False),
        ("/api/chat", {"temperature": 0}, False),
        ("/api/chat", {"options": None}, False),
        ("/api/chat", {}, False),
        ("/v1/chat/completions", {"temperature": 0}, True),
        ("/v1/chat/completions", {"seed": 3}, True),
        ("/v1/messages", {"options": {"temperature": 0}}, False),
        ("/api/embed", {"input": "x"}, True),
        ("/v1/embeddings", {"input": "x"}, True),
    ],
)
def test_only_an_embedding_temperature_zero_or_a_seed_makes_a_request_deterministic(
    path: str, body: dict[str, Any], expected: bool
) -> None:
    assert is_deterministic(path, body) is expected


def test_key_changes_with_the_caller_the_digest_the_path_and_every_byte_of_the_body() -> None:
    base = {"digest": "sha256:1", "caller": "ada"}
    keys = [
        cache_key("/api/chat", b"{}", **base),
        cache_key("/api/chat", b"{ }", **base),
        cache_key("/api/generate", b"{}", **base),
        cache_key("/api/chat", b"{}", digest="sha256:2", caller="ada"),
        cache_key("/api/chat", b"{}", digest="sha256:1", caller="bo"),
        cache_key("/api/chat", b"{}", digest="sha256:1", caller=""),
        cache_key("/api/chat", b"{}", digest="sha256:1", caller=None),
        cache_key("/api/chat", b"{}", digest="sha256:1", caller="\udcff"),
    ]

    assert len(set(keys)) == len(keys)
    assert keys[0] == cache_key("/api/chat", b"{}", **base)


def test_caller_whose_name_looks_like_another_part_shares_nothing() -> None:
    keys = {
        cache_key("/api/chat", b"x", digest="d", caller=caller)
        for caller in ("shared", None, "of shared", "d")
    }

    assert len(keys) == 4
