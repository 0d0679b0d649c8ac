"""What the config models of every provider with a server share: how one is made, and what the client does.

The settings themselves stand in each provider's own model, in the order in which people read them; a setting that means
the same everywhere is made here, so that it has one type, one range and one set of synonyms.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import display_url
from namel3ss.providers.setting_problems import merge_places, validate_settings
from namel3ss.providers.settings import ProviderConfig, setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "DURATION",
    "LIMIT",
    "RemoteConfig",
    "connect_timeout",
    "first_token_timeout",
    "health_check_interval",
    "idle_timeout",
    "max_concurrency",
    "max_retries",
    "total_timeout",
]

DURATION: Final = "a duration such as 30s or 1h30m, or a number of seconds"
LIMIT: Final = f"{DURATION}, or none"


class RemoteConfig(ProviderConfig, abc.ABC):
    """The settings of one model on a server."""

    # What a provider is made with, its connections and what it remembers: no single call can change it.
    lasting: ClassVar[frozenset[str]] = frozenset(
        ["base_url", "api_key", "headers", "connect_timeout", "health_check_interval", "max_concurrency"]
    )

    @classmethod
    @abc.abstractmethod
    def provider_word(cls) -> str:
        """The provider's name, for messages about its settings."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # A URL may hold a password.
        for name, value in super().__repr_args__():
            yield name, display_url(value) if name == "base_url" and isinstance(value, str) else value

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object] | None) -> Self:
        """The config of settings written flat, or nested under ``config`` and ``deployment_config``.

        Raises UsageError that names the key, its value and what may be written.
        """
        return cls._read(merge_places({} if mapping is None else mapping))

    def overridden(self, overrides: Mapping[str, object]) -> Self:
        """This config with some settings replaced for one call.

        Raises UsageError as `from_mapping` does, and for another value of a `lasting` setting: the call would go on
        as if nobody had written it.
        """
        return self._for_one_call(self._written(), overrides) if overrides else self

    def _for_one_call(self, written: Mapping[str, object], overrides: Mapping[str, object]) -> Self:
        config = self._read({**written, **overrides})
        for name in overrides:
            if name in self.lasting and getattr(config, name) != getattr(self, name):
                raise UsageError(
                    f"{self.provider_word()} settings: {name} cannot be changed for one call.",
                    suggestion="Make another provider for it.",
                )
        return config

    @classmethod
    def _read(cls, values: Mapping[str, object]) -> Self:
        return validate_settings(cls, values, owner=f"{cls.provider_word()} settings")

    def _written(self) -> dict[str, object]:
        """What somebody wrote, without the defaults."""
        return {name: getattr(self, name) for name in self.model_fields_set}


# -- what the client does -------------------------------------------------------------------------------------


def connect_timeout(doc: str = "The longest wait for a connection.") -> Any:
    """A field for seconds; what ends this wait never reached the server."""
    return setting(5.0, doc=doc, form=DURATION, unit="seconds", gt=0)


def first_token_timeout(doc: str = "The longest wait for the first piece of an answer.") -> Any:
    """A field for seconds or none; only an answer in pieces has a first one."""
    return setting(300.0, doc=doc, form=LIMIT, unit="seconds", gt=0)


def idle_timeout() -> Any:
    """A field for seconds or none; only a complete piece ends the wait."""
    return setting(
        60.0, doc="The longest pause between two pieces of an answer.", form=LIMIT, unit="seconds", gt=0
    )


def total_timeout() -> Any:
    """A field for seconds or none, with no limit by itself."""
    return setting(
        None,
        doc="The longest time for a whole answer.",
        form=LIMIT,
        unit="seconds",
        gt=0,
        placeholder="none",
        synonyms=("timeout", "request_timeout"),
    )


def max_concurrency() -> Any:
    """A field for a number of requests."""
    return setting(
        4,
        doc="How many requests of one batch run at the same time.",
        ge=1,
        le=10_000,
        synonyms=("concurrency", "max_parallel"),
    )


def max_retries(
    doc: str = "How often a request is sent again that a busy server has turned away.",
) -> Any:
    """A field for a number of further tries; `doc` says which failures they are for."""
    return setting(2, doc=doc, ge=0, le=100, synonyms=("retries",))


def health_check_interval(doc: str = "The shortest time between two health checks of the server.") -> Any:
    """A field for seconds; asked sooner, the last answer holds."""
    return setting(30.0, doc=doc, form=DURATION, unit="seconds")
