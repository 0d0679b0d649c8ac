"""Pulling a model: one pull for everybody who waits for it, watched for stalls and resumed after cuts.

The rules:

* One pull for each server, model and event loop, whoever asks. It ends when it is done, or when the last caller
  leaves: that closes the connection, and the server stops downloading.
* A pull has stalled when no layer's byte count moved for two minutes while one is incomplete, or no new line came
  for two minutes while the manifest is fetched. Verifying and writing are not limited.
* A connection that breaks part way is opened again after a short, random pause; the server resumes. Attempts that
  bring nothing new are counted, and the fourth in a row is the last.
* It has succeeded when the server said so and lists the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from namel3ss.providers.addresses import server_of
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaModelPullError,
    OllamaPullStalledError,
    OllamaServerError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._pull_progress import PullProgress, PullTracker
from namel3ss.providers.local.ollama._refusals import error_from_text, text_of_error
from namel3ss.providers.local.ollama._single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["ProgressListener", "PullPolicy", "give_back", "pull"]

ProgressListener: TypeAlias = "Callable[[PullProgress], object]"

logger = logging.getLogger(__name__)

# How often a limit looks at its clock, so that a clock which is not the loop's own is noticed in time.
_LOOK_EVERY_S = 0.25
_LOG_EVERY_FRACTION = 0.1
_NO_REPORT = "The answer to a pull is not Ollama's"


@dataclass(frozen=True, slots=True)
class PullPolicy:
    """How patient a pull is."""

    stall_limit_s: float = 120.0
    max_fruitless_attempts: int = 4
    longest_pause_s: float = 8.0
    first_pause_s: float = 0.5
    clock: Callable[[], float] = time.monotonic

    def pause_s(self, fruitless: int) -> float:
        """A random pause, on average longer after each attempt in a row that brought nothing."""
        return random.uniform(0, min(self.longest_pause_s, self.first_pause_s * 2**fruitless))


@dataclass(eq=False, slots=True)
class _Caller:
    """Somebody who waits, and whose connection may be used until it is closed."""

    http: OllamaHttp
    on_progress: ProgressListener | None
    can_lend: bool = True


@dataclass(eq=False, slots=True)
class _Pull:
    """One pull under way: what is asked for, who waits, and what to do at the end."""

    model: str
    base_url: str
    insecure: bool
    policy: PullPolicy
    is_listed: Callable[[OllamaHttp], Awaitable[bool]]
    tracker: PullTracker
    callers: list[_Caller] = field(default_factory=list)
    logged_fraction: float = 0.0
    in_use: OllamaHttp | None = None
    lines: PieceStream[bytes] | None = None

    def borrow(self) -> OllamaHttp:
        """The connection of somebody who waits and does not close it."""
        lender = next(
            (caller for caller in self.callers if caller.can_lend and not caller.http.is_closed), None
        )
        if lender is None:
            raise RuntimeError(
                f"The pull of {self.model!r} was given up: the connection to the server is closed."
            )
        self.in_use = lender.http
        return lender.http


# Shared by every provider of the process, because callers of different providers wait for the same download.
_under_way: dict[tuple[asyncio.AbstractEventLoop, str, str, bool], _Pull] = {}
_flights: SingleFlight[None] = SingleFlight()


async def pull(
    http: OllamaHttp,
    model: str,
    *,
    key: str,
    is_listed: Callable[[OllamaHttp], Awaitable[bool]],
    policy: PullPolicy,
    timeout_s: float | None = None,
    on_progress: ProgressListener | None = None,
    insecure: bool = False,
) -> None:
    """Pull `model`, or wait for a pull of it that is under way. `key` is equal for two spellings of one model.

    `is_listed` asks a server whether it has the model by now. `timeout_s` bounds this caller's wait alone.
    `on_progress` is called in the event loop for every change; one that raises is logged and not called again.
    Raises OllamaModelPullError with its `phase`, or what the connection raises before the pull begins.
    """
    place = (asyncio.get_running_loop(), http.base_url, key, insecure)
    under_way = _under_way.get(place)
    if under_way is None:
        tracker = PullTracker(model, stall_limit_s=policy.stall_limit_s, now=policy.clock())
        under_way = _under_way[place] = _Pull(model, http.base_url, insecure, policy, is_listed, tracker)
    caller = _Caller(http, on_progress)
    under_way.callers.append(caller)
    deadline = None if timeout_s is None else policy.clock() + timeout_s
    own_limit = contextlib.nullcontext() if deadline is None else _limit(policy.clock, lambda: deadline)
    try:
        async with own_limit:
            await _flights.run((http.base_url, key, insecure), lambda: _run(under_way))
    except TimeoutError as error:
        if isinstance(error, OllamaError):
            raise
        too_late = OllamaPullStalledError(
            f"Timeout while pulling model '{model}': it takes longer than {timeout_s:g} s.",
            model=model,
            base_url=http.base_url,
            suggestion="Pull again to resume, with a larger pull_timeout or none.",
        )
        too_late.phase = under_way.tracker.phase
        raise too_late from error
    finally:
        under_way.callers.remove(caller)
        if not under_way.callers and _under_way.get(place) is under_way:
            del _under_way[place]


async def give_back(http: OllamaHttp) -> None:
    """Stop using a connection that is about to be closed. A pull that others wait for goes on over theirs."""
    loop = asyncio.get_running_loop()
    for this in [pull for place, pull in _under_way.items() if place[0] is loop]:
        for caller in this.callers:
            caller.can_lend = caller.can_lend and caller.http is not http
        if this.in_use is http and this.lines is not None:
            await this.lines.aclose()


async def _run(this: _Pull) -> None:
    """The whole pull, with all its attempts."""
    # Here, because few programs pull, and all import this.
    from namel3ss.observability.activities import start_pull

    clock, tracker = this.policy.clock, this.tracker
    started_at = clock()
    address, port = server_of(this.base_url)
    observation = start_pull(
        this.model,
        server_address=address,
        server_port=port,
        labels={"base_url": this.base_url},
        clock=clock,
    )
    outcome = "cancelled"
    logger.info("pulling %s", this.model)
    try:
        await _until_success(this)
        await _check_listed(this)
        _tell(this, tracker.progress("success", phase="success"))
        outcome = "ok"
        observation.progress(tracker.received_bytes)
        observation.finish()
    except BaseException as error:
        observation.progress(tracker.received_bytes)
        observation.end_with(error)
        if isinstance(error, OllamaError):
            outcome = error.error_type
        if isinstance(error, OllamaModelPullError) and error.phase is None:
            error.phase = tracker.phase
        raise
    finally:
        logger.info("pull of %s: %s after %.1f s", this.model, outcome, clock() - started_at)


async def _until_success(this: _Pull) -> None:
    fruitless, tracker = 0, this.tracker
    while True:
        before = tracker.completed_bytes
        tracker.begin(this.policy.clock())
        try:
            await _attempt(this)
            return
        except (OllamaError, RuntimeError) as error:
            # A RuntimeError: the caller whose connection was used has closed it and gone.
            fruitless = 0 if tracker.completed_bytes > before else fruitless + 1
            if fruitless >= this.policy.max_fruitless_attempts or not _can_resume(error, this):
                if isinstance(error, OllamaServerError | OllamaStreamInterruptedError):
                    raise _as_pull_error(error, this) from error
                raise
            logger.warning("pull of %s was interrupted and is resumed: %s", this.model, error.args[0])
        await asyncio.sleep(this.policy.pause_s(fruitless))


async def _attempt(this: _Pull) -> None:
    """One request, read until the server says success."""
    http = this.borrow()
    body: dict[str, object] = {"model": this.model, "stream": True}
    if this.insecure:
        body["insecure"] = True
    clock, tracker = this.policy.clock, this.tracker
    try:
        async with (
            _limit(clock, lambda: tracker.stall_at),
            http.stream(
                "POST",
                "/api/pull",
                body,
                # The stall watch above knows more than any limit on a wait.
                first_timeout_s=None,
                idle_timeout_s=None,
                total_timeout_s=None,
            ) as this.lines,
        ):
            async for batch in this.lines:
                for line in batch:
                    if _take(line, this, http):
                        return
    except TimeoutError as error:
        if isinstance(error, OllamaError):
            raise
        raise OllamaPullStalledError(
            f"The pull of model '{this.model}' has stalled: {_nothing_moved(this)}.",
            model=this.model,
            base_url=http.base_url,
            suggestion="Check the server's network connection, then pull again; it resumes.",
        ) from error
    raise OllamaStreamInterruptedError(
        f"The server ended the pull of '{this.model}' without saying that it succeeded.",
        model=this.model,
        base_url=http.base_url,
    )


def _take(line: bytes, this: _Pull, http: OllamaHttp) -> bool:
    """Handle one line; whether it is the last."""
    try:
        report = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise http.bad_response(_NO_REPORT, line, model=this.model) from error
    if not isinstance(report, dict):
        raise http.bad_response(_NO_REPORT, line, model=this.model)
    if "error" in report:
        text = http.secrets.hide_in_text(text_of_error(report["error"]))
        raise http.without_secrets(
            error_from_text(text, status=None, model=this.model, base_url=http.base_url)
        )
    status, digest = report.get("status"), report.get("digest")
    progress = this.tracker.feed(
        status if isinstance(status, str) else "",
        digest if isinstance(digest, str) and digest else None,
        _count(report.get("total")),
        _count(report.get("completed")),
        this.policy.clock(),
    )
    if this.tracker.phase == "success":
        return True
    if progress is not None:
        _tell(this, progress)
    return False


def _count(value: object) -> int | None:
    """A number of bytes; what is none (a float, a text, a negative number) counts as not sent."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _nothing_moved(this: _Pull) -> str:
    what = "the manifest did not come" if this.tracker.phase == "manifest" else "no byte arrived"
    return f"{what} for {this.policy.stall_limit_s:g} s"


