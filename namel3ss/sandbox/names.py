"""Model names: `[scheme://][host/][namespace/]model[:tag]`, and the `:cloud` and `:local` suffixes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["ConflictingSourceError", "ModelName", "ModelReference", "Source"]

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_MISSING = "!missing!"
"""Stands for an empty part beside a separator: no valid part looks like it."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelName:
    """A name with its defaults filled in; `is_valid` says whether it may be used."""

    host: str
    namespace: str
    model: str
    tag: str
    scheme: str

    @classmethod
    def parse(cls, text: str) -> ModelName:
        tag = host = namespace = scheme = ""
        rest = text
        if rest.rfind(":") > rest.rfind("/"):
            rest, tag = _cut_last(rest, ":")
        model = rest
        if "/" in rest:
            rest, model = _cut_last(rest, "/")
            namespace = rest
            if "/" in rest:
                host, namespace = _cut_last(rest, "/")
                before, separator, after = host.partition("://")
                if separator:
                    scheme, host = before, after
        return cls(
            host=host or DEFAULT_HOST,
            namespace=namespace or DEFAULT_NAMESPACE,
            model=model,
            tag=tag or DEFAULT_TAG,
            scheme=scheme or "https",
        )

    @property
    def is_valid(self) -> bool:
        return bool(
            _HOST.fullmatch(self.host)
            and _NAMESPACE.fullmatch(self.namespace)
            and _PART.fullmatch(self.model)
            and _PART.fullmatch(self.tag)
        )

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two names the same: every part, without regard to case."""
        return (self.host.lower(), self.namespace.lower(), self.model.lower(), self.tag.lower())

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def shortest(self) -> str:
        """As it is listed: the host and namespace only where they are not the default, always the tag."""
        if self.host.lower() != DEFAULT_HOST:
            return self.full
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"


def _cut_last(text: str, separator: str) -> tuple[str, str]:
    before, _, after = text.rpartition(separator)
    return before or _MISSING, after or _MISSING


class Source(Enum):
    """Where a request wants the model to run, said by a suffix of its name."""

    UNSAID = "unsaid"
    LOCAL = "local"
    CLOUD = "cloud"


class ConflictingSourceError(ValueError):
    """Both `:cloud` and `:local` were given."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model as a request names it: `base` is the name without the suffix that says where it runs."""

    original: str
    base: str
    source: Source

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        original = text.strip()
        base, source = _split_source(original)
        if source is not Source.UNSAID and _split_source(base)[1] is not Source.UNSAID:
            raise ConflictingSourceError(original)
        return cls(original, base, source)

    @property
    def name(self) -> ModelName:
        return ModelName.parse(self.base)

    @property
    def pull_name(self) -> ModelName:
        """The name that pull and delete use: a cloud model is known there by its tag."""
        if self.source is not Source.CLOUD:
            return self.name
        has_tag = self.base.rfind(":") > self.base.rfind("/")
        return ModelName.parse(f"{self.base}-cloud" if has_tag else f"{self.base}:cloud")


def _split_source(text: str) -> tuple[str, Source]:
    before, separator, suffix = text.rpartition(":")
    if not separator:
        return text, Source.UNSAID
    suffix = suffix.strip()
    lowered = suffix.lower()
    if lowered in ("cloud", "local"):
        return before, Source(lowered)
    if "/" not in suffix and lowered.endswith("-cloud"):
        return f"{before}:{suffix[: -len('-cloud')]}", Source.CLOUD
    return text, Source.UNSAID
