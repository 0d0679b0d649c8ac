"""What a server says is rid of the client's secrets before it is cut to be quoted: no part of one shows, wherever it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from namel3ss.errors import N3Error
from namel3ss.providers.anthropic import AnthropicProvider
from namel3ss.providers.local.ollama import OllamaProvider
from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# Of letters that no message has, so that any part of it is noticed.
SECRET = "ZQXZQ-XZQXZ/QX"
ADDRESS = "http://h.example:1"


class Provided:
    """One provider whose server answers with what `answer` makes of the characters before the secret."""

    def __init__(self, kind: str, answer: Callable[[str], httpx.Response], **settings: object) -> None:
        config = {"base_url": ADDRESS, "api_key": SECRET, "headers": {"X-Team": SECRET + "Z"}, **settings}
        self._answer = answer
        self._before = ""
        transport = httpx.MockTransport(lambda request: answer(self._before))
        makers: dict[str, Callable[..., Any]] = {
            "ollama": OllamaProvider,
            "openai": OpenAICompatibleProvider,
            "anthropic": AnthropicProvider,
        }
        self._provider = makers[kind]("x", "tiny", config, transport=transport, environ={})

    async def error(self, before: int) -> str:
        self._before = "y" * before
        with pytest.raises(N3Error) as raised:
            await self._provider.generate("hi")
        return str(raised.value) + repr(raised.value)

    async def aclose(self) -> None:
        await self._provider.aclose()


def said(before: str) -> str:
    return f"{before}{SECRET}{'y' * 300}"


def in_json(
    status: int, content_type: str, make: Callable[[str], object], prefix: str = ""
) -> Callable[[str], httpx.Response]:
    def answer(before: str) -> httpx.Response:
        text = json.dumps(make(said(before))).replace("/", "\\/")  # as some servers write it
        return httpx.Response(status, text=f"{prefix}{text}\n\n", headers={"Content-Type": content_type})

    return answer


def in_text(status: int, content_type: str, prefix: str = "") -> Callable[[str], httpx.Response]:
    def answer(before: str) -> httpx.Response:
        return httpx.Response(
            status, text=f"{prefix}{said(before)}\n\n", headers={"Content-Type": content_type}
        )

    return answer


def in_header(status: int, name: str) -> Callable[[str], httpx.Response]:
    return lambda before: httpx.Response(status, text="", headers={name: said(before)})


def broken_off(before: str) -> httpx.Response:
    """A body that ends within the secret: the server has said no more."""

    async def pieces() -> AsyncIterator[bytes]:
        yield said(before)[: 160 + len(before) % len(SECRET)].encode()
        raise httpx.ReadError("broken")

    return httpx.Response(500, content=pieces())


LINES, EVENTS, JSON, HTML = "application/x-ndjson", "text/event-stream", "application/json", "text/html"


def _anthropic(text: str) -> object:
    return {"type": "error", "error": {"type": "api_error", "message": text}}


@pytest.mark.security(25)
@pytest.mark.parametrize(
    ("kind", "answer", "cut", "settings"),
    [
        ("ollama", in_json(200, LINES, lambda text: {"error": text}), 500, {}),
        ("ollama", in_json(200, LINES, lambda text: {"error": {"message": text}}), 500, {}),
        ("ollama", in_json(200, JSON, lambda text: {"error": text}), 500, {"wire": "plain"}),
        ("ollama", in_json(500, JSON, lambda text: {"error": text}), 500, {}),
        ("ollama", in_json(200, LINES, lambda text: [text]), 200, {}),
        ("ollama", in_text(200, LINES, "{"), 200, {}),
        ("ollama", in_text(200, JSON, "{"), 200, {"wire": "plain"}),
        ("ollama", in_text(502, HTML), 200, {}),
        ("ollama", in_text(200, HTML), 200, {}),
        ("ollama", in_header(200, "Content-Type"), 60, {}),
        ("ollama", in_header(200, "Content-Encoding"), 40, {}),
        ("ollama", broken_off, 160, {}),
        ("openai", in_json(200, EVENTS, lambda text: {"error": {"message": text}}, "data: "), 500, {}),
        ("openai", in_json(401, JSON, lambda text: {"error": {"message": text}}), 500, {}),
        ("openai", in_text(200, EVENTS, "data: {"), 200, {}),
        ("openai", in_text(502, HTML), 200, {}),
        ("openai", in_header(307, "Location"), 200, {}),
        ("anthropic", in_json(200, EVENTS, _anthropic, "data: "), 2000, {}),
        ("anthropic", in_json(400, JSON, _anthropic), 2000, {}),
        ("anthropic", in_text(200, EVENTS, "data: {"), 200, {}),
        ("anthropic", in_text(502, HTML), 200, {}),
        ("anthropic", in_header(307, "Location"), 200, {}),
    ],
)
async def test_no_part_of_a_secret_shows_wherever_it_stands(
    kind: str, answer: Callable[[str], httpx.Response], cut: int, settings: dict[str, object]
) -> None:
    provided = Provided(kind, answer, **settings)

    shown = {before: await provided.error(before) for before in range(max(0, cut - 40), cut + 2)}
    await provided.aclose()

    assert {before: text for before, text in shown.items() if set("ZQX") & set(text)} == {}
    assert any("***" in text for text in shown.values())
