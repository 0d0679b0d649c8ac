from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from namel3ss.language import Diagnostic, Fix, Severity, Source, Span, TextEdit, parse
from namel3ss.language.fixing import apply_fixes, fix_until_stable
from tests.language.texts import pieces


def fix(start: int, end: int, text: str, *, safe: bool = True) -> Fix:
    return Fix("a fix", (TextEdit(Span(start, end), text),), safe)


def test_fixes_that_touch_wait_for_the_next_round() -> None:
    assert apply_fixes("abcdef", [fix(0, 2, "X"), fix(2, 3, "Y"), fix(4, 5, "Z")]) == ("XcdZf", 2)


def test_fix_of_several_edits_is_applied_whole_or_not_at_all() -> None:
    both = Fix("a fix", (TextEdit(Span(0, 1), "X"), TextEdit(Span(3, 4), "Y")))

    assert apply_fixes("abcd", [fix(3, 4, "Z"), both]) == ("abcZ", 1)


def test_new_lines_are_those_of_the_text() -> None:
    assert apply_fixes("a\r\nb", [fix(0, 0, "x\n")]).text == "x\r\na\r\nb"


def test_fixes_that_undo_each_other_come_to_an_end() -> None:
    def check(text: str) -> list[Diagnostic]:
        other = "b" if text == "a" else "a"
        return [
            Diagnostic(
                "N3001", Severity.ERROR, "wrong", Source(text, "x"), Span(0, 1), fixes=(fix(0, 1, other),)
            )
        ]

    assert fix_until_stable("a", check, unsafe=False) == ("a", 0)


def test_a_fix_that_only_makes_the_text_longer_is_not_made() -> None:
    def check(text: str) -> list[Diagnostic]:
        end = len(text)
        at_end = fix(end, end, "}")
        return [Diagnostic("N3003", Severity.ERROR, "open", Source(text, "x"), Span(0, 1), fixes=(at_end,))]

    assert fix_until_stable("{", check, unsafe=True) == ("{", 0)


def test_equal_mistakes_one_behind_the_other_are_all_mended() -> None:
    text = "ai model m { provider: ollama, model: x, config: { stop: [1 1 1 1] } }"

    fixed = fix_until_stable(text, lambda text: parse(text).diagnostics, unsafe=False)

    assert fixed.text == text.replace("1 1 1 1", "1, 1, 1, 1")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces)
def test_fixing_any_text_ends_and_is_stable(text: str) -> None:
    def check(text: str) -> tuple[Diagnostic, ...]:
        return parse(text).diagnostics

    fixed = fix_until_stable("ai model m {\n" + text, check, unsafe=True)

    assert isinstance(fixed.text, str)
    assert fixed.fixes >= 0
