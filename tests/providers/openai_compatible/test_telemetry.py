"""What telemetry says of requests to servers of OpenAI's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import StatusCode

from namel3ss.observability.capture import ContentCapture
from namel3ss.observability.telemetry import use_telemetry
from namel3ss.providers.local.openai_compatible import OpenAICompatibleError, OpenAICompatibleProvider
from tests.observability.receivers import MemorySdk
from tests.providers.openai_compatible.making import CHAT, DONE, HELLO, STREAM, piece, streamed
from tests.support.scripted_server import ScriptedServer, Send, chunk, document, head, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Connect = Callable[..., OpenAICompatibleProvider]


@pytest.fixture
def receive() -> Iterator[Callable[..., MemorySdk]]:
    """Makes an SDK in memory the receiver of the whole process."""
    made: list[MemorySdk] = []
    replaced = use_telemetry(None)

    def start(profile: Any = None, **more: Any) -> MemorySdk:
        sdk = MemorySdk(profile, **more)
        made.append(sdk)
        use_telemetry(sdk.telemetry)
        return sdk

    yield start
    use_telemetry(replaced)
    for sdk in made:
        sdk.close()


@pytest.mark.parametrize("kind", ["openai", "vllm", "local_ai", "openai_compatible"])
async def test_span_names_the_kind_of_server_and_what_was_asked(
    server: ScriptedServer, connect: Connect, receive: Callable[..., MemorySdk], kind: str
):
    sdk = receive()
    server.on(CHAT, HELLO)

    await connect(server, kind=kind, temperature=0.5, max_tokens=9, stop="END").stream("Hi").result()

    (span,) = sdk.spans()
    told = dict(span.attributes or {})
    assert span.name == "chat asked-model"
    assert told["gen_ai.provider.name"] == kind
    assert told["gen_ai.request.model"] == "asked-model"
    assert told["gen_ai.response.model"] == "served-model"
    assert told["gen_ai.request.temperature"] == 0.5
    assert told["gen_ai.request.max_tokens"] == 9
    assert told["gen_ai.request.stop_sequences"] == ("END",)
    assert told["gen_ai.usage.input_tokens"] == 6
    assert told["gen_ai.usage.output_tokens"] == 7
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert told["server.port"] == server.port
    assert not any(name.startswith("namel3ss.ollama") for name in told)


async def test_vectors_have_a_span_of_their_own(
    server: ScriptedServer, connect: Connect, receive: Callable[..., MemorySdk]
):
    sdk = receive()
    server.on(
        "/v1/embeddings", document({"data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": 3}})
    )

    await connect(server).embed("Hi")

    (span,) = sdk.spans()
    assert span.name == "embeddings asked-model"
    assert dict(span.attributes or {})["gen_ai.usage.input_tokens"] == 3


async def test_failure_has_its_word_and_a_stream_that_was_left_another(
    server: ScriptedServer, connect: Connect, receive: Callable[..., MemorySdk]
):
    sdk = receive()
    server.on(CHAT, document({"error": {"message": "no", "code": "invalid_api_key"}}, 401))
    with pytest.raises(OpenAICompatibleError):
        await connect(server).generate("Hi")
    server.on(CHAT, [Send(head(200, STREAM, chunked=True) + chunk(piece("Hi"))), stall()])
    async with connect(server).stream("Hi") as stream:
        await anext(stream)

    failed, left = sdk.spans()
    assert dict(failed.attributes or {})["error.type"] == "auth"
    assert failed.status.status_code is StatusCode.ERROR
    assert dict(left.attributes or {})["error.type"] == "cancelled"


async def test_no_prompt_answer_or_key_is_recorded_unless_content_is_switched_on(
    server: ScriptedServer, connect: Connect, receive: Callable[..., MemorySdk]
):
    server.on(CHAT, streamed(piece("the answer", finish="stop"), DONE))
    silent = receive()
    await connect(server, api_key="sk-secret-1").generate("the question")
    told = str([(span.name, dict(span.attributes or {}), span.events) for span in silent.spans()])
    assert "the answer" not in told
    assert "the question" not in told

    loud = receive(capture=ContentCapture.SPAN_ONLY)
    await connect(server, api_key="sk-secret-1").generate("the question")
    told = str([dict(span.attributes or {}) for span in loud.spans()])
    assert "the answer" in told
    assert "the question" in told
    assert "sk-secret-1" not in told
