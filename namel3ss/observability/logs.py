"""Log records of namel3ss: their loggers, no secrets, one line each.

Every logger is named after its module, so all stand under ``namel3ss`` and a level set on a part of the tree holds for
what is below it; `LOGGERS` names the parts. Prompts and answers are logged at no level. For debugging one's own
program, ``NAMEL3SS_LOG_CONTENT=1`` allows them at level DEBUG; `is_content_logged` is the only place that asks.
"""

from __future__ import annotations

import json
import logging
import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LOGGERS",
    "JsonFormatter",
    "LineFormatter",
    "fields",
    "is_content_logged",
    "one_line",
    "redact_headers",
    "redact_text",
    "redact_url",
]

LOGGERS: Mapping[str, str] = MappingProxyType(
    {
        "namel3ss": "everything",
        "namel3ss.observability": "metric listeners and exporters that fail",
        "namel3ss.providers": "requests, retries, pulls, starting and stopping servers",
        "namel3ss.runtime": "programs opened and closed",
        "namel3ss.scheduling": "queued requests, and servers that fail them",
        "namel3ss.bridge": "requests that go to another model than their own, tools left out",
        "namel3ss.gateway": "the gateway: connections; servers, keys and books that fail and come back",
        "namel3ss.gateway.access": "a line for each request to the gateway",
        "namel3ss.sandbox": "the offline server",
        "namel3ss.language_server": "the language server; pygls itself logs as `pygls`",
        "namel3ss.cli": "the command line",
    }
)

CONTENT_ENV = "NAMEL3SS_LOG_CONTENT"
MASK = "***"

_SECRET_NAME = re.compile(
    r"authorization|cookie|credential|passw|secret|token|api[-_]?key|^key$", re.IGNORECASE
)
# What is logged may come from anybody and be long, so each of these takes time in proportion to the text: no pattern
# begins with a part of any length that can be tried again from each letter.
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"(?P<name>authorization|credential|passw(?:or)?d|secret|token|api[-_]?key)"
    r"(?P<between>[\"']?\s*[:=]\s*[\"']?)(?P<value>[^\s\"',;&}]{4,})",
    re.IGNORECASE,
)
# Keys and sessions of a gateway: one is told by its letters alone, wherever it stands.
_GATEWAY_TOKEN = re.compile(r"\b(n3[ks])_[0-9A-Za-z]+_[0-9A-Za-z]+")
# C0 and C1 controls, and what terminals and log viewers take for a line end or a change of direction.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def is_content_logged(environ: Mapping[str, str]) -> bool:
    """Whether prompts and answers may be logged, at level DEBUG: only if ``NAMEL3SS_LOG_CONTENT`` is 1 or true."""
    return environ.get(CONTENT_ENV, "").strip().lower() in {"1", "true"}


def fields(**values: object) -> dict[str, object]:
    """For `extra=`: values that a structured log keeps apart from the sentence, under their own names."""
    return {"fields": values}


def redact_url(url: str) -> str:
    """`url` without user name, password, and the values of parameters that are named like secrets."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc
    except ValueError:
        # Not a URL that could be taken apart, so nothing in it can be told to be harmless.
        return MASK
    if "@" in netloc:
        netloc = f"{MASK}@{netloc.rpartition('@')[2]}"
    if netloc == parts.netloc and not parts.query:
        return url  # putting a URL together again would change some, such as sqlite:///file
    query = "&".join(_redact_parameter(item) for item in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))


def _redact_parameter(item: str) -> str:
    name, equals, _ = item.partition("=")
    return f"{name}={MASK}" if equals and _SECRET_NAME.search(name) else item


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, with the values of those that carry credentials masked."""
    return {name: MASK if _SECRET_NAME.search(name) else value for name, value in headers.items()}


def redact_text(text: str) -> str:
    """`text` with what looks like a secret masked: URLs with credentials, tokens, ``api_key=…``."""
    text = _GATEWAY_TOKEN.sub(lambda found: f"{found[1]}_{MASK}", text)
    text = _URL.sub(lambda found: redact_url(found[0]), text)
    text = _AUTHORIZATION.sub(lambda found: f"{found[1]} {MASK}", text)
    return _ASSIGNMENT.sub(_mask_assignment, text)


def _mask_assignment(found: re.Match[str]) -> str:
    # `Authorization: Bearer ***` has been dealt with; masking the scheme too would hide what kind it was.
    if found["value"].lower() in {"bearer", "basic"}:
        return found[0]
    return f"{found['name']}{found['between']}{MASK}"


def one_line(text: str, limit: int = 2_000) -> str:
    """`text` on one line, with control characters shown as escapes: nobody's model name can forge a log record."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text) - limit} more)"
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class LineFormatter(logging.Formatter):
    """A record as one line of text without secrets; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        record.message = one_line(redact_text(record.getMessage()))
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802  # logging's own name
        return redact_text(super().formatException(ei))  # type: ignore[arg-type]  # what logging passes


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line: time, level, logger, message, `fields`, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact_text(record.getMessage()),
        }
        given = getattr(record, "fields", None)
        if isinstance(given, dict):
            entry["fields"] = {str(name): _plain(str(name), value) for name, value in given.items()}
        if record.exc_info:
            entry["error"] = redact_text(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=True)


def _plain(name: str, value: object) -> object:
    if _SECRET_NAME.search(name) and not isinstance(value, int | float):
        return MASK
    return value if isinstance(value, int | float | bool | None) else redact_text(str(value))
