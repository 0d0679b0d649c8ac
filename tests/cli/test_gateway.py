"""`namel3ss gateway`: users, keys, whitelist and usage, on the database of a file or at a URL."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.cli.gateway_values import SCOPE
from namel3ss.gateway.principal import Scope
from tests.support.command_line import call, on_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command_line import Called

PROGRAM = """
ai model chat_model { provider: ollama  model: "tiny" }
gateway team {
    priorities: { coding: 0, chat: 5 }
    whitelist: { coding: ["127.0.0.1"] }
}
"""


@pytest.fixture
def team(tmp_path: Path) -> Path:
    file = tmp_path / "team.ai"
    file.write_text(PROGRAM, encoding="utf-8")
    return file


def gateway(team: Path, *arguments: str, stdin: str = "") -> Called:
    return call("gateway", *arguments, "--file", team, stdin=stdin)


def document(team: Path, *arguments: str, stdin: str = "") -> Any:
    done = gateway(team, *arguments, "--json", stdin=stdin)
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def test_scopes_of_the_command_line_are_those_of_keys() -> None:
    assert list(SCOPE.choices) == [scope.value for scope in Scope]


def test_key_lives_from_creation_to_revocation(team: Path) -> None:
    assert gateway(team, "user", "create", "alice").code == 0

    made = gateway(team, "key", "create", "alice", "--class", "coding", "--expires", "90d")
    token = made.stdout.strip()
    assert re.fullmatch(r"n3k_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", token)
    assert token not in made.stderr
    key_id = token.split("_")[1]

    (listed,) = document(team, "key", "list")
    assert (listed["id"], listed["user"], listed["class"], listed["state"]) == (
        key_id,
        "alice",
        "coding",
        "active",
    )
    assert listed["expires_at"] == pytest.approx(time.time() + 90 * 86_400, abs=60)
    assert token.rpartition("_")[2] not in json.dumps(listed)

    rotated = document(team, "key", "rotate", key_id)
    assert rotated["class"] == "coding"
    # Whoever pastes the whole key means its id.
    assert document(team, "key", "revoke", rotated["key"]) == {"revoked": [rotated["id"]]}
    assert [key["state"] for key in document(team, "key", "list", "alice")] == ["revoked", "revoked"]


def test_commands_that_are_advised_work_on_the_same_database(team: Path) -> None:
    other = f"sqlite:///{team.parent / 'other.db'}"

    made = gateway(team, "user", "create", "alice", "--gateway", "team")
    elsewhere = call("gateway", "user", "create", "alice", "--database", other)

    assert made.stderr.endswith(
        f"Give it a key: namel3ss gateway key create alice --file {team} --gateway team\n"
    )
    assert "namel3ss gateway key create alice --database URL" in elsewhere.stderr
    assert f"namel3ss gateway key create USER --file {team}\n" in gateway(team, "key", "list").stderr


def test_options_of_a_key_are_what_it_is_good_for(team: Path) -> None:
    gateway(team, "user", "create", "alice")

    options = shlex.split(
        "--scope operator --scope use --model llama3:* --model coder --network 10.0.0.0/8 --requests-per-minute 3 "
        "--tokens-per-minute 4 --tokens-per-day 5 --streams 6 --fallback --cloud --in-address"
    )
    made = document(team, "key", "create", "alice", *options, "--note", "for the build")

    assert {name: made[name] for name in made if name not in ("id", "key", "created_at")} == {
        "user": "alice",
        "note": "for the build",
        "class": None,
        "scopes": ["operator", "use"],
        "models": ["llama3:*", "coder"],
        "networks": ["10.0.0.0/8"],
        "limits": {
            "requests_per_minute": 3,
            "tokens_per_minute": 4,
            "tokens_per_day": 5,
            "streams": 6,
        },
        "allows_fallback": True,
        "allows_cloud": True,
        "in_address": True,
        "state": "active",
        "expires_at": None,
        "last_used_at": None,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["key", "create", "alise"], "did you mean `alice`?"),
        (["key", "create", "alice", "--class", "codng"], "did you mean `coding`?"),
        (["key", "create", "alice", "--network", "10.0.0.1/8"], "host bits"),
        (["key", "create", "alice", "--expires", "soon"], "neither a duration"),
        (["key", "create", "alice", "--expires", "2020-01-01"], "has passed already"),
        (["key", "create", "alice", "--model", "two words"], "no name and no pattern"),
        (["key", "revoke", "nothing"], "There is no key with the id 'nothing'"),
        (["user", "create", "alice"], "There is a user 'alice' already"),
        (["user", "create", "../alice"], "cannot be the name of a user"),
        (["user", "disable", "bob"], "There is no user 'bob'"),
        (["user", "password", "alice"], "--password-stdin"),
        (["whitelist", "add", "coding", "somewhere"], "no address"),
        (["whitelist", "remove", "coding", "127.0.0.1"], "team.ai:3:9"),
        (["whitelist", "remove", "chat", "127.0.0.1"], "not on the whitelist"),
        (["usage", "--by", "usr"], "did you mean `user`?"),
        (["usage", "--since", "2026-02-02", "--until", "2026-01-01"], "after the last"),
    ],
)
def test_mistakes_are_told_with_what_to_do(team: Path, arguments: list[str], message: str) -> None:
    gateway(team, "user", "create", "alice")

    done = gateway(team, *arguments)

    assert (done.code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_user_is_disabled_enabled_and_removed(team: Path) -> None:
    gateway(team, "user", "create", "alice", "--class", "chat", "--scope", "admin")
    gateway(team, "key", "create", "alice")

    assert gateway(team, "user", "disable", "alice").code == 0
    (user,) = document(team, "user", "list")
    assert (user["state"], user["class"], user["scopes"]) == ("disabled", "chat", ["admin"])
    assert [key["state"] for key in document(team, "key", "list")] == ["disabled"]
    assert gateway(team, "user", "enable", "alice").code == 0
    assert [key["state"] for key in document(team, "key", "list")] == ["active"]

    assert document(team, "user", "remove", "alice") == {"removed": "alice"}
    assert document(team, "user", "list") == document(team, "key", "list") == []


def test_password_comes_from_standard_input(team: Path) -> None:
    done = gateway(team, "user", "create", "alice", "--password-stdin", stdin="correct horse battery\n")

    assert done.code == 0
    assert "horse" not in done.stdout + done.stderr
    assert document(team, "user", "list")[0]["has_password"] is True
    short = gateway(team, "user", "password", "alice", "--password-stdin", stdin="short\n")
    assert (short.code, "at least 10" in short.stderr) == (2, True)


@pytest.mark.long
def test_password_is_asked_for_at_a_terminal_and_not_shown(team: Path) -> None:
    with on_terminal("gateway", "user", "create", "alice", "--password", "--file", str(team)) as terminal:
        terminal.read_until("Password of alice: ")
        terminal.type("correct horse battery\n")
        terminal.read_until("The same again: ")
        terminal.type("correct horse battery\n")
        assert terminal.wait() == 0

    assert "horse" not in terminal.screen
    assert document(team, "user", "list")[0]["has_password"] is True


def test_whitelist_shows_where_each_entry_comes_from(team: Path) -> None:
    gateway(team, "whitelist", "add", "chat", "10.1.0.0/16", "--note", "office")

    shown = document(team, "whitelist", "list")
    assert [(entry["class"], entry["address"], entry["note"]) for entry in shown] == [
        ("coding", "127.0.0.1/32", ""),
        ("chat", "10.1.0.0/16", "office"),
    ]
    assert shown[0]["origin"].endswith("team.ai:3:9")
    assert shown[1]["origin"] is None

    removed = gateway(team, "whitelist", "remove", "chat", "10.1.0.0/16")
    assert "may be used from every address" in removed.stderr


def test_database_can_be_named_alone(team: Path, tmp_path: Path) -> None:
    gateway(team, "user", "create", "alice")
    url = f"sqlite:///{tmp_path}/.namel3ss/gateway.db"

    done = call("gateway", "user", "list", "--database", url)

    assert (done.code, "alice" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "options", [[], ["--file", "team.ai", "--database", "sqlite:///x.db"], ["--database", "mysql://x/y"]]
)
def test_one_database_must_be_named_and_be_one(options: list[str]) -> None:
    done = call("gateway", "user", "list", *options)

    assert done.code == 2
    assert "Suggestion" in done.stderr


def test_looking_at_a_gateway_that_never_ran_makes_nothing(team: Path) -> None:
    done = gateway(team, "key", "list")

    assert done.code == 74
    assert "namel3ss serve" in done.stderr
    assert not (team.parent / ".namel3ss").exists()


def test_usage_of_nobody_is_nothing(team: Path) -> None:
    gateway(team, "user", "create", "alice")

    assert document(team, "usage", "--since", "2026-01-01", "--until", "2026-01-31") == {
        "since": "2026-01-01",
        "until": "2026-01-31",
        "usage": [],
    }
    assert "Nothing was used" in gateway(team, "usage").stderr


def test_stored_prompts_are_listed_and_deleted(team: Path) -> None:
    gateway(team, "user", "create", "alice")
    database = team.parent / ".namel3ss" / "gateway.db"
    columns = "at, expires_at, request_id, user_name, key_id, class_name, model, route, status, prompt, answer, is_cut"
    values = (
        time.time(),
        time.time() + 60,
        "r1",
        "alice",
        "k1",
        "chat",
        "tiny",
        "/api/chat",
        200,
        "user: Why?",
    )
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            f"INSERT INTO transcripts ({columns}) VALUES ({', '.join('?' * 12)})",
            (*values, "So\x1b[31m.", False),
        )
        connection.commit()

    shown = gateway(team, "transcript", "list", "--user", "alice")
    (listed,) = document(team, "transcript", "list")
    refused = gateway(team, "transcript", "delete")
    deleted = document(team, "transcript", "delete", "alice")

    assert "user: Why?\nSo\N{REPLACEMENT CHARACTER}[31m.\n" in shown.stdout
    assert (listed["user"], listed["status"], listed["prompt"]) == ("alice", 200, "user: Why?")
    assert refused.code == 2
    assert deleted == {"deleted": 1}
    assert gateway(team, "transcript", "list").stdout == ""
