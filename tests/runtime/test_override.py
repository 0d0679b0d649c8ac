"""Settings given from outside a file beat the file's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.runtime import load

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """\
ai model m {
    provider: ollama
    model: tiny
    config: { temperature: 0.5, seed: 1, base_url: env.GPU_SERVER }
    deployment_config: { keep_alive: "10m" }
}
"""


def overridden(folder: Path, settings: dict[str, object]) -> dict[str, object]:
    path = folder / "app.ai"
    path.write_text(PROGRAM, encoding="utf-8")
    model = load(path, environ={}).model()

    model.override(settings)

    return model.declaration.settings({})


def test_given_setting_replaces_the_file_s_wherever_it_stands(tmp_path: Path) -> None:
    settings = overridden(
        tmp_path, {"temperature": 0.1, "keep_alive": "1m", "base_url": "http://localhost:1"}
    )

    assert settings == {"temperature": 0.1, "seed": 1, "keep_alive": "1m", "base_url": "http://localhost:1"}


def test_none_takes_a_setting_away_and_its_variable_is_no_longer_needed(tmp_path: Path) -> None:
    settings = overridden(tmp_path, {"seed": None, "base_url": None})

    assert settings == {"temperature": 0.5, "keep_alive": "10m"}
