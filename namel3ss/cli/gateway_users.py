"""``namel3ss gateway user``: made, listed, disabled, removed, given a password."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.gateway_store import StoreWork, moment, on_store
from namel3ss.cli.gateway_values import SCOPE
from namel3ss.cli.session import Group
from namel3ss.cli.tables import show_table
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.cli.session import Session
    from namel3ss.gateway.store import User

__all__ = ["users"]

_STDIN_HELP = "Read the password from the first line of standard input."


@click.group("user", cls=Group, short_help="Make, list, disable and remove users.")
def users() -> None:
    """Make, list, disable and remove users, and give them passwords.

    A running gateway knows of a change within a second.
    """


@users.command("create")
@click.argument("name", metavar="NAME")
@click.option("--class", "class_name", metavar="NAME", help="The class of what the user does when signed in.")
@click.option(
    "--scope",
    "scopes",
    type=SCOPE,
    multiple=True,
    help="What the user may do when signed in; may be repeated. Else use.",
)
@click.option("--password", "asks", is_flag=True, help="Ask for a password, so that the user can sign in.")
@click.option("--password-stdin", is_flag=True, help=_STDIN_HELP)
@on_store(creates=True)
async def create_user(
    work: StoreWork,
    name: str,
    class_name: str | None,
    scopes: tuple[str, ...],
    asks: bool,
    password_stdin: bool,
) -> None:
    """Make a user. It can do nothing before it has a key or a password."""
    from namel3ss.gateway.principal import Scope

    password = _password(work.session, name, from_stdin=password_stdin) if asks or password_stdin else None
    user = await work.administration.users.create(
        name,
        actor=work.actor,
        scopes=frozenset(map(Scope, scopes)) or frozenset({Scope.USE}),
        class_name=class_name,
        password=password,
    )
    work.session.output.note(
        f"Made the user {name}. Give it a key: namel3ss gateway key create {name} {work.named_by}"
    )
    if work.as_json:
        work.show_json(_described(user))


@users.command("list")
@on_store()
async def list_users(work: StoreWork) -> None:
    """List the users."""
    found = await work.administration.users.list()
    if work.as_json:
        work.show_json([_described(user) for user in found])
    elif not found:
        work.session.output.note(
            f"There is no user. Make one: namel3ss gateway user create NAME {work.named_by}"
        )
    else:
        now = time.time()
        columns = ("NAME", "CLASS", "SCOPES", "STATE", "PASSWORD", "CREATED")
        show_table(work.session.output, columns, [_listed(user, now) for user in found])


@users.command("disable", short_help="Let nothing of the user's work any more.")
@click.argument("name", metavar="NAME")
@on_store()
async def disable_user(work: StoreWork, name: str) -> None:
    """Let nothing of the user's work any more, until it is enabled again."""
    await work.administration.users.disable(name, actor=work.actor)
    _tell(work, f"Disabled {name}.", {"disabled": name})


@users.command("enable")
@click.argument("name", metavar="NAME")
@on_store()
async def enable_user(work: StoreWork, name: str) -> None:
    """Let the user's keys and password work again."""
    await work.administration.users.enable(name, actor=work.actor)
    _tell(work, f"Enabled {name}.", {"enabled": name})


@users.command("password")
@click.argument("name", metavar="NAME")
@click.option("--password-stdin", is_flag=True, help=_STDIN_HELP)
@on_store()
async def set_password(work: StoreWork, name: str, password_stdin: bool) -> None:
    """Give the user a password. Whoever is signed in with another one is signed out."""
    password = _password(work.session, name, from_stdin=password_stdin)
    await work.administration.users.set_password(name, password, actor=work.actor)
    _tell(work, f"{name} has the new password.", {"changed": name})


@users.command("remove")
@click.argument("name", metavar="NAME")
@on_store()
async def remove_user(work: StoreWork, name: str) -> None:
    """Forget a user with all keys. What it used stays in the books, and what it did in the audit log."""
    await work.administration.users.remove(name, actor=work.actor)
    _tell(work, f"Removed {name}.", {"removed": name})


def _tell(work: StoreWork, text: str, document: dict[str, str]) -> None:
    work.session.output.note(text)
    if work.as_json:
        work.show_json(document)


def _password(session: Session, name: str, *, from_stdin: bool) -> str:
    """A password that nobody saw. Raises UsageError where there is no terminal to ask at."""
    if from_stdin:
        line = session.stdin.readline() if session.stdin is not None else ""
        if not line.strip("\r\n"):
            raise UsageError("There is no password on standard input.")
        return line.rstrip("\r\n")
    if session.stdin is None or not session.stdin.isatty() or not session.output.stderr_is_terminal:
        raise UsageError(
            "There is no terminal to ask for the password at.",
            suggestion="Pipe it in, and add --password-stdin.",
        )
    first = getpass.getpass(f"Password of {name}: ", session.output.stderr)
    if getpass.getpass("The same again: ", session.output.stderr) != first:
        raise UsageError("The two are not the same.")
    return first


def _listed(user: User, now: float) -> tuple[str, ...]:
    return (
        user.name,
        user.class_name or "-",
        ",".join(sorted(user.scopes)),
        "active" if user.disabled_at is None else "disabled",
        "yes" if user.has_password else "no",
        moment(user.created_at, now),
    )


def _described(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "class": user.class_name,
        "scopes": sorted(user.scopes),
        "state": "active" if user.disabled_at is None else "disabled",
        "has_password": user.has_password,
        "created_at": user.created_at,
    }
