"""``namel3ss new NAME``: a small file to start from."""

from __future__ import annotations

import os
import re
import shlex
from typing import Final

import click

from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")

_STARTER: Final = """\
# Check it:    namel3ss check {file}
# Try it:      namel3ss run {file} "Why is the sky blue?" --sandbox    (offline, made-up answers)
# Run it:      namel3ss run {file} "Why is the sky blue?"              (pulls the model when it is missing)

ai model assistant {{
    provider: ollama
    model: env.ASSISTANT_MODEL ?? "llama3.2:1b"  # `namel3ss models list` shows what is installed
    system: |
        You are a helpful assistant.
        Answer in a few plain sentences.
    config: {{
        temperature: 0.7  # 0 is the most predictable
        num_ctx: 8192  # tokens: prompt and answer together
    }}
    deployment_config: {{
        keep_alive: 10m  # how long the model stays loaded after an answer
    }}
}}
"""


@click.command(cls=Command, short_help="Write a small .ai file to start from.")
@click.argument("name", metavar="NAME")
@pass_session
def command(session: Session, name: str) -> None:
    """Write NAME.ai, a small commented file that runs at once. Never overwrites a file.

    NAME may stand in a folder that exists, such as apps/helper.
    """
    folder, base = os.path.split(name.removesuffix(".ai"))
    if not _NAME.match(base):
        raise UsageError(
            f"{name!r} is not a good name for a file.", suggestion="Use letters, digits, _, - and dots."
        )
    path = os.path.join(folder, f"{base}.ai")
    try:
        # "x" refuses a file that exists, and a link to nowhere, in the same step that creates it.
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(_STARTER.format(file=shlex.quote(path)))
    except FileExistsError:
        raise UsageError(
            f"{path} exists already, and nothing is overwritten.", suggestion="Choose another name."
        ) from None
    session.output.line(
        f'Wrote {path}. Try it: namel3ss run {shlex.quote(path)} "Why is the sky blue?" --sandbox'
    )
