from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "ai model a {\n    provider: ollama\n    model tiny\n    system: Answer briefly\n"
WHOLE = 'ai model a {\n    provider: ollama\n    model: tiny\n    system: "Answer briefly"\n'
GUESSED = "ai model a { provider: ollama, model: tiny, config: { temprature: 0.5 } }\n"


def test_safe_fixes_are_made_in_place_and_the_rest_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(BROKEN + "}\n" + GUESSED.replace(" a ", " b "))
    path.chmod(0o640)

    done = call("check", "--fix", path)

    assert path.read_text() == WHOLE + "}\n" + GUESSED.replace(" a ", " b ")
    assert done.code == 1
    assert "2 mistakes mended." in done.stderr
    assert "N3201" in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a.ai"]


def test_fixes_that_guess_are_made_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(GUESSED)

    careful = call("check", "--fix", path)
    bold = call("check", "--fix", "--unsafe-fixes", path)

    assert (careful.code, bold.code) == (1, 0)
    assert path.read_text() == GUESSED.replace("temprature", "temperature")


def test_line_ends_and_byte_order_mark_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_bytes(b"\xef\xbb\xbf" + f"{BROKEN}}}\n".replace("\n", "\r\n").encode())

    assert call("check", "--fix", path).code == 0
    assert path.read_bytes() == b"\xef\xbb\xbf" + f"{WHOLE}}}\n".replace("\n", "\r\n").encode()


def test_missing_brace_is_put_in(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(WHOLE + "\n\nai model b { provider: ollama, model: tiny }\n")

    assert call("check", "--fix", "--unsafe-fixes", path).code == 0
    assert call("check", path).stdout == "1 file checked: no mistakes.\n"


def test_diff_changes_nothing_and_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(BROKEN + "}\n")

    done = call("check", "--diff", path)

    assert done.code == 1
    assert "-    model tiny\n+" not in done.stdout
    assert "+    model: tiny\n" in done.stdout
    assert path.read_text() == BROKEN + "}\n"


def test_healthy_file_has_no_diff(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(WHOLE + "}\n")

    done = call("check", "--diff", path)

    assert (done.code, done.stdout) == (0, "")


def test_standard_input_has_a_diff_and_cannot_be_mended() -> None:
    assert "+    model: tiny\n" in call("check", "--diff", "-", stdin=BROKEN + "}\n").stdout
    assert call("check", "--fix", "-", stdin=BROKEN).code == 2


def test_unsafe_fixes_alone_is_a_usage_error(tmp_path: Path) -> None:
    assert call("check", "--unsafe-fixes", tmp_path / "a.ai").code == 2
