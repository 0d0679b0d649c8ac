"""OllamaConfig: every setting of `provider: ollama`, once, with type, range, unit, meaning and default.

The language, completion, hover, JSON Schema and the settings table of the documentation read it from here. None
means that nobody wrote the setting: it is then not sent, and the model's or the server's own value holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from namel3ss.providers import remote_config
from namel3ss.providers.local.ollama._address import display_url, resolve_address
from namel3ss.providers.local.ollama._advice import advice_on
from namel3ss.providers.local.ollama._names import name_problem
from namel3ss.providers.local.ollama._setting_rules import (
    LARGEST_INT,
    LARGEST_JSON_INT,
    ApiKey,
    Headers,
    KeepAlive,
    Options,
    TokenLimit,
    Url,
    Urls,
    keep_alive_on_the_wire,
)
from namel3ss.providers.remote_config import RemoteConfig
from namel3ss.providers.settings import Advice, Limit, Seconds, setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["OllamaConfig", "ThinkLevel"]

ThinkLevel: TypeAlias = Literal["low", "medium", "high", "max"]


_MODELS_OWN = "the model's own"
_SERVERS_OWN = "the server's own"


# -- the settings ---------------------------------------------------------------------------------------------


class OllamaConfig(RemoteConfig):
    """The settings of one model on Ollama. Immutable; durations are seconds; secrets do not show in its repr."""

    lasting: ClassVar[frozenset[str]] = RemoteConfig.lasting | frozenset(
        ["hosts", "host", "port", "model_cache_ttl", "pull_timeout", "stop_server_on_exit"]
    )

    # What the model generates
    temperature: float | None = setting(
        doc="How freely the model chooses its words: 0 is the most predictable, higher is more varied.",
        placeholder=_MODELS_OWN,
        ge=0,
        le=2,
    )
    top_k: int | None = setting(
        doc="Choose among the k most likely tokens only; 0 means all of them.",
        placeholder=_MODELS_OWN,
        ge=0,
        le=LARGEST_INT,
    )
    top_p: float | None = setting(
        doc="Choose among the most likely tokens that together reach this probability.",
        placeholder=_MODELS_OWN,
        ge=0,
        le=1,
    )
    min_p: float | None = setting(
        doc="Leave out tokens less likely than this share of the most likely one.",
        placeholder=_MODELS_OWN,
        ge=0,
        le=1,
    )
    repeat_penalty: float | None = setting(
        doc="How strongly repeated tokens are held back; 1 does not, higher does more.",
        placeholder=_MODELS_OWN,
        gt=0,
        synonyms=("repetition_penalty",),
    )
    repeat_last_n: int | None = setting(
        doc="How far back repetitions are looked for; 0 switches it off, -1 means the whole context window.",
        placeholder=_MODELS_OWN,
        unit="tokens",
        ge=-1,
        le=LARGEST_INT,
    )
    presence_penalty: float | None = setting(
        doc="Holds back tokens that have occurred at all; negative values favour them.",
        placeholder=_MODELS_OWN,
    )
    frequency_penalty: float | None = setting(
        doc="Holds back tokens in proportion to how often they have occurred; negative values favour them.",
        placeholder=_MODELS_OWN,
    )
    seed: int | None = setting(
        doc="Start of the random numbers: the same seed, prompt and settings give the same answer.",
        placeholder=_MODELS_OWN,
        synonyms=("random_seed",),
        ge=-LARGEST_JSON_INT,
        le=LARGEST_JSON_INT,
    )
    stop: str | list[str] | None = setting(
        doc="A text, or several, at which the answer ends; the text itself is not part of the answer.",
        form="text or a list of texts",
        placeholder=_MODELS_OWN,
        synonyms=("stop_sequences",),
    )
    max_tokens: TokenLimit = setting(
        doc="The longest answer. Sent to Ollama as num_predict; -1 means no limit of ours.",
        form="a whole number of at least 1, or -1",
        unit="tokens",
        placeholder=_MODELS_OWN,
        synonyms=("num_predict", "max_new_tokens", "max_output_tokens", "max_completion_tokens"),
        le=LARGEST_INT,
    )
    num_ctx: int | None = setting(
        doc=(
            "The context window: prompt and answer together. Changing it makes the server load the model again. "
            "Where nobody sets it, the value in force is learnt from the server and shown."
        ),
        unit="tokens",
        placeholder=_SERVERS_OWN,
        synonyms=("context_length", "context_window", "max_model_len", "n_ctx", "context_size"),
        ge=1,
        le=LARGEST_INT,
    )
    think: bool | ThinkLevel | None = setting(
        doc="Whether a model that can think does so before it answers, or how much.",
        form="true, false, low, medium, high or max",
        placeholder=_MODELS_OWN,
        synonyms=("thinking", "reasoning", "reasoning_effort"),
    )
    on_context_overflow: Literal["error", "warn", "truncate"] = setting(
        "error",
        doc=(
            "What happens to a prompt that is larger than the context window. error: nothing is cut silently, an error "
            "says by how much it is too large. warn: the server may cut, and a warning says so. truncate: the same "
            "without the warning."
        ),
    )
    wire: Literal["stream", "plain"] = setting(
        "stream",
        doc=(
            "How generate talks to the server. stream: in pieces, which the first-token and idle timeouts need. plain: "
            "in one answer."
        ),
    )
    options: Options = setting(
        {},
        doc="Further options of Ollama's own, sent as they are.",
        placeholder="empty",
        synonyms=("model_options", "ollama_options"),
        holds=(
            "num_keep",
            "typical_p",
            "draft_num_predict",
            "mirostat",
            "mirostat_eta",
            "mirostat_tau",
            "tfs_z",
        ),
    )

    # Where the server is
    base_url: Url | None = setting(
        doc="The server's URL. It beats every environment variable.",
        form="a URL such as http://localhost:11434",
        is_movable=True,
        placeholder="http://localhost:11434, or host and port",
        synonyms=("url", "api_base", "endpoint", "server_url", "ollama_url"),
    )
    hosts: Urls = setting(
        doc="URLs of several servers, tried in order.",
        form="a list of URLs",
        placeholder="the one address",
    )
    host: str | None = setting(
        doc="The server's host, where base_url is not given.",
        form="the name or address of a host",
        place="deployment_config",
        is_movable=True,
        placeholder="localhost",
        synonyms=("hostname", "server"),
        min_length=1,
    )
    port: int | None = setting(
        doc="The server's port, where base_url is not given.",
        place="deployment_config",
        is_movable=True,
        placeholder="11434",
        ge=1,
        le=65535,
    )
    headers: Headers = setting(
        doc="Headers sent with every request. Their values never appear in messages or logs.",
        form="a map of texts; secret ones only from the environment",
        secret=True,
        placeholder="none",
    )
    api_key: ApiKey = setting(
        doc="Sent as a bearer token, for a server behind a proxy that asks for one. Only from the environment.",
        secret=True,
        placeholder="none",
        synonyms=("token", "apikey", "auth_token", "bearer_token"),
    )

    # What the client does
    auto_pull_model: bool = setting(
        True,
        doc="Pull a model that the server does not have, then answer.",
        place="either",
        synonyms=("auto_pull", "pull"),
    )
    auto_start_server: bool = setting(
        False,
        doc="Start Ollama where no server answers. Only on this machine.",
        place="either",
        synonyms=("auto_start",),
    )
    stop_server_on_exit: bool = setting(
        False,
        doc="Stop a server that we started when the program ends.",
        place="either",
    )
    model_cache_ttl: Seconds = setting(
        60.0,
        doc="How long the knowledge that a model is installed stays valid.",
        form=remote_config.DURATION,
        unit="seconds",
        synonyms=("cache_ttl",),
    )
    health_check_interval: Seconds = remote_config.health_check_interval()
    connect_timeout: Seconds = remote_config.connect_timeout()
    first_token_timeout: Limit = remote_config.first_token_timeout(
        "The longest wait for the first piece of an answer, loading the model included."
    )
    idle_timeout: Limit = remote_config.idle_timeout()
    total_timeout: Limit = remote_config.total_timeout()
    pull_timeout: Limit = setting(
        None,
        doc="The longest time for a whole pull. A pull that stalls for two minutes ends anyway.",
        form=remote_config.LIMIT,
        unit="seconds",
        gt=0,
        placeholder="none",
    )
    max_concurrency: int = remote_config.max_concurrency()
    max_retries: int = remote_config.max_retries()

    # How the server loads the model
    num_gpu: int | None = setting(
        doc="How many layers of the model run on the GPU: not how many GPUs. 0 means none, -1 as many as fit.",
        place="deployment_config",
        unit="layers",
        placeholder=_SERVERS_OWN,
        synonyms=("gpu_layers", "n_gpu_layers"),
        ge=-1,
        le=LARGEST_INT,
    )
    main_gpu: int | None = setting(
        doc="Which GPU does the small work where there are several; counts from 0.",
        place="deployment_config",
        placeholder=_SERVERS_OWN,
        ge=0,
        le=LARGEST_INT,
    )
    num_thread: int | None = setting(
        doc="How many CPU threads the model uses; 0 lets the server decide.",
        place="deployment_config",
        unit="threads",
        placeholder=_SERVERS_OWN,
        synonyms=("threads", "num_threads"),
        ge=0,
        le=LARGEST_INT,
    )
    num_batch: int | None = setting(
        doc="How many tokens of the prompt are read at once.",
        place="deployment_config",
        unit="tokens",
        placeholder=_SERVERS_OWN,
        synonyms=("batch_size",),
        ge=1,
        le=LARGEST_INT,
    )
    use_mmap: bool | None = setting(
        doc="Whether the model's file is mapped into memory instead of read.",
        place="deployment_config",
        placeholder=_SERVERS_OWN,
        synonyms=("mmap",),
    )
    keep_alive: KeepAlive = setting(
        doc="How long the model stays loaded after an answer. -1 means for ever, 0 unloads it at once.",
        form="a duration such as 10m, a number of seconds, or -1",
        place="deployment_config",
        unit="seconds",
        is_movable=True,
        placeholder=_SERVERS_OWN,
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, [display_url(url) for url in value] if name == "hosts" and value else value

    @classmethod
    def provider_word(cls) -> str:
        return "ollama"

    @classmethod
    def model_problem(cls, model: str) -> str | None:
        """Why Ollama would refuse that name."""
        return name_problem(model)

    @classmethod
    def environment_values(
        cls, settings: Mapping[str, object], environ: Mapping[str, str]
    ) -> Mapping[str, tuple[str, object]]:
        """The address, where a variable gives it."""
        host, port = settings.get("host"), settings.get("port")
        address = resolve_address(
            None,
            host if isinstance(host, str) else None,
            port if isinstance(port, int) else None,
            environ,
        )
        return {"base_url": (address.origin, address.url)} if address.origin in environ else {}

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        """What is allowed here and hardly ever meant."""
        return advice_on(self, environ)

    def overridden(self, overrides: Mapping[str, object]) -> Self:
        """This config with some settings replaced for one call; an override also beats the same option inside `options`."""
        if not overrides:
            return self
        written = self._written()
        replaced = {_WIRE_NAMES.get(name, name) for name in overrides}
        if not replaced.isdisjoint(self.options):
            written["options"] = {name: value for name, value in self.options.items() if name not in replaced}
        return self._for_one_call(written, overrides)

    def request_options(self) -> dict[str, Any]:
        """Ollama's ``options`` map: what somebody wrote, under Ollama's names. `options` beats a named setting."""
        sent: dict[str, Any] = {}
        for name, wire_name in _WIRE_NAMES.items():
            value = getattr(self, name)
            if value is not None:
                sent[wire_name] = value
        if isinstance(self.stop, str):
            sent["stop"] = [self.stop]
        return sent | self.options

    def request_fields(self) -> dict[str, Any]:
        """Ollama's fields beside ``options``: ``keep_alive`` and ``think`` where written, ``truncate`` always."""
        fields: dict[str, Any] = {"truncate": self.on_context_overflow != "error"}
        if self.keep_alive is not None:
            fields["keep_alive"] = keep_alive_on_the_wire(self.keep_alive)
        if self.think is not None:
            fields["think"] = self.think
        return fields

    def request_headers(self) -> dict[str, str]:
        """The headers of every request, in clear: for the transport only, never for a log."""
        headers = {name: value.get_secret_value() for name, value in (self.headers or {}).items()}
        if self.api_key is not None and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Bearer {self.api_key.get_secret_value().strip()}"
        return headers


_WIRE_NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repeat_penalty": "repeat_penalty",
    "repeat_last_n": "repeat_last_n",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "num_predict",
    "num_ctx": "num_ctx",
    "num_gpu": "num_gpu",
    "main_gpu": "main_gpu",
    "num_thread": "num_thread",
    "num_batch": "num_batch",
    "use_mmap": "use_mmap",
}
