"""Lines and documents as Ollama sends them, for scripts."""

from __future__ import annotations

from typing import Any

CREATED_AT = "2026-11-21T08:12:14.56740608Z"

TOTALS: dict[str, Any] = {
    "done_reason": "stop",
    "total_duration": 4_000_000_000,
    "load_duration": 1_000_000_000,
    "prompt_eval_count": 6,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 7,
    "eval_duration": 2_000_000_000,
}


def chat_line(content: str = "", *, done: bool = False, **message: Any) -> dict[str, Any]:
    """A line of `/api/chat`; further fields of the message by keyword."""
    return {
        "model": "tiny",
        "created_at": CREATED_AT,
        "message": {"role": "assistant", "content": content, **message},
        "done": done,
    }


def chat_end(content: str = "", *, message: dict[str, Any] | None = None, **totals: Any) -> dict[str, Any]:
    """The last line of `/api/chat`; a total of None is left out."""
    merged = {**TOTALS, **totals}
    return chat_line(content, done=True, **(message or {})) | {
        key: value for key, value in merged.items() if value is not None
    }


def chat_answer(*pieces: str, **totals: Any) -> list[dict[str, Any]]:
    """A complete streamed answer of `/api/chat`."""
    return [*(chat_line(piece) for piece in pieces), chat_end(**totals)]


def generate_line(response: str = "", *, done: bool = False, **fields: Any) -> dict[str, Any]:
    """A line of `/api/generate`."""
    return {"model": "tiny", "created_at": CREATED_AT, "response": response, "done": done, **fields}
