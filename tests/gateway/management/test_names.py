"""Nobody has a server connect to a place of their choice by the name of a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.names import check_digest, check_pullable, registry_name

pytestmark = pytest.mark.security(36)

ALLOW = ["llama3:*", "qwen2.5:*", "team/*", "phi4"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("llama3", "llama3:latest"),
        ("llama3:8b", "llama3:8b"),
        ("LLAMA3:8B", "LLAMA3:8B"),
        ("qwen2.5:0.5b-instruct_q4", "qwen2.5:0.5b-instruct_q4"),
        ("team/coder", "team/coder:latest"),
        ("library/llama3:8b", "llama3:8b"),
        ("phi4", "phi4:latest"),
    ],
)
def test_an_allowed_name_is_asked_for_in_its_usual_form(name: str, asked: str):
    assert check_pullable(name, ALLOW) == asked


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "registry.ollama.ai/library/llama3",
        "evil.example/library/llama3",
        "evil.example/llama3",
        "localhost:5000/library/llama3",
        "127.0.0.1:11434/library/llama3:8b",
        "[::1]/library/llama3",
        "http://evil.example/library/llama3",
        "https://evil.example/llama3",
        "file:///etc/passwd",
        "hf.co/owner/llama3",
        "huggingface.co/owner/llama3:Q4",
        "llama3@sha256:" + "0" * 64,
        "user@evil.example/library/llama3",
        "../llama3",
        "llama3/..",
        "llama3:..",
        "llama3..8b",
        "llama3:8b/../../x",
        "a/b/c/llama3",
        "/llama3",
        "llama3/",
        "llama3:",
        ":8b",
        "team//llama3",
        " llama3",
        "llama3 ",
        "llama3:8b\n",
        "llama3\t:8b",
        "llama3\x00",
        "llama3\u200b",
        "\uff4c\uff4c\uff41\uff4d\uff413",
        "llama3:8b:cloud",
        "llama3:8b:local",
        "llama3:local",
        "llama3:LOCAL",
        "llama3%2f8b",
        "llama3\\8b",
        "llama3?x=1",
        "llama3#x",
        "-llama3",
        ".llama3",
        "l" * 81,
    ],
)
def test_any_other_spelling_is_refused(name: str):
    with pytest.raises(Refusal) as caught:
        check_pullable(name, ["*"])

    assert caught.value.reason is Reason.bad_request
    assert caught.value.message.startswith("invalid model name: ")


@pytest.mark.parametrize("name", ["llama3:cloud", "llama3:CLOUD", "gpt-oss:120b-cloud"])
def test_a_model_that_runs_elsewhere_is_refused_unless_the_file_allows_those(name: str):
    with pytest.raises(Refusal) as caught:
        check_pullable(name, ["*"])

    assert caught.value.reason is Reason.cloud_model
    assert check_pullable(name, ["*"], cloud_models=True)


@pytest.mark.parametrize(
    "name", ["llama3.1:8b", "evil/llama3:8b", "mistral", "teams/x", "phi4:14b", "xllama3:8b"]
)
def test_a_name_that_no_pattern_covers_is_refused(name: str):
    with pytest.raises(Refusal) as caught:
        check_pullable(name, ALLOW)

    assert caught.value.reason is Reason.model_not_allowed
    assert caught.value.status == 403


def test_without_patterns_nothing_may_be_pulled():
    with pytest.raises(Refusal) as caught:
        check_pullable("llama3:8b", [])

    assert caught.value.reason is Reason.model_not_allowed


def independently_valid(name: str) -> bool:
    """`[namespace/]model[:tag]`, read letter by letter and part by part."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

    def fits(part: str, more: str) -> bool:
        return 1 <= len(part) <= 80 and part[0] in letters and all(each in letters + more for each in part)

    head, colon, tag = name.partition(":")
    if colon and not fits(tag, "-."):
        return False
    namespace, slash, model = head.rpartition("/")
    if slash and not fits(namespace, "-"):
        return False
    if not fits(model, "-.") or any(name[place : place + 2] == ".." for place in range(len(name))):
        return False
    return tag.lower() not in ("local", "cloud") and not tag.lower().endswith("-cloud")


PIECES = st.sampled_from(
    [*"ab3_-.:/@ \\\n%", "..", "://", "http", "hf.co", "local", "cloud", "-cloud", "llama3", "\u212a", "é"]
)


@given(st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=12)))
@example("K\u212a")
@example("llama3:8b\n")
def test_the_grammar_agrees_with_an_independent_parser(name: str):
    try:
        parsed = registry_name(name)
    except Refusal:
        assert not independently_valid(name)
    else:
        assert independently_valid(name)
        assert parsed.host == "registry.ollama.ai"
        # What a server is asked for holds no place where another host could stand.
        assert re.fullmatch(r"(?:[\w-]+/)?[\w.-]+:[\w.-]+", str(parsed), re.ASCII)
        assert ".." not in str(parsed)


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:" + "0123456789abcdef" * 4])
def test_a_digest_is_its_own_path(digest: str):
    assert check_digest(digest) == digest


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:xyz",
        "sha256-" + "0" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha512:" + "0" * 64,
        "sha256:" + "0" * 64 + "\n",
        "sha256:../../../../etc/passwd",
        "..",
    ],
)
def test_anything_else_is_no_digest(digest: str):
    with pytest.raises(Refusal, match="invalid digest format"):
        check_digest(digest)
