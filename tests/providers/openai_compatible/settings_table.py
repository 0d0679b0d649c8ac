"""The tables of settings in docs/providers.md, made from the models that check them.

    python -m tests.providers.openai_compatible.settings_table

writes them into the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from namel3ss.providers.local.openai_compatible._config import SENT_FIELDS, OpenAICompatibleConfig
from namel3ss.providers.local.openai_compatible._kind_configs import CONFIGS
from namel3ss.providers.settings import setting_infos
from tests.declarations.settings_table import row

if TYPE_CHECKING:
    from namel3ss.providers.settings import SettingInfo

__all__ = ["PAGE", "TABLES", "table", "table_in"]

PAGE: Final = Path(__file__).parents[3] / "docs/providers.md"
SHARED: Final = "every kind"

_HEADERS: Final = {"api_key", "headers", "organization", "project"}
# Fields of a request under other names than their own.
_FIELDS: Final = {"response_format", "extra", "stream_usage"}

# What each table lists: what all share, and what is one kind's own.
TABLES: Final = (SHARED, *(name for name, config in CONFIGS.items() if config.model_fields.keys() - OpenAICompatibleConfig.model_fields.keys()))  # fmt: skip


def table(name: str) -> str:
    """The settings of a kind that it does not share; those that all share under their own name."""
    shared = OpenAICompatibleConfig.model_fields
    model = OpenAICompatibleConfig if name == SHARED else CONFIGS[name]
    infos = [info for info in setting_infos(model).values() if name == SHARED or info.name not in shared]
    rows = ["| setting | value | default | sent | meaning |", "|---|---|---|---|---|"]
    rows += [_row(info, model) for info in infos]
    return "\n".join([*rows, ""])


def table_in(page: str, name: str) -> str:
    """What stands between the two marks of a table."""
    begin, end = _marks(name)
    found = re.search(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", page, re.DOTALL)
    assert found, f"docs/providers.md needs the marks {begin} and {end}"
    return found[0]


def _row(info: SettingInfo, model: type[OpenAICompatibleConfig]) -> str:
    if info.name == "base_url":
        # The address differs from kind to kind.
        return f"| `base_url` | a URL | the kind's own | no | {info.description} |"
    return row(f"`{info.name}`", info, _sent(info, model))


def _sent(info: SettingInfo, model: type[OpenAICompatibleConfig]) -> str:
    if info.place == "deployment_config":
        return "no: describes the server"
    if info.name in _HEADERS:
        return "as headers" if info.name == "headers" else "as a header"
    is_field = info.name in (*SENT_FIELDS, *model.own_fields) or info.name in _FIELDS
    return "yes" if is_field else "no"


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in TABLES:
        begin, end = _marks(name)
        before, mark, rest = page.partition(f"{begin}\n")
        assert mark, f"docs/providers.md needs the mark {begin}"
        page = before + mark + table(name) + end + rest.partition(end)[2]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    _main()
