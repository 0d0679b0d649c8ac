"""The editions of the OpenTelemetry conventions that can be emitted, and which of them is. See `gen_ai`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CLASSIC",
    "GENAI_2026_10",
    "PROFILE_ENV",
    "SCHEMA_URL",
    "ProfileChoice",
    "ProfileName",
    "choose_profiles",
]

logger = logging.getLogger(__name__)

ProfileName: TypeAlias = Literal["classic", "genai-2026-10"]
ProfileChoice: TypeAlias = Literal["classic", "genai-2026-10", "both"]
CLASSIC: Final = "classic"
GENAI_2026_10: Final = "genai-2026-10"

# The latest schema that the released Python constants know; both profiles are read with it.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

PROFILE_ENV = "NAMEL3SS_TELEMETRY_PROFILE"
_OPT_IN_ENV = "OTEL_SEMCONV_STABILITY_OPT_IN"
_OPT_IN = "gen_ai_latest_experimental"

_PROFILES: Mapping[str, tuple[ProfileName, ...]] = {
    "classic": (CLASSIC,),
    "genai-2026-10": (GENAI_2026_10,),
    "both": (CLASSIC, GENAI_2026_10),
}


def choose_profiles(setting: ProfileChoice | None, environ: Mapping[str, str]) -> tuple[ProfileName, ...]:
    """The profiles to emit: the setting, else ``NAMEL3SS_TELEMETRY_PROFILE``, else the conventions' own opt-in
    variable, else ``classic``. Raises UsageError for a setting that does not exist; such a variable is logged.
    """
    if setting is not None:
        if setting not in _PROFILES:
            raise UsageError(
                f"There is no telemetry profile {setting!r}.",
                suggestion=f"Choose one of: {', '.join(get_args(ProfileChoice))}.",
            )
        return _PROFILES[setting]
    named = environ.get(PROFILE_ENV, "").strip()
    if named in _PROFILES:
        return _PROFILES[named]
    if named:
        logger.warning("%s: there is no telemetry profile %r; using classic", PROFILE_ENV, named)
        return _PROFILES[CLASSIC]
    opted_in = {word.strip() for word in environ.get(_OPT_IN_ENV, "").split(",")}
    return _PROFILES[GENAI_2026_10 if _OPT_IN in opted_in else CLASSIC]
