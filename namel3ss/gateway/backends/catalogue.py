"""What one server has: its models and those it has loaded, read from its own answers.

Everything here comes from a server that may be old, new, or not Ollama at all: what does not read is refused, what is
missing is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.providers.local.ollama import model_key, parse_model_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Catalogue",
    "Details",
    "Installed",
    "UnreadableAnswerError",
    "read_details",
    "read_listing",
    "read_version",
]

# Families that a server never gives more than one request at a time, whatever OLLAMA_NUM_PARALLEL says.
_ONE_AT_A_TIME: Final = frozenset(
    {
        "mllama", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe", "nemotron_h",
        "nemotron_h_moe", "nemotron_h_omni",
    }
)  # fmt: skip
_BLOB: Final = re.compile(r"^FROM .*\bsha256-([0-9a-f]{64})\s*$", re.MULTILINE)


class UnreadableAnswerError(Exception):
    """A server's answer is not what Ollama answers."""


class _Details(msgspec.Struct):
    family: str = ""


class _Model(msgspec.Struct):
    name: str
    digest: str = ""
    details: _Details = msgspec.field(default_factory=_Details)
    capabilities: list[str] | None = None


class _Listing(msgspec.Struct):
    models: list[_Model]


class _Shown(msgspec.Struct):
    modelfile: str = ""
    details: _Details = msgspec.field(default_factory=_Details)
    capabilities: list[str] | None = None


class _Version(msgspec.Struct):
    version: str


_LISTINGS: Final = msgspec.json.Decoder(_Listing)
_SHOWN: Final = msgspec.json.Decoder(_Shown)
_VERSIONS: Final = msgspec.json.Decoder(_Version)


@dataclass(frozen=True, slots=True)
class Installed:
    """One model as a server lists it. `capabilities` is None where the list does not tell."""

    name: str
    digest: str
    family: str
    capabilities: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Details:
    """What a server shows of one model. `blob`: the file its runner is for, which several models may share."""

    family: str
    capabilities: frozenset[str] | None
    blob: str | None


def read_version(body: bytes) -> str:
    """Raises UnreadableAnswerError for anything that is no version of Ollama's."""
    try:
        version = _VERSIONS.decode(body).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswerError("the answer to /api/version is not Ollama's") from error
    if not version.strip():
        raise UnreadableAnswerError("the answer to /api/version names no version")
    return version.strip()[:40]


def read_listing(body: bytes) -> tuple[Installed, ...]:
    """The models of /api/tags or /api/ps. Raises UnreadableAnswerError."""
    try:
        models = _LISTINGS.decode(body).models
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswerError("the list of models is not Ollama's") from error
    return tuple(
        Installed(
            model.name,
            model.digest,
            model.details.family,
            None if model.capabilities is None else frozenset(model.capabilities),
        )
        for model in models
    )


def read_details(body: bytes) -> Details:
    """What /api/show says. Raises UnreadableAnswerError."""
    try:
        shown = _SHOWN.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswerError("what it shows of a model is not Ollama's") from error
    found = _BLOB.search(shown.modelfile)
    return Details(
        shown.details.family,
        None if shown.capabilities is None else frozenset(shown.capabilities),
        None if found is None else found[1],
    )


@dataclass(slots=True)
class Catalogue:
    """What is known of one server's models. `installed` is None until it has been read."""

    installed: Mapping[str, Installed] | None = None
    """By the form of the name in which spellings are compared."""
    loaded: tuple[Installed, ...] = ()
    _details: dict[str, Details] = field(default_factory=dict)
    # What failed with 404 since the list was read.
    _gone: set[str] = field(default_factory=set)

    def take_installed(self, models: Iterable[Installed]) -> frozenset[str]:
        """Take over a new list; the keys of the models whose digest is another one now."""
        before, self._gone = self.installed or {}, set()
        self.installed = {model_key(model.name): model for model in models}
        digests = {model.digest for model in self.installed.values()}
        self._details = {digest: known for digest, known in self._details.items() if digest in digests}
        return frozenset(
            key
            for key, model in before.items()
            if key in self.installed and self.installed[key].digest != model.digest
        )

    def find(self, name: str) -> Installed | None:
        key = model_key(name)
        return None if self.installed is None or key in self._gone else self.installed.get(key)

    def lacks(self, name: str) -> bool:
        """Whether the server is known not to have a model."""
        return model_key(name) in self._gone or (self.installed is not None and self.find(name) is None)

    def lost(self, name: str, spelling: str) -> bool:
        """The server said that it does not have a model, which it was asked for in this spelling; whether that is so.

        Some of Ollama's routes find a model only as it is listed, in its very case: one caller's `Tiny` must not take
        `tiny` from the others.
        """
        model = self.find(name)
        if model is not None and not _is_spelt(model, spelling):
            return False
        self._gone.add(model_key(name))
        return True

    def details(self, model: Installed) -> Details | None:
        return self._details.get(model.digest)

    def learn(self, model: Installed, details: Details) -> None:
        self._details[model.digest] = details

    def runner_of(self, name: str) -> str | None:
        """What stands for the runner that answers for a model: all that share it share its slots."""
        model = self.find(name)
        if model is None:
            return None
        details = self.details(model)
        return (details.blob if details is not None else None) or model.digest or None

    def can(self, name: str) -> frozenset[str] | None:
        """What a model can do; None where the server has not said."""
        model = self.find(name)
        if model is None:
            return None
        details = self.details(model)
        return model.capabilities if details is None else details.capabilities

    def one_at_a_time(self, name: str) -> bool:
        """Whether the server itself takes only one request of this model at a time."""
        model = self.find(name)
        if model is None:
            return False
        capabilities = self.can(name)
        embeds_only = capabilities is not None and "completion" not in capabilities
        return embeds_only or model.family in _ONE_AT_A_TIME


def _is_spelt(model: Installed, spelling: str) -> bool:
    """Whether it is as the server lists it, apart from what may be left out of a name."""
    try:
        return parse_model_name(spelling) == parse_model_name(model.name)
    except ValueError:
        return spelling == model.name
