"""What `show` tells: everything to operators, to others only what says how a model can be called. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from namel3ss.gateway.management.listing import without_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["for_everybody"]

# A list of what is told: a field that a later server adds stays hidden until it stands here. System prompt, template,
# parameters, messages, licence and Modelfile are the owner's, and the last two hold paths of the server's machine.
_TOLD: Final = (
    "details",
    "model_info",
    "projector_info",
    "tensors",
    "capabilities",
    "modified_at",
    "remote_model",
    "requires",
)
_HIDDEN_INFO: Final = ("general.license", "tokenizer.chat_template")


def for_everybody(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The server's answer, for a key that may use the model and no more."""
    told = {field: answer[field] for field in _TOLD if field in answer}
    info = told.get("model_info")
    if isinstance(info, dict):
        told["model_info"] = {key: value for key, value in info.items() if not key.startswith(_HIDDEN_INFO)}
    return without_paths(told)
