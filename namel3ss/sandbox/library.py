"""The models that are installed, and the files they are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from namel3ss.sandbox.made_up import made_up_model
from namel3ss.sandbox.names import ModelName
from namel3ss.sandbox.tiny import TINY_NAMES, tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.sandbox.clock import Clock
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.options import SandboxOptions

__all__ = ["Blob", "Library", "model_named"]


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file; only its beginning is kept."""

    size: int
    head: bytes = b""


def model_named(name: ModelName, modified_ns: int) -> Model:
    """The model that a registry has under this name: a tiny one, or a made-up one."""
    if name.namespace.lower() == "library":
        known = f"{name.model}:{name.tag}".lower()
        if known in TINY_NAMES:
            return tiny_model(known, name, modified_ns)
    return made_up_model(name, modified_ns)


class Library:
    """What is installed. Names are found without regard to case."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        self._clock = clock
        self._models: dict[tuple[str, str, str, str], Model] = {}
        self._blobs: dict[str, Blob] = {}
        names = [*(TINY_NAMES if options.tiny else ()), *options.installed]
        for text in names:
            self.add(model_named(ModelName.parse(text), clock.now_ns()))

    def __iter__(self) -> Iterator[Model]:
        """Most recently changed first."""
        return iter(sorted(self._models.values(), key=lambda model: -(model.modified_ns // 1_000_000_000)))

    def find(self, name: ModelName) -> Model | None:
        return self._models.get(name.key)

    def spelled(self, name: ModelName) -> ModelName:
        """The name with those parts that are in use already spelled as they are there."""
        parts = {"host": name.host, "namespace": name.namespace, "model": name.model, "tag": name.tag}
        for model in self._models.values():
            for part, text in parts.items():
                used: str = getattr(model.name, part)
                if used.lower() == text.lower():
                    parts[part] = used
        return replace(name, **parts)

    def add(self, model: Model) -> None:
        old = self._models.get(model.name.key)
        self._models[model.name.key] = model
        for layer in (*model.layers, model.config):
            self._blobs.setdefault(layer.digest, Blob(layer.size, b"GGUF" if layer.kind == "model" else b""))
        if old is not None:
            self._drop_unused(old)

    def copy(self, source: Model, name: ModelName) -> None:
        self.add(source.renamed(name, self._clock.now_ns()))

    def remove(self, model: Model) -> None:
        del self._models[model.name.key]
        self._drop_unused(model)

    def _drop_unused(self, model: Model) -> None:
        used = {layer.digest for each in self._models.values() for layer in (*each.layers, each.config)}
        for layer in (*model.layers, model.config):
            if layer.digest not in used:
                self._blobs.pop(layer.digest, None)

    def blob(self, digest: str) -> Blob | None:
        return self._blobs.get(digest)

    def store(self, digest: str, blob: Blob) -> None:
        self._blobs[digest] = blob

    def with_weights(self, digest: str) -> Model | None:
        """An installed model that runs this file."""
        return next((each for each in self._models.values() if each.weights.digest == digest), None)
