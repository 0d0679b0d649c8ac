"""What servers of bridges answer."""

from __future__ import annotations

from typing import Any

HELLO = [{"role": "user", "content": "Hello"}]


def answer(text: str = "Hi", *, done_reason: str = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer of Ollama's, or the last piece of one."""
    return {
        "model": "m",
        "message": {"role": "assistant", "content": text, **message},
        "done": True,
        "done_reason": done_reason,
        "prompt_eval_count": 7,
        "eval_count": 2,
    }


def part(text: str) -> dict[str, Any]:
    """A piece of a streamed answer."""
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}


def installed(digest: str = "sha256:1") -> dict[str, Any]:
    """``/api/tags`` of a server with the model m."""
    return {"models": [{"name": "m:latest", "digest": digest}]}
