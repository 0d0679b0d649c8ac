"""Lists of models in the shapes that clients parse, made from what servers list. Without I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from namel3ss.gateway.plan import ServedModel

__all__ = ["ListedModel", "installed_models", "newest_first", "openai_entry", "tags_entry", "without_paths"]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_A_PATH: Final = re.compile(r"[\\/]blobs[\\/]|^/|^[A-Za-z]:[\\/]|\\")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model, on each server that has it."""

    name: str
    """As the first of these servers spells it."""
    entry: Mapping[str, Any]
    """What that server says of it, without paths of its machine."""
    digests: Mapping[str, str]
    """By server. They differ where one server has a newer version."""

    @property
    def changed_at(self) -> datetime:
        return _time(self.entry.get("modified_at"))

    @property
    def runs_elsewhere(self) -> bool:
        return bool(self.entry.get("remote_host") or self.entry.get("remote_model"))


def installed_models(lists: Mapping[str, Mapping[str, Any]]) -> dict[str, ListedModel]:
    """What the servers' answers to `/api/tags` hold, by the key that all spellings of a name share.

    What is no entry of a list is passed over.
    """
    found: dict[str, ListedModel] = {}
    for server, answer in lists.items():
        for entry in _entries(answer):
            name = entry["name"]
            known = found.get(model_key(name))
            digest = entry.get("digest")
            digests = {} if known is None else dict(known.digests)
            digests[server] = digest if isinstance(digest, str) else ""
            found[model_key(name)] = (
                ListedModel(name, without_paths(entry), digests)
                if known is None
                else ListedModel(known.name, known.entry, digests)
            )
    return found


def _entries(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The models of an answer, each with a name."""
    models = answer.get("models")
    entries: list[dict[str, Any]] = []
    for entry in models if isinstance(models, list) else ():
        name = entry.get("name") or entry.get("model") if isinstance(entry, dict) else None
        if isinstance(name, str) and name:
            entries.append({"name": name, "model": name} | entry)
    return entries


def without_paths(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry whose parent is a model or nothing. Servers may put the path of a file there."""
    details = entry.get("details")
    if not isinstance(details, dict):
        return dict(entry)
    parent = details.get("parent_model")
    if not isinstance(parent, str) or _A_PATH.search(parent) is None:
        return dict(entry)
    return {**entry, "details": {**details, "parent_model": ""}}


def newest_first(models: Iterable[ListedModel]) -> list[ListedModel]:
    """As Ollama orders them."""
    return sorted(models, key=lambda model: model.changed_at, reverse=True)


def tags_entry(model: ListedModel, served: Sequence[ServedModel], *, several_servers: bool) -> dict[str, Any]:
    """One model for Ollama's clients, and what else may be called so; they pass over fields that they do not know."""
    entry = dict(model.entry)
    if served:
        entry["declared_names"] = [each.name for each in served]
    if several_servers:
        entry["servers"] = dict(model.digests)
    return entry


def openai_entry(model: ListedModel, called: str) -> dict[str, Any]:
    """The same for clients of OpenAI's API, as Ollama writes it: under the name by which it is `called`."""
    *place, _ = model.name.split("/")
    return {
        "id": called,
        "object": "model",
        "created": int(model.changed_at.timestamp()),
        "owned_by": place[-1] if place else "library",
    }


def _time(text: object) -> datetime:
    """RFC 3339; what is none counts as long ago."""
    if not isinstance(text, str):
        return _EPOCH
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return _EPOCH
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
