"""Rows 58 to 75: servers that die, freeze, load and lose their slot; programs that fork, forget and end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaModelNotFoundError,
    OllamaProvider,
    OllamaStreamInterruptedError,
)
from tests.faults.asking import Asked
from tests.support.clock import ManualClock
from tests.support.ollama_lines import chat_answer, chat_line
from tests.support.scripted_server import Gate, ScriptedServer, document, lines, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = lines(*chat_answer("Hel", "lo"))
LOADED = document({"models": [{"name": "tiny:latest"}]})
UNLOADED = document({"models": []})
MISSING = document({"error": "model 'tiny' not found"}, 404)

SERVER_PROGRAM = """
import sys
from tests.support.ollama_lines import chat_line
from tests.support.scripted_server import ScriptedServer, lines, stall
with ScriptedServer([*lines(chat_line("Hel"))[:2], stall()], port=int(sys.argv[1])) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server_process() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own that sends one piece and then nothing more; and its port."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER_PROGRAM, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.mark.fault(58)
@pytest.mark.timeout(15, method="signal")
async def test_server_killed_mid_stream_fails_the_stream_and_its_successor_serves_the_next(
    server_process, connect, ask
):
    process, port = server_process
    provider = connect(f"http://127.0.0.1:{port}")
    stream = provider.stream("Hi")
    await anext(stream)

    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(OllamaStreamInterruptedError) as raised:
        await anext(stream)
    process.wait()
    refused = await ask(provider)
    with ScriptedServer(ANSWER, port=port):
        answered = await ask(provider)

    assert raised.value.partial_text == "Hel"
    assert refused.failure.error_type == "connect_refused"
    assert answered.text == "Hello"


