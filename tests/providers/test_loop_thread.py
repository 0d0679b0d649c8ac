"""The private loop for code without asyncio: reuse, cancellation, closing, forks."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.base import ProviderChunk, ProviderResponse, ProviderStream
from namel3ss.providers.loop_thread import LoopThread, SyncStream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    with LoopThread("test loop") as loop_thread:
        yield loop_thread


async def _answer() -> int:
    await asyncio.sleep(0)
    return 42


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


class _Numbers(ProviderStream):
    """Chunks 0, 1, 2 …; `cancelled` is set when somebody stops it."""

    def __init__(self, count: int) -> None:
        self.left = iter(range(count))
        self.cancelled = threading.Event()

    async def __anext__(self) -> ProviderChunk:
        number = next(self.left, None)
        if number is None:
            raise StopAsyncIteration
        return ProviderChunk(output_text=str(number))

    async def cancel(self) -> None:
        self.cancelled.set()

    async def result(self) -> ProviderResponse:
        return ProviderResponse("".join([chunk.output_text async for chunk in self]), "numbers")


def test_gives_the_result(thread: LoopThread):
    assert thread.run(_answer()) == 42


def test_raises_what_the_coroutine_raises(thread: LoopThread):
    async def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        thread.run(fail())


def test_all_calls_share_one_loop(thread: LoopThread):
    assert thread.run(_running_loop()) is thread.run(_running_loop())


def test_a_loop_outlives_its_idle_thread(thread: LoopThread):
    first = thread.run(_running_loop())
    idle = next(each for each in threading.enumerate() if each.name == "test loop")
    idle.join()

    assert thread.run(_running_loop()) is first


async def test_works_inside_a_running_loop():
    with LoopThread() as thread:
        assert thread.run(_answer()) == 42


def test_many_threads_may_call_at_once(thread: LoopThread):
    barrier = asyncio.Barrier(8)

    async def meet() -> int:
        return await barrier.wait()

    found: list[int] = []
    callers = [threading.Thread(target=lambda: found.append(thread.run(meet()))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert sorted(found) == list(range(8))


def test_a_coroutine_sees_the_callers_context(thread: LoopThread):
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    variable.set("mine")

    async def look() -> str:
        return variable.get()

    assert thread.run(look()) == "mine"


def test_its_own_coroutines_are_refused(thread: LoopThread):
    async def nested() -> int:
        return thread.run(_answer())

    with pytest.raises(RuntimeError, match="one of its own coroutines"):
        thread.run(nested())


def test_a_closed_one_says_so():
    thread = LoopThread("test loop")
    thread.run(_answer())
    thread.close()
    thread.close()

    with pytest.raises(RuntimeError, match="test loop is closed"):
        thread.run(_answer())
    assert repr(thread) == "<LoopThread test loop closed>"


def test_closing_an_unused_one_makes_no_loop():
    thread = LoopThread()
    thread.close()

    with pytest.raises(RuntimeError, match="closed"):
        thread.run(_answer())


def test_closing_cancels_a_running_call_which_says_so(thread: LoopThread):
    started = threading.Event()
    cleaned_up = threading.Event()
    caught: list[BaseException] = []

    async def wait_for_ever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    def call() -> None:
        try:
            thread.run(wait_for_ever())
        except RuntimeError as error:
            caught.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    started.wait()
    thread.close()
    caller.join()

    assert cleaned_up.is_set()
    assert "closed while a call was running" in str(caught[0])


def test_closing_ends_every_call_that_got_in():
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    def call(loop_thread: LoopThread, start: threading.Barrier, ended: list[str]) -> None:
        start.wait()
        with pytest.raises(RuntimeError, match=r"test loop (is|was) closed") as caught:
            loop_thread.run(wait_for_ever())
        ended.append(str(caught.value))

    for _ in range(20):
        thread = LoopThread("test loop")
        thread.run(_answer())
        start = threading.Barrier(4)
        ended: list[str] = []
        callers = [threading.Thread(target=call, args=(thread, start, ended)) for _ in range(3)]
        for caller in callers:
            caller.start()
        start.wait()
        thread.close()
        for caller in callers:
            caller.join()

        assert len(ended) == 3


def test_several_threads_may_close_at_once(thread: LoopThread):
    thread.run(_answer())
    closers = [threading.Thread(target=thread.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()

    assert thread.is_closed


def test_a_coroutine_may_raise_system_exit_and_the_loop_goes_on(thread: LoopThread):
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        thread.run(leave())
    assert thread.run(_answer()) == 42


def test_a_stream_is_a_plain_iterator(thread: LoopThread):
    with SyncStream(thread, lambda: _Numbers(3)) as stream:
        assert [chunk.output_text for chunk in stream] == ["0", "1", "2"]
        assert list(stream) == []


def test_a_stream_gives_the_rest_as_one_response(thread: LoopThread):
    stream = SyncStream(thread, lambda: _Numbers(3))
    next(stream)

    assert stream.result().output_text == "12"


def test_a_stream_left_early_is_cancelled(thread: LoopThread):
    numbers = _Numbers(3)
    with SyncStream(thread, lambda: numbers) as stream:
        next(stream)

    assert numbers.cancelled.is_set()


def test_a_stream_dropped_early_is_cancelled(thread: LoopThread):
    numbers = _Numbers(3)
    for _chunk in SyncStream(thread, lambda: numbers):
        break
    gc.collect()

    assert numbers.cancelled.wait(5)


def test_a_stream_may_end_after_its_thread(thread: LoopThread):
    stream = SyncStream(thread, lambda: _Numbers(3))
    next(stream)
    thread.close()

    stream.cancel()


def _run_program(body: str) -> subprocess.Popen[str]:
    program = "import asyncio, os, sys, threading\nfrom namel3ss.providers.loop_thread import LoopThread\n"
    return subprocess.Popen(
        [sys.executable, "-c", program + textwrap.dedent(body)], stdout=subprocess.PIPE, text=True
    )


def test_ctrl_c_cancels_the_coroutine_and_waits_for_it():
    with _run_program(
        """
        async def work():
            print("started", flush=True)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                print("cleaned up", flush=True)

        try:
            with LoopThread() as thread:
                thread.run(work())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)

        assert process.stdout.read() == "cleaned up\ninterrupted\n"
        assert process.wait() == 0


