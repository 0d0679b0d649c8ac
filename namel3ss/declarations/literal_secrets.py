"""What looks like a secret and stands in a file: keys of known services, passwords in URLs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from namel3ss.declarations.model import Location
from namel3ss.language.masking import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.declarations.findings import Findings
    from namel3ss.language import Source

__all__ = ["report_literal_looks"]


def report_literal_looks(sources: Iterable[Source], findings: Findings) -> None:
    """Warn of every text that looks like a secret, wherever it stands, unless its place has an error that says so."""
    known = {(found.source, found.source.position(found.span.start).line) for found in findings.of("N3302")}
    for source in sources:
        work = functools.partial(secrets_in, source.text)
        for span in findings.recall("secrets", (source,), None, work):
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
