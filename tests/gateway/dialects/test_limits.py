"""What is beyond a limit is refused, and the refusal names it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namel3ss.declarations.gateway_settings import LimitSettings
from namel3ss.gateway.dialects import check_limits, read_request
from namel3ss.gateway.dialects.limits import MAX_IMAGES, MAX_MESSAGES, MAX_OPTIONS
from namel3ss.gateway.errors import Refusal
from tests.gateway.dialects.routes import post

LIMITS = LimitSettings(num_ctx=4096, num_predict=100, keep_alive=3600.0)
NONE = LimitSettings(num_ctx=None, num_predict=None, keep_alive=None)


def check(
    body: dict[str, Any], path: str = "/api/generate", limits: LimitSettings = LIMITS, **known: Any
) -> None:
    request = read_request(post(path), json.dumps({"model": "m", "prompt": "x"} | body).encode())
    check_limits(request, limits, **known)


def refusal_of(body: dict[str, Any], path: str = "/api/generate", **known: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check(body, path, **known)
    return caught.value


@pytest.mark.security(27)
@pytest.mark.parametrize("value", [1, 4095, 4096, 0, None, 4096.0, "many"])
def test_window_within_the_limit_passes_and_so_does_what_the_server_refuses(value: object) -> None:
    check({"options": {"num_ctx": value}})


@pytest.mark.security(27)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"options": {"num_ctx": 4097}}, "`num_ctx` is 4097, and the limit of this gateway is 4096 tokens."),
        ({"options": {"num_ctx": 4096.5}}, "`num_ctx` is 4096.5, "),
        (
            {"options": {"num_predict": 101}},
            "`num_predict` is 101, and the limit of this gateway is 100 tokens.",
        ),
        ({"options": {"num_predict": -1}}, "`num_predict` is -1, "),
        ({"options": {"num_predict": -2}}, "`num_predict` is -2, "),
        ({"keep_alive": 3601}, "`keep_alive` is 3601, and the limit of this gateway is 3600 seconds."),
        ({"keep_alive": -1}, "`keep_alive` is -1, "),
        ({"keep_alive": "61m"}, '`keep_alive` is "61m", '),
        ({"keep_alive": "-1s"}, '`keep_alive` is "-1s", '),
        (
            {"options": {"num_gpu": 99}},
            "`num_gpu` is 99, and the limit of this gateway is the model's own value.",
        ),
        ({"options": {"use_mmap": False}}, "`use_mmap` is false, "),
        ({"options": {"num_thread": 4}}, "`num_thread` is 4, "),
        ({"options": {"main_gpu": 1}}, "`main_gpu` is 1, "),
        ({"options": {"num_batch": 64}}, "`num_batch` is 64, "),
    ],
)
def test_more_than_the_limit_is_refused_naming_option_value_and_limit(
    body: dict[str, Any], words: str
) -> None:
    refusal = refusal_of(body)
    assert (refusal.status, refusal.reason.name) == (400, "over_limit")
    assert refusal.message.startswith(words)


@pytest.mark.security(27)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/chat/completions", "max_completion_tokens"),
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/v1/messages", "max_tokens"),
    ],
)
def test_longest_answer_is_limited_in_every_protocol(path: str, name: str) -> None:
    check({name: 100, "input": "x"}, path)
    assert refusal_of({name: 101, "input": "x"}, path).message.startswith(f"`{name}` is 101, ")


def test_number_beyond_all_numbers_is_beyond_the_limit() -> None:
    body = b'{"model":"m","prompt":"x","options":{"num_ctx":1e999}}'
    with pytest.raises(Refusal, match="`num_ctx` is inf"):
        check_limits(read_request(post("/api/generate"), body), LIMITS)


def test_keep_alive_may_reach_the_limit() -> None:
    for value in (3600, "1h", 0, None, "nonsense"):
        check({"keep_alive": value})


def test_without_limits_everything_may_be_asked_for() -> None:
    check({"options": {"num_ctx": 10**9, "num_predict": -1}, "keep_alive": -1}, limits=NONE)


def test_what_the_declaration_says_may_be_said_again_and_operators_may_say_more() -> None:
    check(
        {"options": {"num_gpu": 20, "draft_num_predict": 3}},
        declared={"num_gpu": 20, "options": {"draft_num_predict": 3}},
    )
    check({"options": {"num_gpu": 99}}, is_operator=True)
    assert "the declared 20" in refusal_of({"options": {"num_gpu": 99}}, declared={"num_gpu": 20}).message
    assert refusal_of({"options": {"num_ctx": 4097}}, is_operator=True).status == 400


def test_loading_and_unloading_take_an_operator() -> None:
    for body in ({"prompt": ""}, {"prompt": "", "keep_alive": 0}):
        refusal = refusal_of(body)
        assert (refusal.status, refusal.reason.name) == (403, "forbidden")
        assert "`operator`" in str(refusal)
        check(body, is_operator=True)


@pytest.mark.security(27)
@pytest.mark.fault(53)
def test_messages_images_and_options_have_limits_at_which_they_pass_and_beyond_which_they_do_not() -> None:
    message = {"role": "user", "content": ""}
    check({"messages": [message] * MAX_MESSAGES}, "/api/chat")
    assert (
        f"{MAX_MESSAGES + 1} messages"
        in refusal_of({"messages": [message] * (MAX_MESSAGES + 1)}, "/api/chat").message
    )
    check({"images": [""] * MAX_IMAGES})
    assert f"{MAX_IMAGES + 1} images" in refusal_of({"images": [""] * (MAX_IMAGES + 1)}).message
    options = {f"o{number}": 1 for number in range(MAX_OPTIONS + 1)}
    assert f"{MAX_OPTIONS + 1} options" in refusal_of({"options": options}).message
    check({"options": dict(list(options.items())[1:])})
