"""Settings that are allowed and hardly ever meant: what the check of a file warns of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import is_loopback, parse_url
from namel3ss.providers.local.ollama._address import resolve_address
from namel3ss.providers.settings import Advice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.local.ollama._config import OllamaConfig

__all__ = ["advice_on"]

_LARGE_WINDOW: Final = 262_144  # tokens; the most that Ollama chooses by itself, on the largest machines


def advice_on(config: OllamaConfig, environ: Mapping[str, str]) -> tuple[Advice, ...]:
    """The traps of these settings: layers taken for GPUs, a far server to start here, a huge window, an empty stop text."""
    found = []
    if config.top_k == 1 and config.temperature:
        found.append(
            Advice(
                "temperature",
                "With top_k: 1 the most likely token is always taken, and temperature changes nothing.",
                "Leave one of the two out.",
                "N3804",
            )
        )
    if config.stop == "" or (isinstance(config.stop, list) and "" in config.stop):
        found.append(
            Advice(
                "stop",
                "An empty stop text ends every answer before its first word: Ollama finds it in whatever the model says.",
                "Leave it out. Without stop, the model's own stop texts hold.",
                "N3808",
            )
        )
    if config.num_gpu == 1:
        found.append(
            Advice(
                "num_gpu",
                "num_gpu: 1 puts one layer of the model on the GPU, not the model on one GPU.",
                "Leave num_gpu out to use as much of the GPU as fits, or write the number of layers.",
                "N3801",
            )
        )
    if config.auto_start_server and not all(is_loopback(url) for url in _addresses(config, environ)):
        found.append(
            Advice(
                "auto_start_server",
                "auto_start_server works only on this machine, and the server's address is elsewhere.",
                "Start the server there, and leave auto_start_server out.",
                "N3802",
            )
        )
    if config.num_ctx is not None and config.num_ctx > _LARGE_WINDOW:
        found.append(
            Advice(
                "num_ctx",
                f"num_ctx: {config.num_ctx} reserves memory for more tokens than most models were trained for.",
                f"Few models use more than {_LARGE_WINDOW} tokens; ollama show MODEL tells how many.",
                "N3803",
            )
        )
    return tuple(found)


def _addresses(config: OllamaConfig, environ: Mapping[str, str]) -> list[str]:
    if config.hosts:
        return [parse_url(url).url for url in config.hosts]
    try:
        return [resolve_address(config.base_url, config.host, config.port, environ).url]
    except UsageError:
        return []  # whoever uses the address reports it
