"""What a sandbox is started with; checked when the options are made, so that a server never starts half wrong."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Literal, get_args

from namel3ss.errors import UsageError
from namel3ss.sandbox.names import ModelName

__all__ = ["Fault", "OllamaVersion", "SandboxOptions"]

OllamaVersion = Literal["0.24.0", "0.33.0-rc2"]


class Fault(StrEnum):
    """A way for the server to fail on purpose, so that programs can be tested against it."""

    QUEUE_FULL = "queue_full"
    """Every request that needs a model is refused: 503, server busy."""
    NO_RUNNER = "no_runner"
    """No model can be loaded: 500 before the first byte."""
    RUNNER_DIES = "runner_dies"
    """The model runner ends part way through an answer: an error line inside a 200."""
    SERVER_DIES = "server_dies"
    """The connection is cut part way through an answer: the body never ends."""
    REGISTRY_DOWN = "registry_down"
    """The registry refuses connections: a pull fails at its first step."""
    REGISTRY_UNRESOLVED = "registry_unresolved"
    """The registry's name cannot be looked up, as on a machine without a network."""
    REGISTRY_PLAIN_HTTP = "registry_plain_http"
    """The registry speaks no TLS: a pull over https fails."""
    CORRUPT_LAYER = "corrupt_layer"
    """The first layer arrives damaged: the pull fails when digests are verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """How a sandbox behaves. Every field has a default that suits a first run.

    host: a loopback address; another one is refused unless `allow_remote` is set.
    port: 0 takes a free one.
    tokens_per_second: the pace of an answer; None is as fast as the machine allows.
    load_delay: seconds that loading a model takes.
    context: the default context window in tokens, as `OLLAMA_CONTEXT_LENGTH` is for Ollama.
    installed: names of models that count as installed from the start.
    tiny: whether the recorded tiny models are installed too.
    ollama_version: whose answers are given where the two versions differ.
    pull_seconds: how long a pull of a whole model takes.
    unknown_models: names that the pretended registry does not know.
    faults: ways to fail on purpose.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    tokens_per_second: float | None = None
    load_delay: float = 0.0
    context: int = 4096
    installed: tuple[str, ...] = ()
    tiny: bool = True
    ollama_version: OllamaVersion = "0.24.0"
    pull_seconds: float = 1.0
    unknown_models: tuple[str, ...] = ()
    faults: frozenset[Fault] = frozenset()

    def __post_init__(self) -> None:
        self._check_host()
        if not 0 <= self.port <= 65535:
            raise UsageError(f"The port {self.port} is not between 0 and 65535.")
        if self.tokens_per_second is not None and not (
            isfinite(self.tokens_per_second) and self.tokens_per_second > 0
        ):
            raise UsageError(f"tokens_per_second must be a positive number, not {self.tokens_per_second}.")
        for name, seconds in (("load_delay", self.load_delay), ("pull_seconds", self.pull_seconds)):
            if not (isfinite(seconds) and seconds >= 0):
                raise UsageError(f"{name} must be a number of seconds, zero or more, not {seconds}.")
        if self.context < 4:
            raise UsageError(f"context must be at least 4 tokens, not {self.context}.")
        if self.ollama_version not in get_args(OllamaVersion):
            known = " and ".join(get_args(OllamaVersion))
            raise UsageError(f"The sandbox answers like Ollama {known}, not {self.ollama_version!r}.")
        for field in (self.installed, self.unknown_models):
            for model in field:
                if not ModelName.parse(model).is_valid:
                    raise UsageError(
                        f"{model!r} is not a model name.", suggestion="Names look like llama3 or llama3:8b."
                    )

    def _check_host(self) -> None:
        if self.allow_remote or self.host == "localhost":
            return
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise UsageError(
                f"The sandbox would be reachable from other machines on {self.host}.",
                suggestion="Use 127.0.0.1, or allow it explicitly (allow_remote=True).",
            )
