"""What a sandbox is started with; checked when the options are made, so that a server never starts half wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from namel3ss.errors import UsageError
from namel3ss.sandbox.faults import Fault, FaultRule, parse_fault
from namel3ss.sandbox.names import ModelName

__all__ = ["Fault", "OllamaVersion", "SandboxOptions"]

OllamaVersion = Literal["0.24.0", "0.33.0-rc2"]


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
    faults: ways to fail on purpose; as text they look like ``cut:after=3`` (see `parse_fault`).
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
    faults: Collection[Fault | FaultRule | str] = ()

    def __post_init__(self) -> None:
        self._check_types()
        self._read_faults()
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

    @property
    def fault_rules(self) -> tuple[FaultRule, ...]:
        """Those faults that hit requests, in order."""
        return tuple(fault for fault in self.faults if isinstance(fault, FaultRule))

    def _check_types(self) -> None:
        for name in ("port", "context", "load_delay", "pull_seconds", "tokens_per_second"):
            value = getattr(self, name)
            kinds = int if name in ("port", "context") else (int, float)
            if name == "tokens_per_second" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise UsageError(f"{name} must be a number, not {value!r:.40}.")
        for name in ("installed", "unknown_models"):
            names = getattr(self, name)
            if isinstance(names, str) or not isinstance(names, Collection):
                raise UsageError(
                    f"{name} must be a tuple of names, not {names!r:.40}.",
                    suggestion='Write ("llama3:8b",), also where there is only one.',
                )
            if strange := [name for name in names if not isinstance(name, str)]:
                raise UsageError(f"{strange[0]!r:.40} is not a model name.")

    def _read_faults(self) -> None:
        given = [self.faults] if isinstance(self.faults, str) else self.faults
        faults = tuple(
            fault if isinstance(fault, Fault | FaultRule) else parse_fault(fault) for fault in given
        )
        object.__setattr__(self, "faults", faults)

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
                suggestion="Use 127.0.0.1; from Python, SandboxOptions(allow_remote=True) allows another.",
            )
