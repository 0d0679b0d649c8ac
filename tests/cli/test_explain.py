from __future__ import annotations

import pytest

from namel3ss.language.codes import CODES
from tests.support.command_line import call


@pytest.mark.parametrize("spelling", ["N3012", "n3012", "3012", "[N3012]"])
def test_code_is_explained_however_it_is_spelt(spelling: str) -> None:
    done = call("explain", spelling)

    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("# N3012: An opening brace is missing\n")
    assert "## Example" in done.stdout


def test_without_a_code_all_are_listed() -> None:
    lines = call("explain").stdout.splitlines()

    assert [line.split()[0] for line in lines] == list(CODES)
    assert "N3010  warning  A declaration that namel3ss does not read" in lines


def test_unknown_code_is_a_usage_error() -> None:
    done = call("explain", "N9999")

    assert (done.code, done.stdout) == (2, "")
    assert "There is no code 'N9999'." in done.stderr
