"""Every setting of `server` and `gateway`, once, with type, range, unit, meaning and default.

The check, `namel3ss resolve`, `namel3ss schema`, the tables of the documentation and the gateway itself read it from here.
Durations are seconds and sizes are bytes once they are read.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr

from namel3ss.declarations.fallbacks import Fallback
from namel3ss.declarations.gateway_values import (
    Bytes,
    DatabaseUrl,
    HostName,
    Listen,
    Listener,
    Network,
    Networks,
    Origin,
    Priority,
    ServerUrl,
    TokenLimit,
)
from namel3ss.errors import UsageError
from namel3ss.providers.settings import Limit, ProviderConfig, Seconds, setting

__all__ = [
    "CacheSettings",
    "GatewaySettings",
    "LimitSettings",
    "PullSettings",
    "QueueSettings",
    "ServerSettings",
]

ItemsT = TypeVar("ItemsT")

_DURATION: Final = "a duration such as 30s or 1h30m, or a number of seconds"
_SIZE: Final = "a size such as 20MB or 512KiB, or a number of bytes"
_NETWORKS: Final = "a list of addresses and ranges, such as 127.0.0.1 or 10.1.0.0/16"
_BLOCK: Final = "a map of settings"
_MOST: Final = 100_000
_LOOPBACK: Final[list[Network]] = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]


def _read_fallback(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


# As a file may write it: the name of an ai model, or the whole map.
FallbackOrName: TypeAlias = Annotated[
    Fallback | None, BeforeValidator(_read_fallback, json_schema_input_type=str | Fallback | None)
]


def _not_empty(items: ItemsT) -> ItemsT:
    if isinstance(items, list | dict) and not items:
        raise UsageError("Nothing is listed here.", suggestion="List something, or leave the key out.")
    return items


class ServerSettings(ProviderConfig):
    """One Ollama server that a gateway may use."""

    base_url: ServerUrl = setting(
        ..., form="a URL such as http://10.0.0.5:11434", doc="The server's URL.", synonyms=("url", "address")
    )
    slots: int = setting(
        1,
        doc="How many requests of one loaded model it gets at a time: its OLLAMA_NUM_PARALLEL.",
        unit="requests",
        synonyms=("num_parallel", "parallel"),
        ge=1,
        le=1024,
    )
    max_loaded_models: int | None = setting(
        None,
        doc="How many models it keeps loaded at a time: its OLLAMA_MAX_LOADED_MODELS.",
        placeholder="the server's own",
        unit="models",
        ge=1,
        le=1024,
    )
    weight: float = setting(
        1.0,
        doc="Its share of the work beside servers that could do it as well: twice the weight, twice the share.",
        gt=0,
        le=1000,
    )
    shared: bool = setting(
        False, doc="Whether others use it directly: then a model that hangs there is never unloaded by us."
    )
    api_key: SecretStr | None = setting(
        None,
        secret=True,
        doc="Sent as a bearer token, for a server behind a proxy that asks for one. Only from the environment.",
        placeholder="none",
    )
    description: str | None = setting(None, doc="For people.", placeholder="none")


class QueueSettings(ProviderConfig):
    """How many may wait for how long, and how waiting counts."""

    max_waiting: int = setting(
        500, doc="How many requests may wait.", unit="requests", synonyms=("max_size", "size"), ge=0, le=_MOST
    )
    max_waiting_per_user: int = setting(
        50, doc="How many requests of one user may wait.", unit="requests", ge=0, le=_MOST
    )
    max_wait: Limit = setting(
        120.0,
        form=f"{_DURATION}, or none",
        doc="The longest wait; then the request is refused with 503 and told when to come again.",
        synonyms=("timeout",),
    )
    ageing: Limit = setting(
        60.0,
        form=f"{_DURATION}, or none",
        doc="Waiting this long improves a request by one class, so that nobody starves.",
        synonyms=("aging",),
    )
    reserve: int = setting(
        0,
        doc="Slots of each model kept for the first class. One slot is never kept.",
        unit="slots",
        ge=0,
        le=1024,
    )


class LimitSettings(ProviderConfig):
    """What one request may ask for. More is refused with 400, never silently changed."""

    body: Bytes = setting(20_000_000, form=_SIZE, doc="The largest body of a request.", unit="bytes")
    num_ctx: TokenLimit = setting(
        32_768,
        form="a whole number of at least 1, or none",
        doc="The largest context window that a request may ask for.",
        unit="tokens",
        ge=1,
    )
    num_predict: TokenLimit = setting(
        8_192,
        form="a whole number of at least 1, or none",
        doc="The longest answer that a request may ask for.",
        unit="tokens",
        synonyms=("max_tokens",),
        ge=1,
    )
    keep_alive: Limit = setting(
        3_600.0,
        form=f"{_DURATION}, or none",
        doc="The longest time that a request may ask a model to stay loaded.",
    )
    streams_per_user: int = setting(
        8, doc="How many answers one user may receive at a time.", unit="streams", ge=1, le=_MOST
    )


class PullSettings(ProviderConfig):
    """Which models may be downloaded through the gateway."""

    allow: list[str] = setting(
        [],
        form='a list of names and patterns, such as "llama3:*"',
        doc="Models that operators may pull. Without any, none may be pulled.",
        placeholder="none",
    )
    wait: Seconds = setting(
        600.0,
        form=_DURATION,
        doc="How long a caller of the pull route waits for its end; the pull itself goes on.",
    )
    auto_update: Limit = setting(
        None,
        form=f"{_DURATION}, or none",
        doc="How often models with a newer version are pulled.",
        placeholder="never",
    )


class CacheSettings(ProviderConfig):
    """Answers that are kept to be given again, for requests that have one answer only."""

    ttl: Seconds = setting(600.0, form=_DURATION, doc="How long an answer is kept. Without cache none is.")
    max_bytes: Bytes = setting(
        100_000_000, form=_SIZE, doc="How much is kept in all.", unit="bytes", synonyms=("max_size", "size")
    )


class GatewaySettings(ProviderConfig):
    """One gateway: many users in front of their Ollama servers."""

    listen: Listen = setting(
        Listener("127.0.0.1", 8080),
        form="an address with a port, such as 127.0.0.1:8080",
        doc="Where users connect.",
        synonyms=("address", "bind"),
    )
    admin_listen: Listen = setting(
        Listener("127.0.0.1", 8081),
        form="an address with a port, such as 127.0.0.1:8081",
        doc="Where administration, the panel and /metrics are.",
    )
    servers: list[str] | None = setting(
        None,
        form="a list of servers",
        doc="The servers that it uses; they count more than a model's own base_url.",
        placeholder="every server of the program, or else the models' own addresses",
    )
    models: list[str] | None = setting(
        None,
        form="a list of ai models",
        doc="The ai models that it serves. Nothing else can be seen or called.",
        placeholder="every ai model on ollama of the program",
    )
    cloud_models: bool = setting(
        False, doc="Whether models that Ollama runs elsewhere (names with :cloud or -cloud) may be called."
    )
    queue: QueueSettings = setting(QueueSettings(), form=_BLOCK, doc="Waiting.", placeholder="its defaults")
    priorities: Annotated[dict[str, Priority], AfterValidator(_not_empty)] = setting(
        {"default": 0},
        form="a map of classes, each with a whole number from 0 to 999",
        doc="The classes that keys may have. A lower number is served first.",
        synonyms=("classes",),
    )
    whitelist: dict[str, Networks] = setting(
        {},
        form=f"a map of classes, each with {_NETWORKS}",
        doc="Classes that may only be used from these addresses.",
        placeholder="none",
    )
    anonymous: str | None = setting(
        None,
        doc="The class of requests without a key. Only where listen is this machine's own address.",
        placeholder="none: a key always",
    )
    allow_addresses: Networks = setting(
        _LOOPBACK,
        form=_NETWORKS,
        doc="Who may speak to the gateway at all.",
        placeholder="this machine",
    )
    trusted_proxies: Networks = setting(
        [],
        form=_NETWORKS,
        doc="Proxies whose X-Forwarded-For counts.",
        placeholder="none",
    )
    hosts: Annotated[list[HostName], AfterValidator(_not_empty)] = setting(
        ["localhost", "127.0.0.1", "[::1]"],
        form="a list of names and addresses without ports",
        doc="The Host headers that are accepted.",
    )
    cors: list[Origin] = setting(
        [],
        form="a list of origins such as https://chat.example.com",
        doc="Web pages of these origins may call the gateway.",
        placeholder="none",
        synonyms=("cors_origins", "allow_origins"),
    )
    limits: LimitSettings = setting(
        LimitSettings(), form=_BLOCK, doc="What one request may ask for.", placeholder="its defaults"
    )
    pull: PullSettings = setting(
        PullSettings(), form=_BLOCK, doc="Downloads of models.", placeholder="its defaults"
    )
    fallback: FallbackOrName = setting(
        None,
        form="an ai model, or a map of model and when",
        doc="The ai model that answers when the servers cannot, for keys that allow it.",
        placeholder="none",
    )
    cache: CacheSettings | None = setting(
        None, form=_BLOCK, doc="Keeps answers. Off unless it is written.", placeholder="off"
    )
    database: DatabaseUrl = setting(
        "sqlite:///.namel3ss/gateway.db",
        form="a URL such as sqlite:///gateway.db or postgresql://host/name",
        doc="Where keys, users, usage and the audit log are. A path is read from the folder of the file.",
        repr=False,
    )
    coordination: str | None = setting(
        None,
        doc="Several gateways with one queue: not available yet, so only null is accepted.",
        placeholder="none",
        repr=False,
    )
    wedge_after: Limit = setting(
        60.0,
        form=f"{_DURATION}, or none",
        doc="How long beyond the usual time a model may be silent before it counts as hanging.",
    )
    store_prompts: bool = setting(
        False,
        doc="Whether the database also gets what was asked and answered, for administrators to read.",
    )
    prompts_kept: Seconds = setting(
        30 * 86_400.0,
        form=_DURATION,
        doc="How long stored prompts and answers are kept. Without store_prompts there are none.",
        placeholder="720h",
    )
    shutdown_grace: Seconds = setting(
        30.0, form=_DURATION, doc="How long running answers may take to end when the gateway is stopped."
    )
    description: str | None = setting(None, doc="For people.", placeholder="none")
