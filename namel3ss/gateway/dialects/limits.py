"""What one request may ask for. What is more is refused and named; nothing is ever changed silently."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.gateway_settings import LimitSettings
    from namel3ss.gateway.dialects.requests import InferenceRequest

__all__ = ["MAX_IMAGES", "MAX_MESSAGES", "MAX_OPTIONS", "check_limits"]

MAX_MESSAGES: Final = 10_000
MAX_IMAGES: Final = 100
MAX_OPTIONS: Final = 100

# Each other value of one of these makes the server load the model anew, for everybody.
_LOADER_OPTIONS: Final = ("num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
_SHOWN: Final = 40


def check_limits(
    request: InferenceRequest,
    limits: LimitSettings,
    *,
    is_operator: bool = False,
    declared: Mapping[str, Any] | None = None,
) -> None:
    """Raises Refusal, which names the option, its value and the limit.

    How a model is loaded may be chosen by operators; others may say what its declaration, `declared`, says as well. To
    load or unload a model without asking it anything takes an operator too.
    """
    if request.is_load and not is_operator:
        raise Refusal(
            Reason.forbidden,
            "The request has nothing for the model to read, so it would only load or unload it.",
            suggestion="Send a prompt, or use a key with the scope `operator`.",
        )
    if request.options:
        _check_options(request.options, limits, is_operator=is_operator, declared=declared or {})
    if limits.num_predict is not None and request.max_tokens is not None:
        # A negative number asks for an answer without end.
        wanted = request.max_tokens if request.max_tokens >= 0 else math.inf
        if wanted > limits.num_predict:
            _refuse(request.max_tokens_name, request.max_tokens, f"{limits.num_predict} tokens")
    if limits.keep_alive is not None and (request.keep_alive_s or 0) > limits.keep_alive:
        shown = bytes(request.members["keep_alive"]).decode("utf-8", "replace")
        _refuse("keep_alive", shown, f"{limits.keep_alive:g} seconds")
    for what, count, most in (
        ("messages", request.message_count, MAX_MESSAGES),
        ("images", request.image_count, MAX_IMAGES),
        ("options", len(request.options), MAX_OPTIONS),
    ):
        if count > most:
            raise Refusal(
                Reason.over_limit, f"The request has {count} {what}, and the limit of this gateway is {most}."
            )


def _check_options(
    options: Mapping[str, object], limits: LimitSettings, *, is_operator: bool, declared: Mapping[str, Any]
) -> None:
    window = options.get("num_ctx")
    if limits.num_ctx is not None and isinstance(window, int | float) and window > limits.num_ctx:
        _refuse("num_ctx", window, f"{limits.num_ctx} tokens")
    if is_operator:
        return
    for name in _LOADER_OPTIONS:
        value = options.get(name)
        if value is None:
            continue
        usual = declared.get(name)
        if usual is None:
            usual = (declared.get("options") or {}).get(name)
        if value != usual:
            _refuse(name, value, "the model's own value" if usual is None else f"the declared {usual}")


def _refuse(name: str, value: object, limit: str) -> NoReturn:
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    raise Refusal(
        Reason.over_limit,
        f"`{name}` is {shown[:_SHOWN]}, and the limit of this gateway is {limit}.",
        suggestion=f"Ask for no more than that, or leave `{name}` out.",
    )
