"""References to the environment, and secrets: which values come from where, and which may not stand in a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from namel3ss.declarations.places import EnvironmentValue
from namel3ss.language import Diagnostic, Severity
from namel3ss.providers.setting_problems import read_text, takes_any_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.places import Location, Path
    from namel3ss.declarations.written import Written
    from namel3ss.providers.settings import SettingInfo

__all__ = [
    "UNSET",
    "has_password",
    "report_literal_password",
    "report_literal_secrets",
    "report_unset",
    "resolve",
    "unset_variable",
    "variable_meant",
]

# How other languages name a variable; a bare word lacks the brace that it ended before.
_ELSEWHERE = re.compile(
    r"""\$\{?(?P<shell>[A-Za-z_]\w*)\}?
      | (?:\{\{\s*)?(?:os\.|process\.)?(?:env|environ|getenv)(?:\.get)?[.(\[]["']?(?P<code>[A-Za-z_]\w*)["']?[)\]]?(?:\s*\}\})?""",
    re.VERBOSE | re.IGNORECASE,
)
_SECRET_HEADER = re.compile(r"auth|api[-_]?key|token|secret|cookie|passw|credential|session", re.IGNORECASE)

# By its looks: a URL with mistakes in it may hold a password, too.
_PASSWORD = re.compile(r"://[^/?#@\s]*:[^/?#@\s]+@")
_SEEN = ("Whoever reads the file, its history or its backups reads the secret: replace it.",)


class _Unset:
    """Marks a value whose variable is not set: None is a value that a default may give."""


UNSET = _Unset()


def resolve(written: object, path: Path, model: type[BaseModel], environ: Mapping[str, str]) -> Any:
    """Plain data with the environment's values in place, each read by the type of the setting at `path`.

    Of maps and lists, what is unset is left out, and so is null where it means nothing; a value that is itself unset
    gives UNSET.
    """

    def is_unset(item: object) -> bool:
        return item is UNSET or (item is None and not takes_any_items(model, str(path[0])))

    if isinstance(written, EnvironmentValue):
        text = written.find(environ)
        if text is None:
            return written.default if written.has_default else UNSET
        return read_text(model, path, text)
    if isinstance(written, dict):
        items = {key: resolve(item, (*path, key), model, environ) for key, item in written.items()}
        return {key: item for key, item in items.items() if not is_unset(item)}
    if isinstance(written, list):
        found = [resolve(item, (*path, index), model, environ) for index, item in enumerate(written)]
        return [item for item in found if not is_unset(item)]
    return written


def unset_variable(path: Path, reference: EnvironmentValue, place: Location) -> Diagnostic:
    """The error of a setting whose variable is needed now, and is not set."""
    return Diagnostic(
        "N3301",
        Severity.ERROR,
        _unset_message(path, reference).rstrip("."),
        place.source,
        place.span,
        help=_unset_help(reference),
    )


def report_unset(path: Path, reference: EnvironmentValue, written: Written, findings: Findings) -> None:
    """Warn that a variable without a default is not set."""
    findings.report("N3301", _unset_message(path, reference), written.place, help=_unset_help(reference))


def _unset_message(path: Path, reference: EnvironmentValue) -> str:
    names = reference.names
    which = names[0] if len(names) == 1 else f"none of {', '.join(names)}"
    return f"{path[0]} comes from the environment, and {which} is {'not set' if len(names) == 1 else 'set'}."


def _unset_help(reference: EnvironmentValue) -> str:
    return f'Set {reference.names[0]}, or give a default: `{reference} ?? "…"`'


def variable_meant(value: object) -> str | None:
    """The variable that a text names as other languages do: ``$NAME``, ``${NAME}``, ``os.environ["NAME"]``."""
    found = _ELSEWHERE.fullmatch(value.strip()) if isinstance(value, str) else None
    return found["shell"] or found["code"] if found is not None else None


def report_literal_secrets(info: SettingInfo, written: Written, findings: Findings) -> None:
    """Report every secret of this setting that stands in the file itself."""
    if not info.secret:
        return
    for path, item in written.walk((info.name,)):
        if len(path) > 1 and not _SECRET_HEADER.search(str(path[1])):
            continue  # a header that names a team or a tenant is no secret
        content = item.content
        literal = content.default if isinstance(content, EnvironmentValue) else content
        if isinstance(literal, dict | list) or literal is None or literal == "":
            continue
        findings.report(
            "N3302",
            f"{'.'.join(map(str, path))} is a secret, and the file says it in clear.",
            item.place,
            help=f"Take it from the environment: `{path[-1]}: env.{_variable_name(str(path[-1]))}`",
            notes=_SEEN,
        )


def report_literal_password(key: str, pairs: Mapping[str, Written], findings: Findings) -> None:
    """Report a password that stands in a URL of the file itself."""
    written = pairs.get(key)
    content = written.content if written is not None else None
    literal = content.default if isinstance(content, EnvironmentValue) else content
    if written is not None and isinstance(literal, str) and has_password(literal):
        findings.report(
            "N3302",
            f"{key} has a password in it, and the file says it in clear.",
            written.place,
            help=f"Take the URL from the environment: `{key}: env.{_variable_name(key)}`",
            notes=_SEEN,
        )


def has_password(url: str) -> bool:
    """Whether a text looks like a URL with a password in it."""
    return _PASSWORD.search(url) is not None


def _variable_name(key: str) -> str:
    return re.sub(r"\W+", "_", key).strip("_").upper() or "SECRET"
