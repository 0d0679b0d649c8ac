"""The context window: how large it is and who says so, whether a prompt was cut, and what to do about it.

Ollama never says that it cut a prompt. It asks the sender not to (`truncate: false`), which servers since 0.12.6 obey;
what older ones and some models still cut shows in the count of prompt tokens:

* servers before 0.30.11 keep as many tokens as the window has: the count is the window's size;
* later ones keep the first few and then about half: ``window - max((window - keep) // 2, 1)``, with `keep` being
  `num_keep` or one more.

A token is at least one byte of text, so a prompt with fewer bytes than the window has tokens was never cut.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.providers.local.ollama._errors import OllamaContextWindowExceededError, OllamaError
from namel3ss.providers.local.ollama._names import same_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namel3ss.providers.local.ollama._models import OllamaModelManager
    from namel3ss.providers.local.ollama._requests import Call

__all__ = ["PromptSize", "Window", "WindowFinder", "is_worth_asking", "was_cut"]

_UNKNOWN: Final = "unknown"
_DEFAULT_NUM_KEEP: Final = 4
_IMAGE_TOKENS: Final = 768  # what the server itself reckons with
_MESSAGE_TOKENS: Final = 8
_QUESTION_S: Final = 3.0  # a question that only improves a message must not delay it much
_MOST_MODELS_ASKED: Final = 16


# -- arithmetic -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PromptSize:
    """How large a prompt is. `text_bytes` is exact; tokens can only be estimated without the model."""

    text_bytes: int
    messages: int
    images: int

    @classmethod
    def of(cls, call: Call) -> PromptSize:
        """What a call sends to the model."""
        body = call.body
        texts = [str(body.get(key) or "") for key in ("prompt", "system", "suffix", "template")]
        images = len(body.get("images", ()))
        messages = body.get("messages", ())
        for message in messages:
            texts += [message["content"], message.get("thinking", "")]
            images += len(message.get("images", ()))
        inputs = body.get("input", ())
        # Each text of an embedding has the window for itself.
        texts.append(max(inputs, key=len, default=""))
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
        if "tools" in body:
            size += len(msgspec.json.encode(body["tools"]))
        return cls(size, max(len(messages), 1), images)

    @property
    def about_tokens(self) -> int:
        """The likely number of tokens: four bytes each in English."""
        return self.text_bytes // 4 + _MESSAGE_TOKENS * self.messages + _IMAGE_TOKENS * self.images

    @property
    def fewest_tokens(self) -> int:
        """A number that ordinary text does not stay below."""
        return self.text_bytes // 6


def was_cut(prompt_tokens: int, window: int, size: PromptSize, *, num_keep: int = _DEFAULT_NUM_KEEP) -> bool:
    """Whether a prompt of this size, counted as this many tokens, must have been cut to fit the window."""
    if size.text_bytes + _IMAGE_TOKENS * size.images <= window:
        return False
    if prompt_tokens in _counts_after_a_cut(window, num_keep):
        return True
    return size.fewest_tokens > window and prompt_tokens < 0.6 * size.fewest_tokens


def _counts_after_a_cut(window: int, num_keep: int) -> set[int]:
    counts = {window, window - 1}
    for keep in (num_keep, num_keep + 1):
        kept = window - 1 if num_keep < 0 else min(keep, window - 1)
        counts.add(window - max((window - kept) // 2, 1))
    return counts


def is_worth_asking(prompt_tokens: int) -> bool:
    """Whether a count may come from a cut, so that the window, if nobody set it, is worth a question to the server.

    Large prompts, and counts that a cut to a round window leaves.
    """
    if prompt_tokens >= 1024:
        return True
    halves = (2 * (prompt_tokens - kept) for kept in (2, 3))
    return any(
        count >= 16 and count & (count - 1) == 0 for count in (prompt_tokens, prompt_tokens + 1, *halves)
    )


# -- what is in force -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """A context window in tokens, None where nobody reported one, and who did."""

    tokens: int | None
    source: str = _UNKNOWN


class WindowFinder:
    """Learns the windows of models from their server, and remembers them for `ttl_s` seconds.

    Its questions are about another request: they take little time, and a failure of theirs is no failure.
    """

    def __init__(self, models: OllamaModelManager, *, ttl_s: float, clock: Callable[[], float]) -> None:
        self._models = models
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: dict[str, tuple[float, Window]] = {}

    def known(self, model: str) -> Window | None:
        """What was learnt of the model lately; None when nothing was."""
        entry = self._known.get(model)
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    async def find(self, model: str) -> Window:
        """The window that the server gave the loaded model."""
        known = self.known(model)
        if known is not None:
            return known
        running = await _or_none(self._models.running_models)
        window = Window(None)
        for entry in running or ():
            tokens = entry.get("context_length")
            if same_model(str(entry.get("name")), model) and isinstance(tokens, int) and tokens > 0:
                window = Window(tokens, "allocated by the server for the loaded model")
        self._known[model] = (self._clock() + self._ttl_s, window)
        return window

    async def explain(
        self, error: OllamaContextWindowExceededError, call: Call
    ) -> OllamaContextWindowExceededError:
        """The same refusal with the window in force, the prompt's size and the remedies, in order."""
        size = PromptSize.of(call)
        found, shown = await asyncio.gather(self.find(call.model), self._show(call.model))
        trained = _trained(shown)
        window = _in_force(error, call, found, trained)
        needed = error.prompt_tokens or size.about_tokens
        larger = await self._larger_models(call, max(window.tokens or 0, trained or 0))
        count = f"{error.prompt_tokens}" if error.prompt_tokens is not None else f"about {size.about_tokens}"
        has = f"is {window.tokens} tokens ({window.source})" if window.tokens else "has an unknown size"
        return OllamaContextWindowExceededError(
            f"Input is too large for model's context window: the prompt has {count} tokens, the window {has}.",
            model=error.model,
            base_url=error.base_url,
            suggestion="\n".join(_remedies(window, trained, needed, larger)),
            original_error=error,
            status=error.status,
            window=window.tokens,
            window_source=window.source,
            prompt_tokens=error.prompt_tokens,
            prompt_tokens_estimate=size.about_tokens,
        )

    async def _show(self, model: str) -> dict[str, Any]:
        return await _or_none(lambda: self._models.show_model(model)) or {}

    async def _larger_models(self, call: Call, than: int) -> list[tuple[str, int]]:
        """Installed models for the same task with a larger window, the largest first."""
        listed = await _or_none(self._models.list_models) or []
        names = [entry["name"] for entry in listed if not same_model(entry["name"], call.model)]
        shown = await asyncio.gather(*(self._show(name) for name in names[:_MOST_MODELS_ASKED]))
        task = "embedding" if call.path == "/api/embed" else "completion"
        sizes = [
            (name, length)
            for name, answer in zip(names, shown, strict=False)
            if task in answer.get("capabilities", ()) and (length := _trained(answer) or 0) > than
        ]
        return sorted(sizes, key=lambda pair: -pair[1])[:3]


