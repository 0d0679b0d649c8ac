"""``namel3ss gateway key``: made, listed, revoked, exchanged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.gateway_store import StoreWork, moment, on_store
from namel3ss.cli.gateway_values import EXPIRY, SCOPE, read_networks
from namel3ss.cli.session import Group
from namel3ss.cli.tables import show_table

if TYPE_CHECKING:
    from namel3ss.gateway.store import Key, NewKey

__all__ = ["keys"]


@click.group("key", cls=Group, short_help="Make, list, revoke and exchange keys.")
def keys() -> None:
    """Make, list, revoke and exchange the keys of users.

    A running gateway knows of a change within a second.
    """


@keys.command("create", short_help="Make a key for a user and print it, this once.")
@click.argument("user", metavar="USER")
@click.option(
    "--class", "class_name", metavar="NAME", help="The class, and so the priority, of its requests."
)
@click.option(
    "--scope", "scopes", type=SCOPE, multiple=True, help="What it is good for; may be repeated. Else use."
)
@click.option(
    "--model",
    "models",
    metavar="NAME",
    multiple=True,
    help="A model or pattern it may use; may be repeated. Else all.",
)
@click.option(
    "--network",
    "networks",
    metavar="CIDR",
    multiple=True,
    help="Where it may be used from; may be repeated. Else anywhere.",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many requests it may make a minute.",
)
@click.option(
    "--tokens-per-minute",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many tokens it may use a minute.",
)
@click.option(
    "--tokens-per-day",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many tokens it may use a day (UTC).",
)
@click.option(
    "--streams", type=click.IntRange(min=1), metavar="N", help="How many answers it may receive at a time."
)
@click.option(
    "--expires",
    "expires_at",
    type=EXPIRY,
    metavar="WHEN",
    help="After how long (90d, 12h), or on which day (2027-06-30), it ends. Else never.",
)
@click.option("--fallback", is_flag=True, help="The gateway's fallback may answer it.")
@click.option(
    "--cloud",
    is_flag=True,
    help="It may call models that Ollama runs elsewhere, where the gateway allows them.",
)
@click.option(
    "--in-address",
    is_flag=True,
    help="It may stand in the address (/k/KEY/…), for tools that can send no header.",
)
@click.option("--note", default="", metavar="TEXT", help="What it is for, for people.")
@on_store()
async def create_key(
    work: StoreWork,
    user: str,
    class_name: str | None,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    networks: tuple[str, ...],
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    tokens_per_day: int | None,
    streams: int | None,
    expires_at: float | None,
    fallback: bool,
    cloud: bool,
    in_address: bool,
    note: str,
) -> None:
    """Make a key for a user and print it: this once, for it is stored nowhere."""
    from namel3ss.gateway.principal import KeyLimits, Scope
    from namel3ss.gateway.store import KeyGrant

    grant = KeyGrant(
        scopes=frozenset(map(Scope, scopes)) or frozenset({Scope.USE}),
        class_name=class_name,
        models=models or None,
        networks=read_networks(networks) or None,
        limits=KeyLimits(
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            tokens_per_day=tokens_per_day,
            streams=streams,
        ),
        allows_fallback=fallback,
        allows_cloud=cloud,
        in_address=in_address,
        expires_at=expires_at,
        note=note,
    )
    _show_new(work, await work.administration.keys.create(user, grant, actor=work.actor))


@keys.command("list")
@click.argument("user", metavar="[USER]", required=False)
@on_store()
async def list_keys(work: StoreWork, user: str | None) -> None:
    """List the keys of all users, or of one, without their secrets."""
    found = await work.administration.keys.list(user)
    disabled = {each.name for each in await work.administration.users.list() if each.disabled_at is not None}
    now = time.time()
    if work.as_json:
        work.show_json([_described(key, now, disabled) for key in found])
    elif not found:
        work.session.output.note(
            f"There is no key. Make one: namel3ss gateway key create USER {work.named_by}"
        )
    else:
        columns = ("ID", "USER", "CLASS", "SCOPES", "STATE", "EXPIRES", "LAST USED", "NOTE")
        show_table(work.session.output, columns, [_listed(key, now, disabled) for key in found])


@keys.command("revoke")
@click.argument("key_ids", metavar="ID...", nargs=-1, required=True)
@on_store()
async def revoke_keys(work: StoreWork, key_ids: tuple[str, ...]) -> None:
    """Let keys work no more; what they run is ended. ID is the part between the first two `_` of a key."""
    for key_id in key_ids:
        key = await work.administration.keys.revoke(_public(key_id), actor=work.actor)
        work.session.output.note(f"Revoked the key {key.id} of {key.user}.")
    if work.as_json:
        work.show_json({"revoked": [_public(key_id) for key_id in key_ids]})


@keys.command("rotate", short_help="Make a key that is good for the same, and revoke the old one.")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    type=EXPIRY,
    metavar="DURATION",
    help="How long the old key still works, such as 1d. Else not at all.",
)
@on_store()
async def rotate_key(work: StoreWork, key_id: str, overlap: float | None) -> None:
    """Make a key that is good for the same, print it this once, and revoke the old one."""
    overlap_s = 0.0 if overlap is None else overlap - time.time()
    made = await work.administration.keys.rotate(_public(key_id), actor=work.actor, overlap_s=overlap_s)
    _show_new(work, made)


def _public(given: str) -> str:
    """The id, also where somebody pastes a whole key: what it says is not repeated anywhere."""
    parts = given.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "n3k" else given


def _show_new(work: StoreWork, made: NewKey) -> None:
    key = made.key
    if work.as_json:
        work.show_json({**_described(key, key.created_at, set()), "key": made.token})
        return
    what = f"class {key.grant.class_name}" if key.grant.class_name else "the default class"
    work.session.output.note(f"The key {key.id} of {key.user} ({what}), shown this once:")
    work.session.output.line(made.token)


def _state(key: Key, now: float, disabled: set[str]) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.grant.expires_at is not None and key.grant.expires_at <= now:
        return "expired"
    return "disabled" if key.user in disabled else "active"


def _listed(key: Key, now: float, disabled: set[str]) -> tuple[str, ...]:
    return (
        key.id,
        key.user,
        key.grant.class_name or "-",
        ",".join(sorted(key.grant.scopes)),
        _state(key, now, disabled),
        moment(key.grant.expires_at, now, "never"),
        moment(key.last_used_at, now, "never"),
        key.grant.note or "-",
    )


def _described(key: Key, now: float, disabled: set[str]) -> dict[str, Any]:
    grant, limits = key.grant, key.grant.limits
    return {
        "id": key.id,
        "user": key.user,
        "note": grant.note,
        "class": grant.class_name,
        "scopes": sorted(grant.scopes),
        "models": None if grant.models is None else list(grant.models),
        "networks": None if grant.networks is None else [str(network) for network in grant.networks],
        "limits": {
            "requests_per_minute": limits.requests_per_minute,
            "tokens_per_minute": limits.tokens_per_minute,
            "tokens_per_day": limits.tokens_per_day,
            "streams": limits.streams,
        },
        "allows_fallback": grant.allows_fallback,
        "allows_cloud": grant.allows_cloud,
        "in_address": grant.in_address,
        "state": _state(key, now, disabled),
        "created_at": key.created_at,
        "expires_at": grant.expires_at,
        "last_used_at": key.last_used_at,
    }
