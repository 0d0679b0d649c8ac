"""Prompts and answers are stored where the file says so, for administrators, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.administration.office import open_office
from tests.gateway.administration.test_activity import ANSWER, CHAT, PROMPT
from tests.support.eventually import eventually
from tests.support.scripted_server import document, lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway.administration.office import Office


def transcripts(office: Office, **query: Any) -> list[dict[str, Any]]:
    page = office.get("/api/transcripts", **query).json()
    assert page["is_storing"] is True
    found: list[dict[str, Any]] = page["transcripts"]
    return found


@pytest.mark.security(24)
def test_prompts_and_answers_are_stored_where_the_file_says_so(tmp_path: Path) -> None:
    with open_office(tmp_path, "store_prompts: true  prompts_kept: 48h") as office:
        keys = {user: office.gateway.key(user) for user in ("ada", "bob")}
        office.upstream.on("/api/chat", document(ANSWER))
        assert office.main("POST", "/api/chat", CHAT, key=keys["ada"]).status_code == 200
        office.upstream.on(
            "/api/chat", lines({"message": {"content": "Hel"}}, {**ANSWER, "message": {"content": "lo"}})
        )
        streamed = {**CHAT, "stream": True}
        assert office.main("POST", "/api/chat", streamed, key=keys["bob"]).status_code == 200
        office.upstream.on("/api/chat", document({"error": "too hot"}, 500))
        assert office.main("POST", "/api/chat", CHAT, key=keys["bob"]).status_code == 500
        eventually(lambda: len(transcripts(office)) == 3)
        failed, second, first = transcripts(office)

        assert (first["user"], first["prompt"], first["answer"]) == ("ada", f"user: {PROMPT}", "Hello.")
        assert first["expires_at"] - first["at"] == pytest.approx(2 * 86_400.0)
        assert (second["user"], second["answer"], second["status"]) == ("bob", "Hello", 200)
        assert (failed["answer"], failed["status"]) == ("", 500)
        assert len(transcripts(office, user="ada")) == 1
        for page in ("/api/usage", "/api/overview", "/metrics"):
            assert "canary" not in office.get(page).text

        assert office.send("DELETE", "/api/users/bob/transcripts").json() == {"deleted": 2}
        assert [each["user"] for each in transcripts(office)] == ["ada"]
        assert office.send("DELETE", "/api/transcripts").json() == {"deleted": 1}
        assert transcripts(office) == []


@pytest.mark.security(24)
def test_nothing_is_stored_otherwise_and_nobody_but_administrators_may_read(office: Office) -> None:
    office.upstream.on("/api/chat", document(ANSWER))
    key = office.gateway.key("dora")
    assert office.main("POST", "/api/chat", CHAT, key=key).status_code == 200

    assert office.get("/api/transcripts").json() == {"is_storing": False, "transcripts": []}
    answer = office.client.get("/api/transcripts", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 403