def _in_force(
    error: OllamaContextWindowExceededError, call: Call, found: Window, trained: int | None
) -> Window:
    """The server's own number, else the one allocated, else the one asked for (no more than was trained)."""
    if error.window is not None:
        return Window(error.window, "the server's answer")
    if found.tokens is not None:
        return found
    asked = call.body.get("options", {}).get("num_ctx")
    if isinstance(asked, int):
        if trained is not None and trained < asked:
            return Window(trained, "what the model was trained for")
        return Window(asked, "num_ctx")
    return Window(None)


def _remedies(window: Window, trained: int | None, needed: int, larger: list[tuple[str, int]]) -> list[str]:
    remedies = []
    if trained is None:
        remedies.append("Raise num_ctx, if the model was trained for more.")
    elif window.tokens is None or window.tokens < trained:
        wanted = min(trained, max(2 * (window.tokens or 0), 1 << (needed + needed // 4).bit_length()))
        remedies.append(f"Raise num_ctx: {wanted} (the model was trained for {trained} tokens).")
    remedies.append("Shorten the input, or leave out the oldest messages.")
    if larger:
        names = ", ".join(f"{name} ({tokens} tokens)" for name, tokens in larger)
        remedies.append(f"Use an installed model with a larger window: {names}.")
    else:
        remedies.append("Use a model with a larger context window.")
    return remedies


def _trained(shown: Mapping[str, Any]) -> int | None:
    length = shown.get("context_length")
    return length if isinstance(length, int) and length > 0 else None


async def _or_none(ask: Callable[[], Any]) -> Any:
    """The answer to a question that only improves a message; None where the server does not give one in time."""
    try:
        async with asyncio.timeout(_QUESTION_S):
            return await ask()
    except (OllamaError, TimeoutError):
        return None
