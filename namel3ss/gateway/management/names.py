"""Names of models that may be pulled, made or sent away: a stricter grammar than Ollama's own. Without I/O.

Ollama reads a registry's host, a scheme and where a model runs out of a name, and then talks to that host. Here a name is
`[namespace/]model[:tag]` in the default registry and nothing else, so that no caller can have a server connect to a
place of their choice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.authority import name_matches
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.providers.local.ollama import parse_model_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.providers.local.ollama import ModelName

__all__ = ["check_digest", "check_pullable", "registry_name"]

_GRAMMAR: Final = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,79}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?",
    re.ASCII,
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_SHOWN: Final = 100


def registry_name(name: str, *, cloud_models: bool = False) -> ModelName:
    """The parts of a name in the default registry. Raises Refusal that says what is wrong with any other.

    One whose model runs elsewhere is refused unless the gateway lets `cloud_models` be called.
    """
    if not _GRAMMAR.fullmatch(name) or ".." in name:
        raise Refusal(
            Reason.bad_request,
            f"invalid model name: {_what_is_wrong(name)}.",
            suggestion="A name is model:tag or namespace/model:tag.",
        )
    if name.lower().endswith(":local"):
        # Ollama takes this for a place where the model runs, and pulls another tag than the one that is written.
        raise Refusal(
            Reason.bad_request, "invalid model name: `:local` is no tag.", suggestion="Leave it out."
        )
    parsed = parse_model_name(name)
    if parsed.is_cloud and not cloud_models:
        raise Refusal(
            Reason.cloud_model,
            f"The model '{name}' runs elsewhere, and prompts are not to leave this site.",
            suggestion="Use a model that runs here, or ask an administrator about `cloud_models`.",
        )
    return parsed


def check_pullable(name: str, allowed: Iterable[str], *, cloud_models: bool = False) -> str:
    """The name as a server is to be asked for it. Raises Refusal for one that no pattern of the file allows."""
    asked = str(registry_name(name, cloud_models=cloud_models))
    if not any(name_matches(pattern, asked) for pattern in allowed):
        raise Refusal(
            Reason.model_not_allowed,
            f"The model '{name}' may not be pulled here.",
            suggestion="An administrator can allow it under `pull: { allow: [ … ] }`.",
        )
    return asked


def check_digest(digest: str) -> str:
    """The digest, which becomes a part of a path. Raises Refusal, in Ollama's words, for anything else."""
    if not _DIGEST.fullmatch(digest):
        raise Refusal(Reason.bad_request, "invalid digest format")
    return digest


def _what_is_wrong(name: str) -> str:
    shown = name[:_SHOWN]
    if not name:
        return "it is empty"
    if re.search(r"\s", name) or not name.isprintable():
        return "it holds a blank or a character that cannot be seen"
    if "://" in name:
        return f"{shown!r} has a scheme"
    if "@" in name:
        return f"{shown!r} has an @, and digests are not names"
    if ".." in name:
        return f"{shown!r} holds two dots"
    if name.count("/") > 1 or ("/" in name and "." in name.partition("/")[0]):
        return f"{shown!r} names a registry, and only the default one is used"
    return f"{shown!r} is not of letters, digits, _ . and -, in parts of at most 80"
