"""Small `.ai` files for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_program(folder: Path, *models: str, name: str = "app.ai", **settings: object) -> Path:
    """A file that declares these models, called like them, all with the same settings."""
    pairs = "".join(f"    {key}: {_spelled(value)}\n" for key, value in settings.items())
    text = "".join(
        f'ai model "{model}" {{\n    provider: ollama\n    model: {model}\n{pairs}}}\n' for model in models
    )
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
