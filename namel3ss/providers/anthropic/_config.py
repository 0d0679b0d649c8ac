"""AnthropicConfig: every setting of `provider: anthropic`, once, with type, range, unit, meaning and default.

The language, completion, hover, JSON Schema and the settings table of the documentation read it from here. None means
that nobody wrote the setting: it is then not sent, and the API's own value holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo, field_validator

from namel3ss.errors import UsageError
from namel3ss.providers import remote_config
from namel3ss.providers.addresses import Address, display_url, is_loopback, parse_url
from namel3ss.providers.anthropic._address import API_KEY_ENV, BASE_URL_ENV, DEFAULT_URL
from namel3ss.providers.anthropic._tools import read_choice, wire_tools
from namel3ss.providers.remote_config import RemoteConfig
from namel3ss.providers.setting_rules import LARGEST_INT, ApiKey, Headers, Url, check_json
from namel3ss.providers.settings import Advice, Limit, Seconds, setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["AnthropicConfig"]

_APIS_OWN: Final = "the API's own"
_SMALLEST_BUDGET: Final = 1024  # tokens; the API refuses less
_THINKING: Final = f"off, adaptive, between_tools, or a whole number of at least {_SMALLEST_BUDGET}"
_NO_SAMPLING: Final = "2026-10-21"  # the first version of the API without the settings below
_SAMPLING: Final = ("temperature", "top_p", "top_k")

_NOT_EXTRA: Final = ("model", "messages", "system", "stream")
_CREDENTIALS: Final = frozenset(["authorization", "x-api-key"])

CacheTtl: TypeAlias = Literal["5m", "1h"]


# -- the rules of single settings ------------------------------------------------------------------------------


def _check_tools(tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if tools is None else wire_tools(tools)


def _check_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict):
        return read_choice(choice)
    return choice


def _read_cache_control(value: object) -> object:
    """The API's own form, as its clients pass it, as the time alone."""
    if isinstance(value, dict) and value.get("type") == "ephemeral" and value.keys() <= {"type", "ttl"}:
        return value.get("ttl", "5m")
    return value


def _check_extra(extra: dict[str, Any]) -> dict[str, Any]:
    check_json(extra, "extra")
    for name in _NOT_EXTRA:
        if name in extra:
            raise UsageError(
                f"extra.{name} is not a further field: `{name}` is in every request already.",
                suggestion=f"Leave {name} out of extra.",
            )
    return extra


def _check_words(words: list[str] | None) -> list[str] | None:
    for word in words or ():
        if not word.strip() or not word.isascii() or not word.isprintable() or "," in word:
            raise ValueError("no header can carry it")
    return words


Tools: TypeAlias = Annotated[list[dict[str, Any]] | None, AfterValidator(_check_tools)]
Choice: TypeAlias = Annotated[str | dict[str, Any] | None, AfterValidator(_check_choice)]
CacheControl: TypeAlias = Annotated[CacheTtl | None, BeforeValidator(_read_cache_control)]
Extra: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_extra)]
Words: TypeAlias = Annotated[list[str] | None, AfterValidator(_check_words)]


# -- the settings ---------------------------------------------------------------------------------------------


