"""Secrets and prompts go through the whole provider, and turn up in no log, error, metric, span or repr."""

from __future__ import annotations

import contextlib
import importlib
import logging
import traceback
from typing import TYPE_CHECKING, Any, get_args

import pytest

from namel3ss.observability.logs import JsonFormatter
from namel3ss.observability.telemetry import use_telemetry
from namel3ss.providers.base import ProviderMessage
from namel3ss.providers.local.ollama import OllamaError, OllamaProvider
from namel3ss.providers.transport.client import import_libraries
from namel3ss.sandbox import SandboxOptions, SandboxServer
from namel3ss.sandbox.faults import FaultName
from tests.observability.receivers import Listener, MemorySdk
from tests.support.scripted_server import refusing_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.providers.base import Messages

SECRETS = {
    "key": "canary-key-7d1f",
    "header": "canary-header-55ab",
    "password": "canary-password-91ce",
}
SAID = {
    "prompt": "canary-prompt-3e20",
    "system": "canary-system-c4d8",
    "history": "canary-history-0b6a",
    "argument": "canary-argument-aa17",
    "text": "canary-text-f2c9",
}
CANARIES = (*SECRETS.values(), *SAID.values())

QUICK = {"stall": "stall:after=1", "slow-load": "slow-load:seconds=9", "drip": "drip:seconds=9"}


@pytest.fixture(scope="module", autouse=True)
def _http_library_is_loaded() -> None:
    """The first request of a process loads it on a thread that lives as long as its event loop."""
    import_libraries()
    importlib.import_module("httpx_aiohttp")


class Heard(logging.Handler):
    """Everything that any logger says at any level, as text and as JSON."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [record.getMessage(), repr(record.args), JsonFormatter().format(record)]
        if record.exc_info:
            self.lines += traceback.format_exception(*record.exc_info)


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler, root, ours = Heard(), logging.getLogger(), logging.getLogger("namel3ss")
    levels = (root.level, ours.level)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def sdk() -> Iterator[MemorySdk]:
    memory = MemorySdk("both")
    replaced = use_telemetry(memory.telemetry)
    yield memory
    use_telemetry(replaced)
    memory.close()


async def use_everything(url: str, model: str = "tiny") -> list[str]:
    """One call of each kind, with canaries wherever there is room; what its errors and objects say."""
    address = url.replace("://", f"://me:{SECRETS['password']}@")
    config = {
        "base_url": address,
        "headers": {"Authorization": f"Bearer {SECRETS['key']}", "X-Own": SECRETS["header"]},
        "first_token_timeout": 0.2,
        "idle_timeout": 0.2,
        "total_timeout": 0.3,
        "max_retries": 1,
        "auto_pull_model": False,
    }
    conversation: Messages = [
        ProviderMessage("system", SAID["system"]),
        ProviderMessage("user", SAID["history"]),
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "look", "arguments": {"for": SAID["argument"]}}}],
        },
        ProviderMessage("tool", SAID["history"], tool_name="look"),
        ProviderMessage("user", SAID["prompt"]),
    ]
    said: list[str] = []

    async def noted(work: Any) -> None:
        try:
            said.append(repr((await work).metadata))
        except OllamaError as error:
            said.extend((str(error), repr(error), repr(error.__dict__ | {"partial_text": ""})))

    async with OllamaProvider("x", model, config) as provider:
        await noted(provider.generate(conversation))
        await noted(provider.generate(SAID["prompt"], wire="plain"))
        await noted(provider.generate(SAID["prompt"], raw=True))
        await noted(provider.stream(conversation).result())
        await noted(provider.embed([SAID["text"]]))
        said.append(repr(await provider.health_check()))
        with contextlib.suppress(OllamaError):
            await provider.pull_model("canaryless:1b")
        stream = provider.stream(SAID["prompt"])
        said += [repr(provider), repr(provider.config), str(provider.config), repr(stream)]
    return said


def leaks(texts: list[str]) -> list[str]:
    return [text[:300] for text in texts if any(canary in text for canary in CANARIES)]


def recorded(sdk: MemorySdk, listener: Listener) -> list[str]:
    spans = [f"{span.name} {dict(span.attributes or {})} {span.events}" for span in sdk.spans()]
    metrics = [metric.to_json() for metric in sdk.metrics().values()]
    return [*spans, *metrics, *(repr(call) for call in listener.calls)]


@pytest.mark.security(24, 25)
@pytest.mark.parametrize("fault", ["", *get_args(FaultName)])
async def test_no_log_error_metric_span_or_repr_holds_a_secret_or_what_was_said(
    fault: str, heard: Heard, listener: Listener, sdk: MemorySdk
) -> None:
    faults = (QUICK.get(fault, fault),) if fault else ()
    with SandboxServer(SandboxOptions(faults=faults, pull_seconds=0)) as server:
        said = await use_everything(server.url)

    assert leaks(said) == []
    assert leaks(heard.lines) == []
    assert leaks(recorded(sdk, listener)) == []
    assert sdk.spans()
    assert heard.lines  # it does log


async def test_neither_does_a_server_that_is_not_there(
    heard: Heard, listener: Listener, sdk: MemorySdk
) -> None:
    with refusing_url() as url:
        said = await use_everything(url)

    assert leaks([*said, *heard.lines, *recorded(sdk, listener)]) == []
