"""How a server of one's own was started: where it listens, and what guides for such servers write down beside it.

Only `host` and `port` say where requests go, as the server's command line does; the rest is checked and never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationInfo, field_validator

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import Address, ip_address, join_url, parse_url
from namel3ss.providers.local.openai_compatible._config import (
    SERVERS_OWN,
    OpenAICompatibleConfig,
    started_with,
)
from namel3ss.providers.local.openai_compatible._setting_rules import JsonMap
from namel3ss.providers.setting_rules import LARGEST_INT
from namel3ss.providers.settings import Advice, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StartedLocalAI", "StartedServer", "StartedVllm"]


class StartedServer(OpenAICompatibleConfig):
    """What vLLM and LocalAI share."""

    host: str | None = started_with(
        doc="The server's host, where base_url is not given.",
        form="the name or address of a host",
        placeholder="127.0.0.1",
        synonyms=("hostname", "server"),
        min_length=1,
    )
    port: int | None = started_with(
        doc="The server's port, where base_url is not given.",
        placeholder="the usual one",
        ge=1,
        le=65535,
    )
    auto_start_server: bool | None = started_with(
        doc="Accepted for files written for other tools: namel3ss starts no server of this kind, and warns of true.",
        placeholder="false",
    )

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str | None) -> str | None:
        if value is not None and "/" in value:
            raise UsageError(
                f"host {value!r:.80} is not the name or address of a host.",
                suggestion="Write a URL as base_url.",
            )
        if value is not None and ip_address(value) is None:
            parse_url(f"http://{value}", name="host")
            if ":" in value:
                raise UsageError(f"host {value!r:.80} holds a port.", suggestion="Write it as port.")
        return value

    def address(self, environ: Mapping[str, str]) -> Address:
        if self.base_url is not None or (self.host is None and self.port is None):
            return super().address(environ)
        usual = parse_url(self.kind.default_url or "").url.rpartition(":")[2].partition("/")[0]
        return parse_url(join_url("http", self.host or "127.0.0.1", self.port or int(usual), "/v1"))

    def advice(self, environ: Mapping[str, str]) -> tuple[Advice, ...]:
        found = super().advice(environ)
        if not self.auto_start_server:
            return found
        return (
            *found,
            Advice(
                "auto_start_server",
                f"namel3ss starts no {self.kind.label} server.",
                "Start it yourself, and leave auto_start_server out.",
            ),
        )


class StartedVllm(StartedServer):
    """What guides for vLLM write besides the options of the engine."""

    swap_space: float | None = started_with(
        doc="How much of the computer's memory each GPU may use besides its own.",
        unit="GiB",
        ge=0,
        le=65536,
    )
    api_key_required: bool | None = started_with(
        doc="Whether the server asks for a key. The key itself is api_key."
    )
    allowed_origins: list[str] | None = started_with(
        doc="The web pages that the server answers, by their origins.",
        form="a list of origins such as http://localhost:3000",
    )


class StartedLocalAI(StartedServer):
    """What guides for LocalAI write besides the options of the model."""

    mlock: bool | None = started_with(doc="Whether the model is kept from being swapped out.")
    batch_size: int | None = started_with(
        doc="How many tokens of a prompt are read at once.",
        unit="tokens",
        synonyms=("num_batch",),
        ge=1,
        le=LARGEST_INT,
    )
    gpu: bool | None = started_with(doc="Whether the server was given a GPU.")
    use_docker: bool | None = started_with(doc="Whether the server runs in a container.")
    container_name: str | None = started_with(doc="The container's name.")
    image: str | None = started_with(doc="The container's image.")
    models_path: str | None = started_with(doc="The folder of the server's models.")
    env: JsonMap = started_with(
        {}, doc="The environment that the server was started with.", form="a map of texts"
    )
    context_length: int | None = setting(
        doc="context_size by the name that guides use. Instead of context_size.",
        is_movable=True,
        unit="tokens",
        placeholder=SERVERS_OWN,
        ge=1,
        le=LARGEST_INT,
    )

    @field_validator("context_size", check_fields=False)
    @classmethod
    def _check_one_window(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and others.data.get("context_length") not in (None, value):
            raise UsageError(
                "context_size and context_length mean the same, and disagree.",
                suggestion="Write one of them.",
            )
        return value
