"""An answer as a turn of the conversation that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.providers.base import ProviderResponse

__all__ = ["assistant_turn"]


def assistant_turn(response: ProviderResponse) -> dict[str, Any]:
    """The assistant's turn that a response is, block for block as the API gave it.

    Thinking keeps its signature, without which the API takes it back from nobody: when the answers of tools follow,
    the turn has to be passed this way. Raises UsageError for another provider's response.
    """
    content = response.metadata.get("content")
    if not isinstance(content, list):
        raise UsageError(
            "The response holds no blocks of Anthropic's.",
            suggestion="assistant_turn takes what an AnthropicProvider has answered.",
        )
    return {"role": "assistant", "content": [dict(block) for block in content]}
