"""The settings of every server that speaks OpenAI's protocol: once, with type, range, unit, meaning and default.

`OpenAICompatibleConfig` has what they share; `_kind_configs` adds what is one server's own. None means that nobody wrote
the setting: it is then not sent, and the server's own value holds. Settings whose place is ``deployment_config`` describe
how a server was started: they are checked, and never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import ValidationInfo, field_validator

from namel3ss.errors import UsageError
from namel3ss.providers import remote_config
from namel3ss.providers.addresses import Address, is_loopback, parse_url
from namel3ss.providers.local.openai_compatible._kinds import GENERIC, OPENAI, Kind
from namel3ss.providers.local.openai_compatible._setting_rules import (
    Choice,
    Extra,
    Format,
    Tools,
    format_on_the_wire,
)
from namel3ss.providers.remote_config import RemoteConfig
from namel3ss.providers.setting_rules import (
    LARGEST_INT,
    LARGEST_JSON_INT,
    ApiKey,
    Headers,
    Url,
)
from namel3ss.providers.settings import Advice, Limit, Seconds, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SENT_FIELDS", "SERVERS_OWN", "OpenAICompatibleConfig", "address_setting", "started_with"]

SERVERS_OWN: Final = "the server's own"
_MODELS_OWN: Final = "the model's own"

# Settings that go into a request under their own names.
SENT_FIELDS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
)


# -- the settings ---------------------------------------------------------------------------------------------


def address_setting(kind: Kind) -> Any:
    """The field for the address of that kind of server: required where the kind has none of its own."""
    doc = "The server's URL, with the path before /chat/completions, which is usually /v1."
    if kind.url_variable is not None:
        doc = f"{doc} It beats {kind.url_variable}."
    return setting(
        None if kind.default_url is not None else ...,
        doc=doc,
        form=f"a URL such as {kind.default_url or 'http://127.0.0.1:8000/v1'}",
        is_movable=True,
        placeholder=kind.default_url,
        synonyms=("url", "api_base", "endpoint", "server_url"),
    )


def started_with(default: Any = None, *, placeholder: str = SERVERS_OWN, **about: Any) -> Any:
    """A field that tells how the server was started, or its model set up there: checked, and never sent."""
    return setting(default, place="deployment_config", is_movable=True, placeholder=placeholder, **about)


class OpenAICompatibleConfig(RemoteConfig):
    """The settings of one model on such a server. Immutable; durations are seconds; secrets do not show in its repr."""

    kind: ClassVar[Kind] = GENERIC
    own_fields: ClassVar[tuple[str, ...]] = ()
    """Settings of this kind of server that go into a request, too."""
    lasting: ClassVar[frozenset[str]] = RemoteConfig.lasting | frozenset(
        ["host", "port", "organization", "project"]
    )

    # What the model generates
    temperature: float | None = setting(
        doc="How freely the model chooses its words: 0 is the most predictable, higher is more varied.",
        placeholder=SERVERS_OWN,
        ge=0,
        le=2,
    )
    top_p: float | None = setting(
        doc="Choose among the most likely tokens that together reach this probability.",
        placeholder=SERVERS_OWN,
        ge=0,
        le=1,
    )
    max_tokens: int | None = setting(
        doc=(
            "The longest answer. OpenAI's own API is sent it as max_completion_tokens, which counts reasoning as well;"
            " every other server as max_tokens."
        ),
        unit="tokens",
        placeholder=SERVERS_OWN,
        synonyms=("max_new_tokens", "max_output_tokens", "num_predict"),
        ge=1,
        le=LARGEST_INT,
    )
    max_completion_tokens: int | None = setting(
        doc="The longest answer under its newer name, for servers that know only that. Instead of max_tokens.",
        unit="tokens",
        placeholder=SERVERS_OWN,
        ge=1,
        le=LARGEST_INT,
    )
    stop: str | list[str] | None = setting(
        doc="A text, or several, at which the answer ends; the text itself is not part of the answer.",
        form="text or a list of texts",
        placeholder="none",
        synonyms=("stop_sequences",),
    )
    seed: int | None = setting(
        doc="Start of the random numbers: servers that heed it give the same answer again, most of the time.",
        placeholder=SERVERS_OWN,
        synonyms=("random_seed",),
        ge=-LARGEST_JSON_INT,
        le=LARGEST_JSON_INT,
    )
    presence_penalty: float | None = setting(
        doc="Holds back tokens that have occurred at all; negative values favour them.",
        placeholder=SERVERS_OWN,
        ge=-2,
        le=2,
    )
    frequency_penalty: float | None = setting(
        doc="Holds back tokens in proportion to how often they have occurred; negative values favour them.",
        placeholder=SERVERS_OWN,
        ge=-2,
        le=2,
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = setting(
        doc="How much a model that reasons does so before it answers. Not every server knows every word.",
        placeholder=_MODELS_OWN,
        synonyms=("think", "thinking", "reasoning", "effort"),
    )
    response_format: Format = setting(
        doc="What the answer has to be: json for any JSON, or a JSON Schema that it must fit.",
        form="json, or a JSON Schema as a map",
        placeholder="text",
        synonyms=("format", "json_schema"),
    )
    logprobs: bool | None = setting(
        doc="Whether the answer's metadata has the log probability of each token.",
        placeholder="false",
    )
    top_logprobs: int | None = setting(
        doc="How many of the likeliest tokens are listed at each place. Needs logprobs.",
        placeholder="0",
        ge=0,
        le=20,
    )
    tools: Tools = setting(
        doc="What the model may call: functions with a name, a description and a JSON Schema of their parameters.",
        form="a list of tools",
        placeholder="none",
        synonyms=("functions",),
    )
    tool_choice: Choice = setting(
        doc="Which tool is called: auto lets the model decide, required demands one, none forbids it, a name demands that one.",
        form="auto, required, none, or the name of a tool",
        placeholder="auto",
    )
    parallel_tool_calls: bool | None = setting(
        doc="Whether the model may call several tools in one answer.",
        placeholder=SERVERS_OWN,
        synonyms=("parallel_tool_use",),
    )
    extra: Extra = setting(
        {},
        doc="Further fields of the request, sent as they are. They beat a setting of the same name.",
        placeholder="empty",
        synonyms=("extra_body", "options", "model_options"),
    )

    # Where the server is
    base_url: Url | None = address_setting(GENERIC)
    api_key: ApiKey = setting(
        doc="Sent as a bearer token. Only from the environment.",
        secret=True,
        placeholder="none",
        synonyms=("token", "apikey", "auth_token", "bearer_token"),
    )
    headers: Headers = setting(
        doc="Headers sent with every request. Their values never appear in messages or logs.",
        form="a map of texts; secret ones only from the environment",
        secret=True,
        placeholder="none",
        synonyms=("extra_headers",),
    )

    # What the client does
    wire: Literal["stream", "plain"] = setting(
        "stream",
        doc=(
            "How generate talks to the server. stream: in pieces, which the first-token and idle timeouts need. plain: "
            "in one answer."
        ),
    )
    stream_usage: bool = setting(
        True,
        doc="Ask a stream for its token counts (stream_options.include_usage). false for a server that refuses to.",
        synonyms=("include_usage",),
    )
    connect_timeout: Seconds = remote_config.connect_timeout()
    first_token_timeout: Limit = remote_config.first_token_timeout()
    idle_timeout: Limit = remote_config.idle_timeout()
    total_timeout: Limit = remote_config.total_timeout()
    health_check_interval: Seconds = remote_config.health_check_interval()
    max_concurrency: int = remote_config.max_concurrency()
    max_retries: int = remote_config.max_retries()

    @field_validator("max_completion_tokens")
    @classmethod
    def _check_one_limit(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and others.data.get("max_tokens") is not None:
            raise UsageError(
                "max_tokens and max_completion_tokens mean the same.", suggestion="Write one of them."
            )
        return value

    @classmethod
    def provider_word(cls) -> str:
        return cls.kind.name

    @classmethod
    def model_problem(cls, model: str) -> str | None:
        """Why no server can have a model of that name."""
        if not model.strip():
            return "it is empty"
        return None if model.isprintable() else "it holds a character that cannot be shown"

    @classmethod
    def environment_values(
        cls, settings: Mapping[str, object], environ: Mapping[str, str]
    ) -> Mapping[str, tuple[str, object]]:
        """The address and the key, where the environment gives them."""
        found: dict[str, tuple[str, object]] = {}
        kind = cls.kind
        if (
            kind.url_variable
            and settings.get("base_url") is None
            and environ.get(kind.url_variable, "").strip()
        ):
            found["base_url"] = (kind.url_variable, environ[kind.url_variable].strip())
        written = settings.get("base_url")
        if "api_key" not in settings and _environments_key(
            kind, written if isinstance(written, str) else None, environ
        ):
            found["api_key"] = (str(kind.key_variable), f"env.{kind.key_variable}")
        return found

    # -- where, and with what key -------------------------------------------------------------------------------

    def address(self, environ: Mapping[str, str]) -> Address:
        """The address in force: the setting, the environment's, the kind's own. Raises UsageError for a bad one."""
        kind = self.kind
        if self.base_url is not None:
            return parse_url(self.base_url)
        if kind.url_variable and (url := environ.get(kind.url_variable, "").strip()):
            return parse_url(url, name=kind.url_variable)
        if kind.default_url is None:
            raise UsageError(
                f"provider {kind.name} needs a base_url.",
                suggestion='Add config: { base_url: "http://127.0.0.1:8000/v1" }',
            )
        return Address(kind.default_url, "default")

    def lacks_key(self, environ: Mapping[str, str]) -> bool:
        """Whether requests are bound to be refused: OpenAI's own address without any credentials."""
        if self.address(environ).url != OPENAI.default_url or self.api_key is not None:
            return False
        if any(name.lower() == "authorization" for name in self.headers or ()):
            return False
        return not _environments_key(self.kind, self.base_url, environ)

    def request_headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The headers of every request, in clear: for the transport only, never for a log."""
        headers = {name: value.get_secret_value() for name, value in (self.headers or {}).items()}
        headers |= {name: value for name, value in self.account_headers().items() if name not in headers}
        if any(name.lower() == "authorization" for name in headers):
            return headers
        key = self.api_key.get_secret_value() if self.api_key is not None else None
        key = key or _environments_key(self.kind, self.base_url, environ)
        if key:
            if not key.isprintable() or not key.isascii():
                raise UsageError(f"{self.kind.key_variable} holds a character that no header can carry.")
            headers["Authorization"] = f"Bearer {key.strip()}"
        elif (authorization := self.address(environ).authorization) is not None:
            headers["Authorization"] = authorization
        return headers

    def account_headers(self) -> dict[str, str]:
        """Headers that say on whose account a request goes."""
        return {}

    # -- what a request says ------------------------------------------------------------------------------------

    def request_fields(self, url: str) -> dict[str, Any]:
        """The fields of a request to `url` that the settings give, by their names there."""
        fields = {
            name: value
            for name in (*SENT_FIELDS, *self.own_fields)
            if (value := getattr(self, name)) is not None and value != {}
        }
        if url == OPENAI.default_url and "max_tokens" in fields:
            fields["max_completion_tokens"] = fields.pop("max_tokens")
        if isinstance(self.tool_choice, str) and self.tool_choice not in ("auto", "required", "none"):
            fields["tool_choice"] = {"type": "function", "function": {"name": self.tool_choice}}
        if not self.tools:
            for name in ("tools", "tool_choice", "parallel_tool_calls"):
                fields.pop(name, None)
        if self.response_format is not None:
            fields["response_format"] = format_on_the_wire(self.response_format)
        return fields | self.extra

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        """The traps of these settings: no key, a key in clear on the wire, an address without its path."""
        try:
            url = self.address(environ).url
        except UsageError:
            return ()  # whoever uses the address reports it
        found = []
        if self.lacks_key(environ):
            found.append(
                Advice(
                    "api_key",
                    f"There is no key for OpenAI: api_key is not written, and {OPENAI.key_variable} is not set.",
                    f"Set {OPENAI.key_variable}, or write api_key: env.MY_KEY",
                    "N3301",
                )
            )
        if self.api_key is not None and url.startswith("http://") and not is_loopback(url):
            found.append(
                Advice(
                    "base_url",
                    "The key and every prompt travel unencrypted: base_url is http.",
                    "Use https, unless nobody else can read along there.",
                )
            )
        if "/" not in url.partition("://")[2]:
            found.append(
                Advice(
                    "base_url",
                    f"base_url has no path, and {self.kind.label} servers usually answer under /v1.",
                    f"Write {url}/v1, unless this server differs.",
                )
            )
        return tuple(found)


def _environments_key(kind: Kind, base_url: str | None, environ: Mapping[str, str]) -> str | None:
    """The environment's key, which goes to the kind's own address or the environment's, and to no other."""
    if kind.key_variable is None:
        return None
    if base_url is not None and base_url.strip().rstrip("/") != kind.default_url:
        return None
    return environ.get(kind.key_variable, "").strip() or None