@pytest.mark.fault(59)
@pytest.mark.timeout(15, method="signal")
async def test_frozen_server_runs_into_the_idle_limit_and_not_into_for_ever(server_process, connect):
    process, port = server_process
    provider = connect(f"http://127.0.0.1:{port}", idle_timeout=0.2, first_token_timeout=0.2)
    stream = provider.stream("Hi")
    await anext(stream)

    os.kill(process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(OllamaInterTokenTimeoutError):
            await anext(stream)
        with pytest.raises(OllamaFirstTokenTimeoutError) as raised:
            await provider.generate("Hi")
    finally:
        os.kill(process.pid, signal.SIGCONT)

    assert raised.value.model_state == "unknown"


@pytest.mark.fault(62)
async def test_model_that_was_deleted_meanwhile_is_forgotten_pulled_once_and_answers(server, connect, ask):
    server.on("/api/chat", ANSWER, MISSING, ANSWER)
    server.on("/api/tags", document({"models": [{"name": "tiny:latest", "size": 1}]}))
    server.on("/api/pull", lines({"status": "pulling manifest"}, {"status": "success"}))
    provider = connect(server, auto_pull_model=True)
    await ask(provider)
    await provider._cache.set("tiny", True)

    assert (await ask(provider)).text == "Hello"
    assert server.paths().count("/api/pull") == 1

    server.on("/api/chat", MISSING)
    server.on("/api/tags", document({"models": []}))
    with pytest.raises(OllamaModelNotFoundError):
        await provider.generate("Hi", auto_pull_model=False)
    assert await provider._cache.get("tiny") is not True


@pytest.mark.fault(62)
async def test_model_that_is_gone_again_after_its_pull_is_not_pulled_for_ever(server, connect):
    server.on("/api/chat", MISSING)
    server.on("/api/tags", document({"models": [{"name": "tiny:latest", "size": 1}]}))
    server.on("/api/pull", lines({"status": "pulling manifest"}, {"status": "success"}))

    with pytest.raises(OllamaModelNotFoundError):
        await connect(server, auto_pull_model=True).generate("Hi")

    assert server.paths().count("/api/pull") == 1


@pytest.mark.fault(64)
async def test_load_within_the_first_token_limit_is_only_a_slow_answer(server, connect):
    loading = Gate()
    server.on("/api/chat", [loading, *ANSWER])
    provider = connect(server, first_token_timeout=30, idle_timeout=0.05)
    asking = asyncio.create_task(Asked.of(provider))
    await server.requests_reached(1)
    await asyncio.sleep(0.1)  # longer than the idle limit, which does not hold yet

    loading.open()

    assert (await asking).text == "Hello"


@pytest.mark.fault(75)
async def test_healing_unloads_waits_and_has_the_model_answer_as_the_next_request_will_need_it(
    server, connect
):
    server.on(
        "/api/generate",
        document({"done": True, "done_reason": "unload"}),
        document({"response": "x", "done": True}),
    )
    server.on("/api/ps", LOADED, LOADED, UNLOADED)

    await connect(server, num_ctx=512, num_gpu=0, temperature=0.5).heal_model()

    assert server.paths() == ["/api/generate", "/api/ps", "/api/ps", "/api/ps", "/api/generate"]
    assert server.requests[0].json == {"model": "tiny", "keep_alive": 0, "stream": False}
    assert server.requests[-1].json == {
        "model": "tiny",
        "prompt": ".",
        "stream": False,
        "options": {"num_ctx": 512, "num_gpu": 0, "temperature": 0.5, "num_predict": 1},
    }


@pytest.mark.fault(75)
async def test_healing_a_model_that_only_embeds_has_it_embed(server, connect):
    refusal = document({"error": '"tiny" does not support generate'}, 400)
    server.on("/api/generate", document({"done": True, "done_reason": "unload"}), refusal)
    server.on("/api/ps", UNLOADED).on("/api/embed", document({"embeddings": [[0.5]]}))

    await connect(server).heal_model()

    assert server.requests[-1].json == {"model": "tiny", "input": ".", "stream": False}


@pytest.mark.fault(75)
async def test_healing_goes_to_the_server_that_the_error_names_and_to_no_other(server, connect):
    server.on("/api/generate", document({"response": "x", "done": True})).on("/api/ps", UNLOADED)
    with ScriptedServer() as first:
        provider = connect(first, server)

        await provider.heal_model(server.url)
        with pytest.raises(UsageError, match="is none of this provider's servers"):
            await provider.heal_model("http://127.0.0.1:1")

        assert first.requests == []
        assert server.paths()[0] == "/api/generate"


@pytest.mark.fault(75)
async def test_healing_that_does_not_help_says_so(server, connect):
    server.on("/api/generate", document({"done": True, "done_reason": "unload"}), [stall()])
    server.on("/api/ps", UNLOADED, LOADED)

    with pytest.raises(OllamaFirstTokenTimeoutError) as raised:
        await connect(server, first_token_timeout=0.1).heal_model()

    assert raised.value.message == "Model 'tiny' was unloaded, and still does not answer within 0.1 s."
    assert (raised.value.model_state, raised.value.suggestion) == ("loaded", "Restart the server.")


# -- clocks, loops, threads, processes ------------------------------------------------------------------------


@pytest.mark.fault(72)
@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_wall_clock_that_jumps_changes_no_limit_and_no_duration(server, connect, monkeypatch, jump_s):
    gate = Gate()
    server.on("/api/chat", [*lines(chat_line("Hel"))[:2], gate, *ANSWER[2:]])
    clock = ManualClock()
    provider = connect(server, clock=clock, idle_timeout=5, total_timeout=5)
    stream = provider.stream("Hi")
    await anext(stream)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    clock.advance(2.0)
    gate.open()

    response = await stream.result()

    assert response.output_text == "Hello"
    assert response.timings.wall_s == 2.0


@pytest.mark.fault(74)
def test_one_provider_serves_many_threads_and_loops_at_once(server):
    server.on("/api/chat", ANSWER)
    provider = OllamaProvider("x", "tiny", {"base_url": server.url})
    texts: list[str] = []

    async def ask_often() -> None:
        texts.extend([(await provider.generate("Hi")).output_text for _ in range(5)])

    threads = [threading.Thread(target=lambda: asyncio.run(ask_often())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(provider.aclose())

    assert texts == ["Hello"] * 20


PROGRAMS: dict[str, str] = {
    "two loops, one after the other": """
for _ in range(2):
    print(asyncio.run(answer(provider)))
""",
    "never closed": """
async def main():
    print(await answer(provider))
    print(await answer(provider))
asyncio.run(main())
""",
    "stream left open at the end": """
async def main():
    stream = provider.stream("Hi")
    print((await anext(stream)).output_text + "lo")
    print(await answer(provider))
    await stream.cancel()
asyncio.run(main())
""",
    "loop closed under it": """
loop = asyncio.new_event_loop()
print(loop.run_until_complete(answer(provider)))
loop.close()
print(asyncio.run(answer(provider)))
""",
    "loop closed under it, and nothing after that": """
loop = asyncio.new_event_loop()
print(loop.run_until_complete(answer(provider)))
print(loop.run_until_complete(answer(provider)))
loop.close()
del provider
""",
    "sync beside a loop": """
async def main():
    print(provider.sync.generate("Hi").output_text)
    print(await answer(provider))
asyncio.run(main())
provider.sync.close()
""",
    "forked after use": """
async def main():
    print(await answer(provider), flush=True)
asyncio.run(main())
child = os.fork()
if child == 0:
    asyncio.run(main())
    os._exit(0)
os.waitpid(child, 0)
""",
    "forked inside a loop": """
async def main():
    print(await answer(provider), flush=True)
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(None)
        print(asyncio.new_event_loop().run_until_complete(answer(provider)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    await answer(provider)
asyncio.run(main())
""",
    "closed twice and from the second loop": """
print(asyncio.run(answer(provider)))
print(asyncio.run(answer(provider)))
asyncio.run(provider.aclose())
asyncio.run(provider.aclose())
""",
}


@pytest.mark.fault(74)
@pytest.mark.timeout(20, method="signal")
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_answers_twice_and_ends_without_a_word_on_stderr(server, name):
    server.on("/api/chat", ANSWER)
    program = f"""
import asyncio, os
from namel3ss.providers.local.ollama import OllamaProvider

async def answer(provider):
    return (await provider.generate("Hi")).output_text

provider = OllamaProvider("x", "tiny", {{"base_url": "{server.url}", "auto_pull_model": False}})
{PROGRAMS[name]}
"""
    # From 3.12 on Python itself warns of a fork while threads run, which is what the program does on purpose.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program]

    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)

    assert (done.stdout, done.stderr, done.returncode) == ("Hello\nHello\n", "", 0)


@pytest.mark.fault(74)
async def test_nested_run_is_pythons_own_clear_error(server, connect):
    provider = connect(server)

    call = provider.generate("Hi")
    with pytest.raises(RuntimeError, match=r"asyncio\.run\(\) cannot be called from a running event loop"):
        asyncio.run(call)
    call.close()

    assert server.requests == []


@pytest.mark.fault(74)
async def test_open_provider_that_is_forgotten_warns_and_lets_go_of_its_connections(server):
    server.on("/api/chat", ANSWER)
    provider = OllamaProvider("x", "tiny", {"base_url": server.url})
    await provider.generate("Hi")

    holder = [provider]
    del provider
    with pytest.warns(ResourceWarning, match="was not closed"):
        holder.clear()
    gc.collect()

    await server.connections_reached(0)


@pytest.mark.fault(74)
async def test_open_provider_in_a_circle_of_references_is_let_go_of_without_a_word_in_the_log(server):
    server.on("/api/chat", ANSWER)
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    provider = OllamaProvider("x", "tiny", {"base_url": server.url})
    await provider.generate("Hi")
    circle: list[object] = [provider]
    circle.append(circle)

    gc.disable()  # so that nobody collects between these lines
    try:
        del provider, circle
        with pytest.warns(ResourceWarning, match="was not closed"):
            gc.collect()
    finally:
        gc.enable()

    await server.connections_reached(0)
    assert told == []
