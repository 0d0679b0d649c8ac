"""One table from error to exit code: complete, and the one that the documentation prints."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import namel3ss
from namel3ss.cli.exit_codes import ERRORS, MEANINGS, ExitCode, exit_code_of
from namel3ss.errors import N3Error
from namel3ss.providers.base import ProviderError

ROOT = Path(__file__).resolve().parent.parent.parent


# The rooms whose errors a command can meet.
ROOMS = (
    "errors",
    "language",
    "providers",
    "declarations",
    "runtime",
    "gateway.store",
    "sandbox",
    "cli",
)


def error_classes() -> set[str]:
    """Every error class of these rooms, all their modules being imported."""
    for module in pkgutil.walk_packages(namel3ss.__path__, "namel3ss."):
        if _is_in_rooms(module.name) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[str] = set()
    waiting: list[type[N3Error]] = [N3Error]
    while waiting:
        kind = waiting.pop()
        if _is_in_rooms(kind.__module__):
            found.add(kind.__name__)
        waiting.extend(kind.__subclasses__())
    return found


def _is_in_rooms(module: str) -> bool:
    package, _, rest = module.partition(".")
    return package == "namel3ss" and any(f"{rest}.".startswith(f"{room}.") for room in ROOMS)


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert set(ERRORS) == error_classes()


def test_table_is_the_one_in_the_documentation() -> None:
    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.*?) \|$", page, re.MULTILINE)

    documented = {
        int(number): (meaning, set(re.findall(r"`(\w+Error)`", errors))) for number, meaning, errors in rows
    }
    expected = {
        int(code): (meaning, {name for name, its_code in ERRORS.items() if its_code is code})
        for code, meaning in MEANINGS.items()
    }
    assert documented == expected


@pytest.mark.parametrize("code", ExitCode)
def test_every_code_says_what_it_means(code: ExitCode) -> None:
    assert MEANINGS[code]


def test_error_of_an_outside_provider_counts_as_its_ancestor() -> None:
    class TheirError(ProviderError):
        pass

    assert exit_code_of(TheirError("lost")) is ExitCode.ANSWER


def test_outside_class_with_a_name_of_ours_does_not_take_its_row() -> None:
    class UsageError(ProviderError):
        pass

    assert exit_code_of(UsageError("lost")) is ExitCode.ANSWER


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (FileNotFoundError(2, "No such file"), ExitCode.INPUT_OUTPUT),
        (ZeroDivisionError(), ExitCode.BUG),
    ],
)
def test_what_is_not_ours_has_a_code_too(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code
