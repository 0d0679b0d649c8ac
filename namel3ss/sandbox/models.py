"""What the server knows about a model: its files, what runs it, and how it is described to clients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.rendering import thinking_tags, uses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from namel3ss.sandbox.names import ModelName
    from namel3ss.sandbox.requests import Message, Tool
    from namel3ss.sandbox.vocabulary import Tokenizer

__all__ = [
    "DEFAULT_TEMPLATE",
    "Brain",
    "Job",
    "Layer",
    "Model",
    "Tensor",
    "Weights",
    "digest_of",
    "manifest_digest",
]

DEFAULT_TEMPLATE = "{{ .Prompt }}"


def digest_of(data: bytes) -> str:
    """A digest as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One answer to be written.

    `messages` is empty for a raw prompt. `format` is None, "json" or a JSON schema. `thinks` says whether a
    thinking model may begin with its thoughts.
    """

    model: str
    prompt: str
    tokens: Sequence[int]
    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    format: str | Mapping[str, object] | None = None
    thinks: bool = False
    suffix: str = ""


class Brain(Protocol):
    """What takes the place of running a model."""

    def write(self, job: Job) -> Iterator[str]:
        """The answer, one token's text at a time, until it is complete; it may go on for ever."""
        ...

    def embed(self, text: str, width: int) -> list[float]:
        """A vector that depends on the text alone."""
        ...


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, as `show` lists it."""

    name: str
    shape: tuple[int, ...]
    type: str = "F32"


@dataclass(frozen=True, slots=True)
class Weights:
    """The file that a runner loads. Models with the same file share a runner."""

    digest: str
    size: int
    family: str
    parameter_count: int
    parameter_size: str
    quantization: str
    """As `show` prints it; `unknown` where the file does not say."""
    stored_as: str
    """What newer servers print in its place."""
    context_length: int
    embedding_length: int
    base_memory: int
    memory_per_token: int
    info: Mapping[str, object]
    tensors: tuple[Tensor, ...]
    tokenizer: Tokenizer
    brain: Brain
    embeds: bool = False
    sees: bool = False

    def memory(self, context: int) -> int:
        return self.base_memory + self.memory_per_token * context


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of a model, as registries know it."""

    kind: str
    digest: str
    size: int

    @classmethod
    def of(cls, kind: str, data: bytes) -> Layer:
        return cls(kind, digest_of(data), len(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An installed model."""

    name: ModelName
    weights: Weights
    modified_ns: int
    layers: tuple[Layer, ...]
    config: Layer
    digest: str
    parent: str
    """The model it was created from; empty when it came from a file."""
    template: str = DEFAULT_TEMPLATE
    system: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    licences: tuple[str, ...] = ()
    extra_capabilities: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers) + self.config.size

    @property
    def capabilities(self) -> list[str]:
        found = ["embedding" if self.weights.embeds else "completion"]
        if self.weights.sees:
            found.append("vision")
        found += [each for each in self.extra_capabilities if each not in found]
        mentioned = uses(self.template)
        if "tools" in mentioned:
            found.append("tools")
        if "suffix" in mentioned:
            found.append("insert")
        if "thinking" not in found and thinking_tags(self.template):
            found.append("thinking")
        return found

    def renamed(self, name: ModelName, modified_ns: int) -> Model:
        return replace(self, name=name, modified_ns=modified_ns)


def manifest_digest(layers: Sequence[Layer], config: Layer) -> str:
    """The digest that stands for the whole model, without its `sha256:`."""
    listed = [[layer.kind, layer.digest, layer.size] for layer in (*layers, config)]
    return hashlib.sha256(encode(listed)).hexdigest()
