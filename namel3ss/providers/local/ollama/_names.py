"""Ollama's rules for model names: ``[scheme://][host/][namespace/]model[:tag]``.

A name is read from the right: what follows the last colon after the last slash is the tag, the last slash splits
off the model, the one before it the namespace, and all that is left is the host. What is missing has a default,
and names compare part by part without regard to case, so ``llama3``, ``Library/LLAMA3:latest`` and
``registry.ollama.ai/library/llama3`` are one model.

Before that a word for where the model runs is taken off: a last ``:local`` or ``:cloud``, or a tag that ends in
``-cloud``. A cloud model is listed, pulled and deleted under a tag that keeps the word (``m:cloud``,
``m:20b-cloud``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ModelName",
    "find_model",
    "model_key",
    "name_problem",
    "nearest_models",
    "parse_model_name",
    "same_model",
]

_DEFAULT_HOST = "registry.ollama.ai"
_DEFAULT_NAMESPACE = "library"
_DEFAULT_TAG = "latest"


@dataclass(frozen=True, slots=True)
class ModelName:
    """A valid name, every part filled in and spelt as it was written. Compare by `key`, show by `str()`."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def key(self) -> str:
        """Equal for two spellings of one model."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}".lower()

    @property
    def is_cloud(self) -> bool:
        """Whether Ollama would run it elsewhere."""
        tag = self.tag.lower()
        return tag == "cloud" or tag.endswith("-cloud")

    def __str__(self) -> str:
        """The name as the server lists it: defaults left out, but always with the tag."""
        short = f"{self.model}:{self.tag}"
        if self.host.lower() != _DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{short}"
        if self.namespace.lower() != _DEFAULT_NAMESPACE:
            return f"{self.namespace}/{short}"
        return short


def parse_model_name(text: str) -> ModelName:
    """The parts of `text`. Raises ValueError with the reason in plain words."""
    raw = text.strip()
    if not raw:
        raise ValueError("the name is empty")
    parts = _split(_without_source(raw))
    return ModelName(
        host=_checked("host", parts.host, parts, raw),
        namespace=_checked("namespace", parts.namespace, parts, raw),
        model=_checked("model", parts.model, parts, raw),
        tag=_checked("tag", parts.tag, parts, raw),
    )


def name_problem(text: object) -> str | None:
    """Why `text` is no model name, as a clause in plain words; None when it is one."""
    if not isinstance(text, str):
        return f"it is a value of type {type(text).__name__}"
    try:
        parse_model_name(text)
    except ValueError as problem:
        return str(problem)
    return None


def model_key(name: str) -> str:
    """Equal for two spellings of one model; a name that is not valid stands for itself, without case."""
    try:
        return parse_model_name(name).key
    except ValueError:
        return name.strip().lower()


def same_model(one: str, other: str) -> bool:
    """Whether two spellings mean one model; names that are not valid compare as plain text without case."""
    return model_key(one) == model_key(other)


def find_model(name: str, installed: Iterable[str]) -> str | None:
    """The installed name that means the same model as `name`, spelt as the server spells it."""
    wanted = model_key(name)
    return next((known for known in installed if model_key(known) == wanted), None)


def nearest_models(name: str, installed: Iterable[str], limit: int = 3) -> list[str]:
    """Installed names that somebody who wrote `name` may have meant, the likeliest first.

    Another tag of the same model comes first, then the same family (``llama3`` and ``llama3.1``), then names
    that look alike.
    """
    wanted = name.strip().lower()
    stem = _stem(wanted)
    ranked: list[tuple[int, float, str]] = []
    for known in installed:
        other = known.lower()
        # Without their tags too: `tinny` is like `tiny`, however unlike it is `tiny:latest`.
        likeness = max(_likeness(wanted, other), _likeness(stem, _stem(other)) - 0.15)
        if _stem(other) == stem:
            ranked.append((0, -likeness, known))
        elif stem and (_stem(other).startswith(stem) or stem.startswith(_stem(other))):
            ranked.append((1, -likeness, known))
        elif likeness >= 0.6:
            ranked.append((2, -likeness, known))
    return [known for _, _, known in sorted(ranked)[:limit]]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _stem(name: str) -> str:
    """The model's own word, without place and tag."""
    return name.rpartition("/")[2].partition(":")[0]


