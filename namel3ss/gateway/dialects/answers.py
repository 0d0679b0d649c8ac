"""What a whole answer says it used. Nothing else of it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from namel3ss.gateway.usage import Usage

if TYPE_CHECKING:
    from namel3ss.gateway.routes import Route

__all__ = ["UsageReport", "read_report", "usage_of_body"]


class _Counts(msgspec.Struct, gc=False):
    """`usage` as the three protocols have it: OpenAI's names, and Anthropic's, which the Responses API shares."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def usage(self) -> Usage | None:
        prompt = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        if prompt is None:
            return None
        completion = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        return Usage(prompt, completion or 0)


class _Response(msgspec.Struct, gc=False):
    usage: _Counts | None = None


class UsageReport(msgspec.Struct, gc=False):
    """The parts of a line, an event's data or a whole answer that say how it went."""

    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    total_duration: int | None = None
    usage: _Counts | None = None
    response: str | _Response | None = None
    """A text in Ollama's own answers, an object in the events of the Responses API."""
    error: object = None

    def used(self) -> Usage | None:
        """None where it does not say."""
        if self.eval_count is not None or self.prompt_eval_count is not None:
            return Usage(self.prompt_eval_count or 0, self.eval_count or 0)
        if self.done_reason in {"load", "unload"}:
            return Usage(0, 0)
        if self.usage is not None:
            return self.usage.usage()
        if isinstance(self.response, _Response) and self.response.usage is not None:
            return self.response.usage.usage()
        return None


_DECODER = msgspec.json.Decoder(UsageReport)


def read_report(data: bytes) -> UsageReport | None:
    """None for what is no such object."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def usage_of_body(route: Route, body: bytes) -> Usage | None:
    """What a whole answer used; None where the server did not say, as it does not of older embeddings."""
    report = read_report(body)
    return None if report is None else report.used()
