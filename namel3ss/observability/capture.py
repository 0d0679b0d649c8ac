"""Whether prompts and answers are recorded: off by default, switched on by the standard variable."""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CAPTURE_ENV", "ContentCapture", "content_capture"]

logger = logging.getLogger(__name__)

CAPTURE_ENV = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class ContentCapture(Enum):
    """Where prompts and answers are recorded."""

    NO_CONTENT = "NO_CONTENT"
    SPAN_ONLY = "SPAN_ONLY"
    EVENT_ONLY = "EVENT_ONLY"
    SPAN_AND_EVENT = "SPAN_AND_EVENT"

    @property
    def on_span(self) -> bool:
        return self in (ContentCapture.SPAN_ONLY, ContentCapture.SPAN_AND_EVENT)

    @property
    def on_event(self) -> bool:
        return self in (ContentCapture.EVENT_ONLY, ContentCapture.SPAN_AND_EVENT)


def content_capture(environ: Mapping[str, str]) -> ContentCapture:
    """What the standard variable says; a word that it does not know records nothing, and is logged."""
    word = environ.get(CAPTURE_ENV, "").strip().upper()
    if not word:
        return ContentCapture.NO_CONTENT
    try:
        return ContentCapture(word)
    except ValueError:
        known = ", ".join(choice.value for choice in ContentCapture)
        logger.warning("%s=%r is not one of %s; no content is recorded", CAPTURE_ENV, word, known)
        return ContentCapture.NO_CONTENT
