"""The tables of settings in the documentation, made from the models that check them.

    python -m tests.declarations.settings_table

writes them into their pages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from namel3ss.declarations.blocks import inner_model
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings
from namel3ss.providers.anthropic._config import AnthropicConfig
from namel3ss.providers.local.ollama._config import OllamaConfig
from namel3ss.providers.settings import SettingInfo, setting_infos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

_DOCS: Final = Path(__file__).parents[2] / "docs"
_PAGES: Final = {"anthropic-settings": _DOCS / "providers.md"}


def provider_table() -> str:
    """The settings of `provider: ollama`, one row each, in the order of the model."""
    rows = [
        "| setting | value | default | block | meaning |",
        "|---|---|---|---|---|",
        *(
            row(f"`{info.name}`", info, "either" if info.place == "either" else f"`{info.place}`")
            for info in setting_infos(OllamaConfig).values()
        ),
    ]
    return "\n".join([*rows, ""])


def declaration_table(model: type[BaseModel]) -> str:
    """The settings of a server, a gateway or a provider without blocks; those inside a block bear its name before theirs."""
    rows = ["| setting | value | default | meaning |", "|---|---|---|---|"]
    rows += [row(f"`{name}`", info) for name, info in _flat(model, "")]
    return "\n".join([*rows, ""])


TABLES: Final[dict[str, Callable[[], str]]] = {
    "settings": provider_table,
    "server": lambda: declaration_table(ServerSettings),
    "gateway": lambda: declaration_table(GatewaySettings),
    "anthropic-settings": lambda: declaration_table(AnthropicConfig),
}


def page_of(name: str) -> Path:
    """The page that has the table of that name."""
    return _PAGES.get(name, _DOCS / "language.md")


def written_table(name: str) -> str:
    """What stands between the two marks of a table."""
    begin, end = _marks(name)
    page = page_of(name).read_text(encoding="utf-8")
    found = re.search(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", page, re.DOTALL)
    assert found, f"{page_of(name).name} needs the marks {begin} and {end}"
    return found[0]


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _flat(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, SettingInfo]]:
    for info in setting_infos(model).values():
        inner = inner_model(model, info.name)
        if inner is None or info.name == "fallback":
            yield f"{prefix}{info.name}", info
        else:
            yield from _flat(inner, f"{prefix}{info.name}.")


def row(name: str, info: SettingInfo, block: str | None = None) -> str:
    """The row of one setting, with the block it belongs into where a table says that."""
    value = info.form
    if info.unit and info.unit not in value:
        value += f" ({info.unit})"
    if info.secret and "environment" not in value:
        value += ", from the environment"
    cells = [name, value, _default(info), *([block] if block is not None else []), info.description]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(info: SettingInfo) -> str:
    default = info.default
    if info.required:
        return "required"
    if info.placeholder and (default is None or isinstance(default, list | dict)):
        return info.placeholder
    if default is None or default == {}:
        return info.placeholder or "none"
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, dict):
        return "`{ " + ", ".join(f"{key}: {value}" for key, value in default.items()) + " }`"
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    return f"{default:.15g}" if isinstance(default, float) else str(default)


def _main() -> None:
    for name, table in TABLES.items():
        path = page_of(name)
        begin, end = _marks(name)
        before, mark, rest = path.read_text(encoding="utf-8").partition(f"{begin}\n")
        assert mark, f"{path.name} needs the mark {begin}"
        path.write_text(before + mark + table() + end + rest.partition(end)[2], encoding="utf-8")


if __name__ == "__main__":
    _main()
