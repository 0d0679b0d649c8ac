"""``namel3ss gateway transcript``: stored prompts and answers, read and deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.gateway_store import StoreWork, moment, on_store
from namel3ss.cli.session import Group
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.gateway.store import Transcript

__all__ = ["transcripts"]

_MOST = 1000


@click.group("transcript", cls=Group, short_help="Read and delete stored prompts and answers.")
def transcripts() -> None:
    """Read and delete stored prompts and answers.

    There are some only where the file says `store_prompts: true`. Whoever reads or deletes them is in the audit log.
    """


@transcripts.command("list")
@click.option("--user", metavar="NAME", help="Only this user's.")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    metavar="N",
    help="How many, the latest first.",
)
@on_store()
async def list_transcripts(work: StoreWork, user: str | None, limit: int) -> None:
    """Show what was asked and answered."""
    found = await work.administration.transcripts.read(actor=work.actor, user=user, limit=limit)
    if work.as_json:
        work.show_json([_described(each) for each in found])
        return
    if not found:
        work.session.output.note("Nothing is stored.")
    now = time.time()
    for each in found:
        cut = ", cut" if each.is_cut else ""
        work.session.output.line(
            f"-- {each.id}: {each.user_name}, {each.model}, {moment(each.at, now)}, status {each.status}{cut}"
        )
        for text in (each.prompt, each.answer):
            work.session.output.line(_printable(text))


@transcripts.command("delete")
@click.argument("user", metavar="[USER]", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@on_store()
async def delete_transcripts(work: StoreWork, user: str | None, everybody: bool) -> None:
    """Delete those of one user, or all."""
    if everybody == (user is not None):
        raise UsageError("Name the user whose prompts and answers are deleted, or give --all.")
    count = await work.administration.transcripts.delete(actor=work.actor, user=user)
    work.session.output.note(f"Deleted {count}.")
    if work.as_json:
        work.show_json({"deleted": count})


def _described(transcript: Transcript) -> dict[str, Any]:
    return {
        "id": transcript.id,
        "at": transcript.at,
        "expires_at": transcript.expires_at,
        "request_id": transcript.request_id,
        "user": transcript.user_name,
        "key": transcript.key_id,
        "class": transcript.class_name,
        "model": transcript.model,
        "route": transcript.route,
        "status": transcript.status,
        "prompt": transcript.prompt,
        "answer": transcript.answer,
        "is_cut": transcript.is_cut,
    }


def _printable(text: str) -> str:
    """Without what a terminal would obey: a model or a caller wrote it."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
