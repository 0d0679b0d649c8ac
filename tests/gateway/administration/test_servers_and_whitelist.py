"""Servers and addresses over the administration interface: what is stored can be changed, what the file says cannot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.store import KeyAdministration, Store
from tests.support.eventually import eventually
from tests.support.gateway import running_gateway
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.gateway.administration.office import Office


def servers(office: Office) -> dict[str, dict[str, Any]]:
    return {server["name"]: server for server in office.get("/api/servers").json()["servers"]}


def said(answer: httpx.Response) -> tuple[int, str]:
    return (answer.status_code, answer.json()["error"]["reason"])


@pytest.mark.security(37)
def test_a_stored_server_is_used_disabled_enabled_and_forgotten(office: Office) -> None:
    with ScriptedServer() as another:
        added = office.post("/api/servers", {"name": "gpu2", "base_url": another.url, "slots": 3})
        shown = servers(office)["gpu2"]
        disabled = office.post("/api/servers/gpu2/disable").json()
        enabled = office.post("/api/servers/gpu2/enable").json()
        removed = office.send("DELETE", "/api/servers/gpu2")

    assert added.status_code == 201
    assert (shown["slots"], shown["declared_at"], shown["base_url"]) == (3, None, another.url)
    assert (disabled["state"], disabled["reason"]) == ("disabled", "an administrator disabled it")
    assert enabled["state"] != "disabled"
    assert removed.status_code == 204
    assert "gpu2" not in servers(office)


def test_a_server_is_drained_and_used_again(office: Office) -> None:
    drained = office.post("/api/servers/gpu1/drain").json()
    resumed = office.post("/api/servers/gpu1/undrain").json()

    assert (drained["state"], drained["reason"]) == ("drained", "an administrator drains it")
    assert resumed["state"] != "drained"


def test_what_the_file_declares_is_read_only_and_the_refusal_names_its_place(office: Office) -> None:
    place = servers(office)["gpu1"]["declared_at"]

    answers = [
        office.send("DELETE", "/api/servers/gpu1"),
        office.post("/api/servers/gpu1/disable"),
        office.post("/api/servers", {"name": "gpu1", "base_url": "http://127.0.0.1:9"}),
    ]

    assert place.endswith("team.ai:2:8")
    for answer in answers:
        assert said(answer) == (409, "read_only")
        assert place in answer.json()["error"]["message"]


def test_a_server_that_is_not_there_is_not_found(office: Office) -> None:
    for action in ("drain", "undrain", "enable", "disable"):
        answer = office.post(f"/api/servers/gpu11/{action}")
        assert said(answer) == (404, "not_found")
    assert said(office.send("DELETE", "/api/servers/gpu11")) == (404, "not_found")


@pytest.mark.security(37)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://0xA9FEA9FE/",
        "http://[fe80::1]:11434",
        "http://metadata.google.internal",
        "http://user:password@10.0.0.5",
        "file:///etc/passwd",
        "gopher://10.0.0.5",
    ],
)
def test_a_server_is_never_an_address_that_machines_keep_for_themselves(office: Office, url: str) -> None:
    answer = office.post("/api/servers", {"name": "bad", "base_url": url})

    assert said(answer) == (422, "invalid")
    assert "bad" not in servers(office)


@pytest.mark.security(6)
def test_a_server_that_another_process_stores_is_used_soon(tmp_path: Path) -> None:
    async def store_another(url: str) -> None:
        async with await Store.open("sqlite:///.namel3ss/gateway.db", tmp_path, timeout_s=10.0) as store:
            await KeyAdministration(store).servers.add("gpu2", url, actor="elsewhere")

    with ScriptedServer() as upstream, running_gateway(tmp_path, {"gpu1": upstream.url}) as gateway:
        asyncio.run(store_another(upstream.url))

        def names() -> set[str]:
            answer = gateway.request("GET", "/api/status", key=gateway.first_key)
            return {server["name"] for server in answer.json()["servers"]}

        eventually(lambda: names() == {"gpu1", "gpu2"})


def test_an_address_is_added_and_taken_away_and_counts_at_once(office: Office) -> None:
    office.user("ada")
    key = office.post("/api/keys", {"user": "ada", "class": "batch"}).json()["secret"]
    entry = {"class": "batch", "network": "127.0.0.1"}

    before = office.main("GET", "/auth/me", key=key)
    added = office.post("/api/whitelist", entry | {"note": "the build machine"})
    inside = office.main("GET", "/auth/me", key=key)
    again = office.post("/api/whitelist", entry)
    removed = office.send("DELETE", "/api/whitelist", entry)
    after = office.main("GET", "/auth/me", key=key)

    assert (before.status_code, inside.status_code, after.status_code) == (403, 200, 403)
    assert added.json() == {
        "class": "batch",
        "network": "127.0.0.1/32",
        "note": "the build machine",
        "declared_at": None,
    }
    assert said(again) == (409, "conflict")
    assert removed.status_code == 204


def test_an_address_of_the_file_is_read_only(office: Office) -> None:
    (declared,) = office.get("/api/whitelist").json()["entries"]

    answer = office.send("DELETE", "/api/whitelist", {"class": "batch", "network": "10.1.0.0/16"})

    assert (declared["network"], declared["class"]) == ("10.1.0.0/16", "batch")
    assert said(answer) == (409, "read_only")
    assert "team.ai:" in answer.json()["error"]["message"]


def test_an_address_of_no_class_is_refused(office: Office) -> None:
    answer = office.post("/api/whitelist", {"class": "btch", "network": "10.0.0.1"})

    assert said(answer) == (422, "invalid")
    assert "btch" in answer.json()["error"]["message"]