def _tell(this: _Pull, progress: PullProgress) -> None:
    if progress.fraction is not None and progress.fraction >= this.logged_fraction + _LOG_EVERY_FRACTION:
        this.logged_fraction = progress.fraction
        logger.info(
            "pulling %s: %.0f %% of %d bytes", this.model, progress.fraction * 100, progress.total_bytes
        )
    for caller in tuple(this.callers):
        if caller.on_progress is None:
            continue
        try:
            caller.on_progress(progress)
        except Exception:
            logger.exception("on_progress %r failed; the pull of %s goes on", caller.on_progress, this.model)
            caller.on_progress = None


async def _check_listed(this: _Pull) -> None:
    this.tracker.phase = "check"
    http = this.borrow()
    if not await this.is_listed(http):
        raise OllamaModelPullError(
            f"The server says that it pulled '{this.model}', but does not list it.",
            model=this.model,
            base_url=http.base_url,
            suggestion="Look at the server's log, then pull again.",
        )


# Failures inside the server that a new attempt may get past: its own connection to the registry broke part way.
_BROKEN_CONNECTION = (
    "max retries exceeded",
    "eof",
    "connection reset",
    "connection refused",
    "broken pipe",
    "timeout",
    "stalled",
)


def _can_resume(error: OllamaError | RuntimeError, this: _Pull) -> bool:
    if not isinstance(error, OllamaError):
        return any(caller.can_lend and not caller.http.is_closed for caller in this.callers)
    if isinstance(error, OllamaStreamInterruptedError):
        return True
    has_begun = this.tracker.completed_bytes > 0
    if isinstance(error, OllamaServerUnreachableError):
        return has_begun
    if type(error) in (OllamaModelPullError, OllamaServerError):
        text = error.message.lower()
        return this.tracker.phase == "download" and any(word in text for word in _BROKEN_CONNECTION)
    return False


def _as_pull_error(error: OllamaError, this: _Pull) -> OllamaModelPullError:
    """What went wrong inside a pull is a pull error, whatever it was called below."""
    pull_error = OllamaModelPullError(
        f"The model '{this.model}' could not be pulled: {error.message}",
        model=this.model,
        base_url=error.base_url,
        suggestion="Pull again; what was downloaded is kept.",
        status=error.status,
    )
    pull_error.phase = this.tracker.phase
    return pull_error


@contextlib.asynccontextmanager
async def _limit(clock: Callable[[], float], deadline: Callable[[], float | None]) -> AsyncIterator[None]:
    """Raises TimeoutError inside the block once `clock` reaches `deadline()`, which may move or be None."""
    loop = asyncio.get_running_loop()
    handle: asyncio.Handle | None = None
    async with asyncio.timeout(None) as timer:

        def look() -> None:
            nonlocal handle
            at = deadline()
            left = _LOOK_EVERY_S if at is None else at - clock()
            if left <= 0:
                timer.reschedule(loop.time())
            else:
                handle = loop.call_later(min(left, _LOOK_EVERY_S), look)

        look()
        try:
            yield
        finally:
            if handle is not None:
                handle.cancel()
