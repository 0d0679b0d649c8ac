"""What looks like a secret and stands in a file: keys of known services, passwords in URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.declarations.places import Location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.declarations.contents import Contents
    from namel3ss.declarations.findings import Findings

__all__ = ["report_literal_looks"]


def report_literal_looks(parts: Iterable[Contents], findings: Findings) -> None:
    """Warn of every text that looks like a secret, wherever it stands, unless its place has an error that says so."""
    known = {(found.source, found.source.position(found.span.start).line) for found in findings.of("N3302")}
    for part in parts:
        source = part.source
        for span in part.secrets:
            if (source, source.position(span.start).line) not in known:
                findings.report(
                    "N3806",
                    "This looks like a secret, and the file says it in clear.",
                    Location(source, span),
                    help="Take it from the environment: `env.NAME`",
                    notes=(
                        "Whoever reads the file, its history or its backups reads the secret: replace it.",
                    ),
                )