class AnthropicConfig(RemoteConfig):
    """The settings of one model of Anthropic. Immutable; durations are seconds; secrets do not show in its repr."""

    # The last two are headers of every request.
    lasting: ClassVar[frozenset[str]] = RemoteConfig.lasting | frozenset(["betas", "anthropic_version"])

    # What the model generates
    max_tokens: int = setting(
        4096,
        doc="The longest answer, thinking included. The API wants a number; most models write much longer answers.",
        unit="tokens",
        synonyms=("max_new_tokens", "max_output_tokens", "max_completion_tokens", "num_predict"),
        ge=1,
        le=LARGEST_INT,
    )
    temperature: float | None = setting(
        doc=(
            "How freely the model chooses its words: 0 is the most predictable, 1 the most varied. Newer models take no"
            " other than their own."
        ),
        placeholder=_APIS_OWN,
        ge=0,
        le=1,
    )
    top_p: float | None = setting(
        doc="Choose among the most likely tokens that together reach this probability.",
        placeholder=_APIS_OWN,
        ge=0,
        le=1,
    )
    top_k: int | None = setting(
        doc="Choose among the k most likely tokens only.",
        placeholder=_APIS_OWN,
        ge=0,
        le=LARGEST_INT,
    )
    stop: str | list[str] | None = setting(
        doc="A text, or several, at which the answer ends; the text itself is not part of the answer.",
        form="text or a list of texts",
        placeholder="none",
        synonyms=("stop_sequences", "stop_sequence"),
    )
    thinking: Literal["off", "adaptive", "between_tools"] | int | None = setting(
        doc=(
            "Whether the model thinks before it answers: adaptive lets it decide how much, a number of tokens is the most"
            " it may spend, less than max_tokens. Which of these a model takes depends on the model; newer ones take"
            " adaptive and no number."
        ),
        form=_THINKING,
        unit="tokens",
        placeholder="the model's own",
        synonyms=("think", "budget_tokens", "thinking_budget", "reasoning"),
    )
    thinking_display: Literal["summarized", "omitted"] | None = setting(
        doc="Whether thinking comes as a summary to read, or as a signature alone.",
        placeholder="the model's own",
    )
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = setting(
        doc="How much the model spends on an answer, thinking and tools included.",
        placeholder=_APIS_OWN,
        synonyms=("reasoning_effort",),
    )
    tools: Tools = setting(
        doc="What the model may call: tools of yours with a name, a description and an input_schema, or the API's own.",
        form="a list of tools",
        placeholder="none",
    )
    tool_choice: Choice = setting(
        doc="Which tool is called: auto lets the model decide, any demands one, none forbids it, a name demands that one.",
        form="auto, any, none, or the name of a tool",
        placeholder="auto",
    )
    parallel_tool_use: bool | None = setting(
        doc="Whether the model may call several tools in one answer.",
        placeholder="true",
        synonyms=("parallel_tool_calls",),
    )
    cache_control: CacheControl = setting(
        doc="How long the API keeps what it has read of the prompt, for the next request that begins the same.",
        placeholder="not kept",
        synonyms=("prompt_caching", "cache"),
    )
    service_tier: Literal["auto", "standard_only"] | None = setting(
        doc="Whether the account's priority capacity may be used.",
        placeholder=_APIS_OWN,
    )
    user_id: str | None = setting(
        doc="Who is asking, as an opaque id: the API may use it against abuse. Never a name or an address.",
        form="an opaque id",
        placeholder="none",
        synonyms=("user",),
        min_length=1,
        max_length=256,
    )
    betas: Words = setting(
        doc="Features that the API offers before they are finished, by its names for them.",
        placeholder="none",
        synonyms=("anthropic_beta", "beta"),
    )
    extra: Extra = setting(
        {},
        doc="Further fields of the request, sent as they are.",
        placeholder="empty",
        synonyms=("extra_body", "options"),
    )

    # Where the API is
    base_url: Url | None = setting(
        doc="The address of the API, or of a server that speaks it; without /v1. It beats the environment variable.",
        form=f"a URL such as {DEFAULT_URL}",
        is_movable=True,
        placeholder=DEFAULT_URL,
        synonyms=("url", "api_base", "endpoint", "server_url"),
    )
    api_key: ApiKey = setting(
        doc=(
            f"The key of the account. Only from the environment; where it is not written, {API_KEY_ENV} is read, but not"
            " for a server on this machine."
        ),
        secret=True,
        placeholder=f"env.{API_KEY_ENV}",
        synonyms=("apikey", "key", "token", "auth_token"),
    )
    headers: Headers = setting(
        doc="Headers sent with every request. Their values never appear in messages or logs.",
        form="a map of texts; secret ones only from the environment",
        secret=True,
        placeholder="none",
    )
    anthropic_version: str = setting(
        "2023-06-01",
        doc=f"The version of the API, sent as a header. From {_NO_SAMPLING} on it has no temperature, top_p and top_k.",
        form="a date such as 2023-06-01",
        synonyms=("api_version", "version"),
        pattern=r"^\d{4}-\d{2}-\d{2}$",
    )

    # What the client does
    connect_timeout: Seconds = remote_config.connect_timeout(
        "The longest wait for a connection, name resolution and TLS included."
    )
    first_token_timeout: Limit = remote_config.first_token_timeout(
        "The longest wait for the beginning of an answer."
    )
    idle_timeout: Limit = remote_config.idle_timeout()
    total_timeout: Limit = remote_config.total_timeout()
    max_concurrency: int = remote_config.max_concurrency()
    max_retries: int = remote_config.max_retries(
        "How often a request is tried again that the API has turned away, or that did not reach it."
    )
    health_check_interval: Seconds = remote_config.health_check_interval(
        "The shortest time between two health checks."
    )

    @field_validator("thinking")
    @classmethod
    def _check_budget(cls, value: str | int | None, others: ValidationInfo) -> str | int | None:
        if not isinstance(value, int):
            return value
        if value < _SMALLEST_BUDGET:
            raise UsageError(f"thinking must be {_THINKING} (tokens), not {value}.")
        longest = others.data.get("max_tokens")
        if isinstance(longest, int) and value >= longest:
            raise UsageError(
                f"thinking: {value} leaves nothing for the answer: max_tokens, which counts both, is {longest}.",
                suggestion=f"Raise max_tokens above {value}, or lower thinking.",
            )
        return value

    @classmethod
    def provider_word(cls) -> str:
        return "anthropic"

    @classmethod
    def model_problem(cls, model: str) -> str | None:
        """Why the API can have no model of that name."""
        if not model.strip():
            return "it is empty"
        return "it holds a blank" if any(each.isspace() for each in model.strip()) else None

    @classmethod
    def environment_values(
        cls, settings: Mapping[str, object], environ: Mapping[str, str]
    ) -> Mapping[str, tuple[str, object]]:
        """The address, where a variable gives it, and which variable the key is read from."""
        found: dict[str, tuple[str, object]] = {}
        written = settings.get("base_url")
        url = written if isinstance(written, str) else environ.get(BASE_URL_ENV, "").strip() or DEFAULT_URL
        if written is None and url != DEFAULT_URL:
            found["base_url"] = (BASE_URL_ENV, display_url(url))
        if environ.get(API_KEY_ENV) and not is_loopback(url):
            found["api_key"] = (API_KEY_ENV, f"env.{API_KEY_ENV}")
        return found

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        """The traps of these settings: no key, a key in clear on the wire, settings that rule each other out."""
        return (*self._advice_on_address(environ), *self._advice_on_sampling())

    def _advice_on_address(self, environ: Mapping[str, str]) -> Iterator[Advice]:
        try:
            url, lacks_key = self.address(environ).url, self.lacks_key(environ)
        except UsageError as error:  # what a variable says; the settings have been checked
            yield Advice("base_url", error.message, error.suggestion)
            return
        if lacks_key:
            yield Advice(
                "api_key",
                f"There is no key: `api_key` is not written, and `{API_KEY_ENV}` is not set.",
                f"Set {API_KEY_ENV}, or write `api_key: env.MY_KEY`",
                "N3301",
            )
        if url.startswith("http://") and not is_loopback(url):
            yield Advice(
                "base_url",
                "The key and every prompt travel unencrypted: `base_url` is http.",
                "Use https, unless nobody else can read along there.",
            )

    def _advice_on_sampling(self) -> Iterator[Advice]:
        written = [name for name in _SAMPLING if getattr(self, name) is not None]
        if written and self.anthropic_version >= _NO_SAMPLING:
            yield Advice(
                written[0],
                f"The API has no `{written[0]}` from version {_NO_SAMPLING} on, and refuses the request.",
                f"Leave `{written[0]}` out, or write `anthropic_version: 2023-06-01`",
            )
            return
        if self.top_k == 1 and self.temperature:
            yield Advice(
                "temperature",
                "With `top_k: 1` the most likely token is always taken, and `temperature` changes nothing.",
                "Leave one of the two out.",
                "N3804",
            )
        if isinstance(self.thinking, int) and (self.top_k is not None or self.temperature not in (None, 1)):
            name = "temperature" if self.temperature not in (None, 1) else "top_k"
            yield Advice(
                name,
                f"The API refuses `{name}` where `thinking` is a number of tokens.",
                f"Leave `{name}` out, or write `thinking: off`",
            )

    # -- reading it ---------------------------------------------------------------------------------------------

    def address(self, environ: Mapping[str, str]) -> Address:
        """The address in force. Raises UsageError for a bad one."""
        if self.base_url is not None:
            return parse_url(self.base_url)
        if theirs := environ.get(BASE_URL_ENV, "").strip():
            return parse_url(theirs, name=BASE_URL_ENV)
        return Address(DEFAULT_URL, "default")

    def lacks_key(self, environ: Mapping[str, str]) -> bool:
        """Whether nothing says who is asking, where somebody has to: a server on this machine needs no key."""
        is_known = not _CREDENTIALS.isdisjoint(self.request_headers(environ))
        return not is_known and not is_loopback(self.address(environ).url)

    def request_headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The headers of every request, in lower case and in clear: for the transport only, never for a log."""
        headers = {"anthropic-version": self.anthropic_version}
        if self.betas:
            headers["anthropic-beta"] = ",".join(word.strip() for word in self.betas)
        own = {name.lower(): value.get_secret_value() for name, value in (self.headers or {}).items()}
        authorization = self.address(environ).authorization
        key = self._key(environ)
        if _CREDENTIALS.isdisjoint(own):
            if authorization is not None:
                headers["authorization"] = authorization
            if key is not None:
                headers["x-api-key"] = key.get_secret_value().strip()
        return headers | own

    def _key(self, environ: Mapping[str, str]) -> SecretStr | None:
        """The key that is written, else the environment's, which was not set for a server on this machine."""
        if self.api_key is not None:
            return self.api_key
        key = environ.get(API_KEY_ENV, "").strip()
        if not key or is_loopback(self.address(environ).url):
            return None
        if not (key.isascii() and key.isprintable()):
            raise UsageError(
                f"{API_KEY_ENV} holds a line break or another character that no header can carry."
            )
        return SecretStr(key)