def _without_source(raw: str) -> str:
    """`raw` in the form that is listed and pulled: ``:local`` taken off, ``:cloud`` made part of the tag."""
    base, source = _cut_source(raw)
    if source is None:
        return raw
    if _cut_source(base)[1] is not None:
        raise ValueError("it says twice where the model runs; use either :local or :cloud")
    if source == "local":
        return base
    has_tag = base.rfind(":") > base.rfind("/")
    return f"{base}-cloud" if has_tag else f"{base}:cloud"


def _cut_source(raw: str) -> tuple[str, str | None]:
    head, colon, tail = raw.rpartition(":")
    word = tail.strip().lower()
    if not colon:
        return raw, None
    if word in ("cloud", "local"):
        return head, word
    if "/" not in word and word.endswith("-cloud"):
        return f"{head}:{tail.strip()[: -len('-cloud')]}", "cloud"
    return raw, None


class _Parts(NamedTuple):
    """The four parts, not checked yet; None where a separator promises a part and nothing stands there."""

    host: str | None
    namespace: str | None
    model: str | None
    tag: str | None


def _split(raw: str) -> _Parts:
    rest: str | None = raw
    tag: str | None = _DEFAULT_TAG
    if raw.rfind(":") > raw.rfind("/"):
        head, _, tail = raw.rpartition(":")
        rest, tag = head or None, tail or None
    if rest is None or "/" not in rest:
        return _Parts(_DEFAULT_HOST, _DEFAULT_NAMESPACE, rest, tag)
    place, _, model = rest.rpartition("/")
    if "/" not in place:
        return _Parts(_DEFAULT_HOST, place or None, model or None, tag)
    host, _, namespace = place.rpartition("/")
    scheme, separator, address = host.partition("://")
    host = address or _DEFAULT_HOST if separator else scheme
    return _Parts(host or None, namespace or None, model or None, tag)


class _Rule(NamedTuple):
    characters: re.Pattern[str]
    length: int
    allowed: str


_RULES = {
    "host": _Rule(re.compile(r"[A-Za-z0-9_.:-]+"), 350, "letters, digits, _ . - and :"),
    "namespace": _Rule(re.compile(r"[A-Za-z0-9_-]+"), 80, "letters, digits, _ and -"),
    "model": _Rule(re.compile(r"[A-Za-z0-9_.-]+"), 80, "letters, digits, _ . and -"),
    "tag": _Rule(re.compile(r"[A-Za-z0-9_.-]+"), 80, "letters, digits, _ . and -"),
}


def _checked(part: str, value: str | None, parts: _Parts, raw: str) -> str:
    rule = _RULES[part]
    if value is None:
        raise ValueError(f"the {part} is empty")
    if len(value) > rule.length:
        raise ValueError(f"the {part} has {len(value)} characters; at most {rule.length} are allowed")
    if not rule.characters.fullmatch(value):
        raise ValueError(_why_not(part, value, parts, raw))
    if not re.match(r"[A-Za-z0-9_]", value):
        raise ValueError(f"the {part} {value!r} must begin with a letter, a digit or _")
    return value


def _why_not(part: str, value: str, parts: _Parts, raw: str) -> str:
    """The likely mistake behind a character that is not allowed."""
    if re.search(r"\s", value):
        return f"the {part} {value!r} holds a blank"
    if "@" in raw:
        return "names cannot hold a digest (@sha256:…); use a tag"
    if part == "host" and "/" in value:
        return "there are too many parts; a name is at most host/namespace/model:tag"
    if part == "model" and ":" in value:
        return f"there is more than one tag: {raw[raw.find(':') :]!r}"
    if part == "namespace" and "." in value:
        return (
            f"{value!r} stands where the namespace goes and holds a dot; a registry's name needs three parts: "
            f"{value}/NAMESPACE/{parts.model}"
        )
    return f"the {part} {value!r} holds a character that is not allowed; use {_RULES[part].allowed}"