def test_a_program_that_forgets_to_close_still_ends():
    with _run_program(
        """
        async def answer():
            return 42

        print(LoopThread().run(answer()))
        """
    ) as process:
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "42\n")


def test_calls_and_closing_when_the_process_exits_need_no_thread_that_python_refuses_then():
    with _run_program(
        """
        import atexit

        async def answer():
            await asyncio.sleep(0)
            return await asyncio.to_thread(lambda: 42)

        thread = LoopThread()
        atexit.register(thread.close)
        atexit.register(lambda: print(thread.run(asyncio.sleep(0, "late"))))
        print(thread.run(answer()))
        for each in threading.enumerate():
            if each.name == "namel3ss-sync":
                each.join()  # it ends when it is idle
        """
    ) as process:
        out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "42\nlate\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_closing_waits_for_no_lock_of_the_parent():
    with _run_program(
        """
        thread = LoopThread()

        async def fork_while_the_lock_is_held():
            with thread._lock:
                return await asyncio.get_running_loop().run_in_executor(None, fork)

        def fork():
            child = os.fork()
            if child == 0:
                thread.close()
                os._exit(0)
            return os.waitpid(child, 0)[1]

        print(thread.run(fork_while_the_lock_is_held()))
        thread.close()
        """
    ) as process:
        try:
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()

    assert out == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_it_says_so():
    with _run_program(
        """
        async def answer():
            return 42

        thread = LoopThread()
        thread.run(answer())
        child = os.fork()
        if child == 0:
            try:
                thread.run(answer())
            except RuntimeError as error:
                print(error, flush=True)
            thread.close()
            os._exit(0)
        os.waitpid(child, 0)
        thread.close()
        """
    ) as process:
        out, _ = process.communicate(timeout=20)

    assert (
        out == "namel3ss-sync was used before this process was forked; open the program again in the child.\n"
    )
