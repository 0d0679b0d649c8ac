"""``namel3ss gateway whitelist``: the addresses that classes may be used from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.gateway_store import StoreWork, on_store
from namel3ss.cli.gateway_values import read_network
from namel3ss.cli.session import Group
from namel3ss.cli.tables import show_table

if TYPE_CHECKING:
    from namel3ss.gateway.store import WhitelistEntry

__all__ = ["whitelist"]


@click.group("whitelist", cls=Group, short_help="Say from which addresses a class may be used.")
def whitelist() -> None:
    """Say from which addresses a class may be used.

    A class with an entry, in the file or here, may be used from its addresses alone. What the file declares can only be
    changed there.
    """


@whitelist.command("add")
@click.argument("class_name", metavar="CLASS")
@click.argument("network", metavar="ADDRESS")
@click.option("--note", default="", metavar="TEXT", help="Whose it is, for people.")
@on_store(creates=True)
async def add_entry(work: StoreWork, class_name: str, network: str, note: str) -> None:
    """Let a class be used from an address or range."""
    entry = await work.administration.whitelist.add(
        class_name, read_network(network), actor=work.actor, note=note
    )
    work.session.output.note(f"{class_name} may be used from {entry.network}.")
    if work.as_json:
        work.show_json(_described(entry))


@whitelist.command("list")
@on_store()
async def list_entries(work: StoreWork) -> None:
    """List the entries of the file and those that are stored."""
    found = await work.administration.whitelist.list()
    if work.as_json:
        work.show_json([_described(entry) for entry in found])
    elif not found:
        work.session.output.note("No class needs a known address.")
    else:
        rows = [
            (entry.class_name, str(entry.network), entry.origin or "stored", entry.note or "-")
            for entry in found
        ]
        show_table(work.session.output, ("CLASS", "ADDRESS", "ORIGIN", "NOTE"), rows)


@whitelist.command("remove")
@click.argument("class_name", metavar="CLASS")
@click.argument("network", metavar="ADDRESS")
@on_store()
async def remove_entry(work: StoreWork, class_name: str, network: str) -> None:
    """Take a stored entry away. With the last one of a class that the file does not list, the class is open to all."""
    entry = read_network(network)
    await work.administration.whitelist.remove(class_name, entry, actor=work.actor)
    work.session.output.note(f"Removed {entry} from {class_name}.")
    if not any(each.class_name == class_name for each in await work.administration.whitelist.list()):
        work.session.output.warn(f"{class_name} has no entry any more: it may be used from every address.")
    if work.as_json:
        work.show_json({"removed": {"class": class_name, "address": str(entry)}})


def _described(entry: WhitelistEntry) -> dict[str, Any]:
    return {
        "class": entry.class_name,
        "address": str(entry.network),
        "origin": entry.origin,
        "note": entry.note,
    }
