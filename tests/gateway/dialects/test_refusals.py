"""Refusals have the shape of the protocol that was called; words of servers lose what is nobody's business."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from namel3ss.gateway.dialects import clean_error, clean_words, error_body, error_content_type
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import JSON_TYPE
from namel3ss.gateway.routes import Dialect
from tests.contract.recordings import all_recordings

SHAPES = {
    Reason.bad_request: ("invalid_request_error", "invalid_request_error"),
    Reason.bad_key: ("authentication_error", "authentication_error"),
    Reason.forbidden: ("permission_error", "permission_error"),
    Reason.model_not_found: ("not_found_error", "not_found_error"),
    Reason.body_too_large: ("invalid_request_error", "request_too_large"),
    Reason.rate_limited: ("rate_limit_error", "rate_limit_error"),
    Reason.internal: ("api_error", "api_error"),
    Reason.queue_full: ("api_error", "overloaded_error"),
    Reason.upstream_timeout: ("api_error", "api_error"),
}


@pytest.mark.parametrize("reason", SHAPES)
def test_refusal_has_the_shape_of_its_protocol(reason: Reason) -> None:
    refusal = Refusal(reason, "It is <so>.", suggestion="Do that & this.")
    words = "It is <so>. Do that & this."
    openai, anthropic = SHAPES[reason]

    bodies = [json.loads(error_body(dialect, refusal, "id")) for dialect in Dialect]

    assert bodies == [
        {"error": words},
        {"error": {"message": words, "type": openai, "param": None, "code": None}},
        {"type": "error", "error": {"type": anthropic, "message": words}, "request_id": "id"},
    ]
    assert b"<" not in error_body(Dialect.OLLAMA, refusal, "id")


def test_half_a_character_in_a_name_does_not_break_the_refusal() -> None:
    refusal = Refusal(Reason.model_not_found, "model 'a\ud800b\u00e9' not found")
    assert json.loads(error_body(Dialect.OLLAMA, refusal, "id")) == {"error": "model 'a?b\u00e9' not found"}


def test_advice_after_words_of_ollamas_is_a_sentence_of_its_own() -> None:
    refusal = Refusal(Reason.model_not_found, "model 'a' not found", suggestion="Ask for it.")
    assert json.loads(error_body(Dialect.OLLAMA, refusal, "id")) == {
        "error": "model 'a' not found. Ask for it."
    }


@pytest.mark.parametrize("name", ["chat/not-found", "openai/chat-not-found", "anthropic/not-found"])
def test_missing_model_is_told_byte_for_byte_as_the_server_tells_it(name: str) -> None:
    [each] = [each for each in all_recordings() if each.name == f"ollama-0.24.0/{name}"]
    dialect = {"chat": Dialect.OLLAMA, "openai": Dialect.OPENAI, "anthropic": Dialect.ANTHROPIC}[each.group]
    refusal = Refusal(Reason.model_not_found, "model 'nope' not found")

    body = error_body(dialect, refusal, "req_f13a1aff4c1c776aa25205b9")

    assert body.decode() == each.response["body"]
    kind = dict(each.response["headers"])["Content-Type"]
    assert error_content_type(dialect, refusal).decode() == kind


def test_body_that_could_not_be_read_is_refused_in_ollamas_own_type() -> None:
    refusal = Refusal(Reason.bad_request, "unexpected EOF")
    assert {error_content_type(dialect, refusal) for dialect in Dialect} == {JSON_TYPE}


# -- cleaning -------------------------------------------------------------------------------------------------

CANARIES = {
    "open /root/.ollama/models/blobs/sha256-ab12: no such file": "open (path): no such file",
    "stat /usr/share/ollama: permission denied": "stat (path): permission denied",
    "read ~/.ollama/id_ed25519 failed": "read (path) failed",
    "lost ../../etc/passwd": "lost (path)",
    r"open C:\Users\Ann Lee\.ollama\models: gone": "open (path): gone",
    'Post "http://127.0.0.1:35213/completion": EOF': 'Post "(address)": EOF',
    "fetch https://ann:pw@models.internal/x?token=1 failed": "fetch (address) failed",
    "dial tcp 10.0.0.5:11434: connect: connection refused": "dial tcp (address): connect: connection refused",
    "dial tcp [::1]:11434: refused": "dial tcp (address): refused",
    "dial tcp: lookup gpu1 on 10.0.0.2:53: no such host": "dial tcp: lookup (address) on (address): no such host",
    "listen localhost:11434 in use": "listen (address) in use",
    "no route to gpu1.internal:11434.": "no route to (address).",
    "from 192.168.1.20": "from (address)",
    "fe80 is [fe80::1%25eth0] here": "fe80 is (address) here",
    "sent Bearer abc.def-123, refused": "sent (key), refused",
    "key sk-ant-0123456789abcdef is bad": "key (key) is bad",
    "checked: /usr/bin/llama-server, /opt/x).": "checked: (path), (path)).",
    "failed:\n/root/x\nfor good": "failed:\n(path)\nfor good",
    "failed:\ngpu1.internal:11434\tsk-ant-0123456789abcdef\rC:\\temp": "failed:\n(address)\t(key)\r(path)",
    "panic: oops\n\ngoroutine 7 [running]:\nmain.run(0x1)\n\t/src/main.go:9": "panic: oops\n\n(trace)",
}


@pytest.mark.security(22)
@pytest.mark.parametrize("words", CANARIES)
def test_paths_addresses_keys_and_traces_are_taken_out_of_errors(words: str) -> None:
    assert clean_words(words) == CANARIES[words]
    body = json.dumps({"error": words}).encode()
    assert json.loads(clean_error(body)) == {"error": CANARIES[words]}


ERRORS = sorted(
    {
        each.response["body"]
        for each in all_recordings()
        if each.response["status"] >= 400
        and each.request["path"].startswith(("/api/", "/v1/"))
        and each.response.get("body")
        if each.version == "0.24.0"
        and each.group in {"generate", "chat", "embed", "openai", "anthropic", "overflow", "died", "busy"}
    }
)


@pytest.mark.parametrize("body", ERRORS)
def test_recorded_errors_of_inference_stay_as_they_are(body: str) -> None:
    assert clean_error(body.encode()) == body.encode()


@pytest.mark.parametrize(
    "words",
    [
        "registry.ollama.ai/library/tiny:latest does not support tools",
        "model 'hf.co/bartowski/x-GGUF:Q4_K_M' not found",
        "model 'qwen2.5:14' not found, and llama3.1:70 neither",
        "version 0.24.0 and/or 0.33.0-rc2, 50/50 w/o",
        "</think> is missing at 12:30",
        "this needs 3.5 GiB / 8 GiB",
    ],
)
def test_words_that_only_look_like_it_stay(words: str) -> None:
    assert clean_words(words) == words


@given(st.text(max_size=200))
@example('C:"')
@example("\r:\x1f")
@example("\ngpu.internal:11434")
@example("\nhttp://gpu1/")
@example("\n3-0123456789abcdef")
def test_json_stays_json(words: str) -> None:
    for text in (json.dumps({"error": words}), json.dumps({"error": words}, ensure_ascii=False)):
        json.loads(clean_error(text.encode("utf-8", "replace")))


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "/a",
        "./",
        "C:\\",
        "C:\\a",
        "goroutine 1 [",
        "[::",
        "1.1.1.",
        "a-",
        "lookup ",
        "http://",
        "bearer ",
        "~",
    ],
)
def test_words_without_end_are_cleaned_in_no_time_at_all(piece: str) -> None:
    """With a time that grew with the square of their length this would take minutes."""
    clean_words(piece * 100_000)
