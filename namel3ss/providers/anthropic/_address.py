"""Where Anthropic's API is, and the variables that say otherwise: those of Anthropic's own clients."""

from __future__ import annotations

from typing import Final

__all__ = ["API_KEY_ENV", "BASE_URL_ENV", "DEFAULT_URL"]

API_KEY_ENV: Final = "ANTHROPIC_API_KEY"
BASE_URL_ENV: Final = "ANTHROPIC_BASE_URL"
DEFAULT_URL: Final = "https://api.anthropic.com"
