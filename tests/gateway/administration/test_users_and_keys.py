"""Users and keys over the administration interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.administration.office import Office

KEY_FIELDS = {
    "user": "ada",
    "label": "laptop",
    "class": "coding",
    "scopes": ["use", "operator"],
    "models": ["llama3:*"],
    "networks": ["127.0.0.0/8"],
    "limits": {"requests_per_minute": 60},
    "expires_in": 3600,
}


@pytest.mark.security(7, 13)
def test_a_new_key_works_is_shown_once_and_stops_working_when_it_is_revoked(office: Office) -> None:
    office.user("ada")

    made = office.post("/api/keys", {**KEY_FIELDS, "user": "ada"}).json()
    listed = office.get("/api/keys").text
    works = office.main("GET", "/auth/me", key=made["secret"])
    revoked = office.send("DELETE", f"/api/keys/{made['key']['id']}").json()
    refused = office.main("GET", "/auth/me", key=made["secret"])

    assert made["secret"] not in listed
    assert made["key"]["id"] in listed
    assert works.json() == {
        "user": "ada",
        "key_id": made["key"]["id"],
        "class": "coding",
        "priority": 0,
        "scopes": ["operator", "use"],
        "models": [],
        "expires_at": pytest.approx(made["key"]["expires_at"]),
    }
    assert revoked["state"] == "revoked"
    assert refused.status_code == 401


def test_a_key_says_in_the_list_what_it_is_good_for(office: Office) -> None:
    office.user("grace")
    office.post("/api/keys", {**KEY_FIELDS, "user": "grace"})

    (key,) = office.get("/api/keys", user="grace").json()["keys"]

    assert {name: key[name] for name in ("user", "label", "class", "priority", "scopes", "models")} == {
        "user": "grace",
        "label": "laptop",
        "class": "coding",
        "priority": 0,
        "scopes": ["operator", "use"],
        "models": ["llama3:*"],
    }
    assert key["networks"] == ["127.0.0.0/8"]
    assert key["limits"]["requests_per_minute"] == 60
    assert (key["state"], key["last_used_at"]) == ("active", None)


@pytest.mark.security(13)
def test_a_rotated_key_has_the_same_rights_and_the_old_one_none(office: Office) -> None:
    office.user("linus")
    old = office.post("/api/keys", {**KEY_FIELDS, "user": "linus"}).json()

    new = office.post(f"/api/keys/{old['key']['id']}/rotate").json()

    assert new["key"]["models"] == ["llama3:*"]
    assert office.main("GET", "/auth/me", key=old["secret"]).status_code == 401
    assert office.main("GET", "/auth/me", key=new["secret"]).status_code == 200


@pytest.mark.security(6)
def test_the_keys_of_a_disabled_user_stop_working_until_it_is_enabled_again(office: Office) -> None:
    office.user("barbara")
    secret = office.post("/api/keys", {**KEY_FIELDS, "user": "barbara"}).json()["secret"]

    office.send("PATCH", "/api/users/barbara", {"enabled": False})
    disabled = office.main("GET", "/auth/me", key=secret).status_code
    state = office.get("/api/keys", user="barbara").json()["keys"][0]["state"]
    office.send("PATCH", "/api/users/barbara", {"enabled": True})
    enabled = office.main("GET", "/auth/me", key=secret).status_code

    assert (disabled, state, enabled) == (401, "disabled", 200)


def test_users_are_listed_with_their_keys_that_can_be_used(office: Office) -> None:
    office.user("margaret", **{"class": "chat"})
    first = office.post("/api/keys", {"user": "margaret"}).json()
    office.post("/api/keys", {"user": "margaret"})
    office.send("DELETE", f"/api/keys/{first['key']['id']}")

    users = {user["name"]: user for user in office.get("/api/users").json()["users"]}

    ada = users["margaret"]
    assert (ada["class"], ada["scopes"], ada["keys"], ada["has_password"]) == ("chat", ["use"], 1, False)


def test_a_forgotten_user_is_gone_with_its_keys(office: Office) -> None:
    office.user("ken")
    secret = office.post("/api/keys", {"user": "ken"}).json()["secret"]

    removed = office.send("DELETE", "/api/users/ken")

    assert (removed.status_code, removed.content) == (204, b"")
    assert office.main("GET", "/auth/me", key=secret).status_code == 401
    assert office.send("DELETE", "/api/users/ken").status_code == 404


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"user": "nobody"}, "no user 'nobody'"),
        ({"user": "admin", "class": "codng"}, "no class 'codng'"),
        ({"user": "admin", "scopes": []}, "`scopes`"),
        ({"user": "admin", "networks": ["10.0.0.300"]}, "'10.0.0.300' is no address"),
        ({"user": "admin", "models": []}, "1 to 200 names"),
        ({"user": "admin", "expires_in": -1}, "`expires_in`"),
        ({"user": "admin", "limits": {"streams": 0}}, "`limits.streams`"),
        ({"user": "admin", "limits": {"tokens": 1}}, "unknown field `tokens`"),
    ],
)
def test_a_key_that_cannot_be_is_refused_in_words_that_name_the_field(
    office: Office, document: dict[str, object], said: str
) -> None:
    answer = office.post("/api/keys", document)

    assert answer.status_code in (404, 422)
    assert said in answer.json()["error"]["message"]


def test_a_second_user_of_a_name_is_refused(office: Office) -> None:
    office.user("edsger")

    answer = office.post("/api/users", {"name": "edsger"})

    assert (answer.status_code, answer.json()["error"]["reason"]) == (409, "conflict")


def test_changing_nothing_of_a_user_who_is_not_there_is_refused(office: Office) -> None:
    assert office.send("PATCH", "/api/users/nobody", {}).status_code == 404


def test_classes_are_listed_first_served_first(office: Office) -> None:
    classes = office.get("/api/classes").json()["classes"]

    assert [(each["name"], each["priority"], each["is_whitelisted"]) for each in classes] == [
        ("coding", 0, False),
        ("chat", 5, False),
        ("default", 7, False),
        ("batch", 9, True),
    ]
    assert [each["name"] for each in classes if each["is_default"]] == ["default"]
