"""The table of settings in docs/language.md, made from the config model.

    python -m tests.declarations.settings_table

writes it into the page.
"""

from __future__ import annotations

import re
from pathlib import Path

from namel3ss.providers.local.ollama._config import OllamaConfig
from namel3ss.providers.settings import SettingInfo, setting_infos

PAGE = Path(__file__).parents[2] / "docs/language.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def settings_table() -> str:
    """The settings of `provider: ollama`, one row each, in the order of the model."""
    rows = [
        "| setting | value | default | block | meaning |",
        "|---|---|---|---|---|",
        *(_row(info) for info in setting_infos(OllamaConfig).values()),
    ]
    return "\n".join([*rows, ""])


def table_in(page: str) -> str:
    """What stands between the two marks."""
    found = re.search(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", page, re.DOTALL)
    assert found, f"docs/language.md needs the marks {BEGIN} and {END}"
    return found[0]


def _row(info: SettingInfo) -> str:
    value = info.form
    if info.unit and info.unit not in value:
        value += f" ({info.unit})"
    if info.secret and "environment" not in value:
        value += ", from the environment"
    block = "either" if info.place == "either" else f"`{info.place}`"
    cells = (f"`{info.name}`", value, _default(info), block, info.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(info: SettingInfo) -> str:
    if info.default is None or info.default == {}:
        return info.placeholder or "none"
    if isinstance(info.default, bool):
        return "true" if info.default else "false"
    return f"{info.default:g}" if isinstance(info.default, float) else str(info.default)


def _main() -> None:
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    PAGE.write_text(before + begin + settings_table() + end + after, encoding="utf-8")


if __name__ == "__main__":
    _main()
