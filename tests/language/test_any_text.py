"""What holds for every text there is."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from namel3ss.language import Declaration, Severity, parse
from namel3ss.language.render import render_concise, render_terminal
from tests.language.nodes import spans, without_spans
from tests.language.texts import any_text, pieces, programs

DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
FUZZING = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check_everything_that_always_holds(text: str) -> None:
    result = parse(text, "fuzz.ai")

    assert result.tree.source.text == text
    for span in spans(result.tree):
        assert 0 <= span.start <= span.end <= len(text), span
    for finding in result.diagnostics:
        assert 0 <= finding.span.start <= finding.span.end <= len(text), finding
        for label in finding.labels:
            assert 0 <= label.span.start <= label.span.end <= len(text), finding
        for fix in finding.fixes:
            for edit in fix.edits:
                assert 0 <= edit.span.start <= edit.span.end <= len(text), finding
    ordered = [(finding.span.start, finding.code) for finding in result.diagnostics]
    assert ordered == sorted(ordered)
    starts = [item.span.start for item in result.tree.items]
    assert starts == sorted(starts)
    shown = render_terminal(result.diagnostics, width=60, color=False) + render_concise(result.diagnostics)
    shown.encode("utf-8")
    assert not DANGEROUS.intersection(
        map(unicodedata.category, shown.replace("\n", "").replace("\u200d", "").replace("\u200c", ""))
    )


@pytest.mark.security(40)
@FUZZING
@given(pieces)
@example("ai model m {\n" + "{" * 70)
@example('ai model m { a: "' + "x" * 100)
@example("\ufeff# comment\nai model m { }")
def test_any_row_of_pieces_parses_with_every_place_inside_the_text(text: str) -> None:
    check_everything_that_always_holds(text)


@FUZZING
@given(pieces)
@example(" a: b:>")
def test_any_row_of_pieces_inside_a_declaration_parses(text: str) -> None:
    check_everything_that_always_holds("ai model m {\n" + text)
    check_everything_that_always_holds("ai model m <" + text + "\n>")


@pytest.mark.security(40)
@FUZZING
@given(any_text)
def test_any_characters_parse(text: str) -> None:
    check_everything_that_always_holds(text)
    check_everything_that_always_holds("chain c {\n    k: " + text)


@FUZZING
@given(programs)
def test_generated_programs_parse_without_a_finding(text: str) -> None:
    check_everything_that_always_holds(text)

    assert parse(text).diagnostics == ()


@FUZZING
@given(programs, st.integers(0, 2**32))
def test_a_damaged_program_still_parses(text: str, seed: int) -> None:
    random_source = random.Random(seed)
    damaged = list(text)
    for _ in range(random_source.randint(1, 4)):
        if damaged:
            damaged[random_source.randrange(len(damaged))] = random_source.choice(
                ["", "{", "}", '"', "\n", ":", " "]
            )

    check_everything_that_always_holds("".join(damaged))


@FUZZING
@given(programs)
def test_crlf_changes_no_value(text: str) -> None:
    text = text.replace("\r\n", "\n")

    crlf = parse(text.replace("\n", "\r\n"))

    assert crlf.diagnostics == ()
    assert without_spans(crlf.tree.items) == without_spans(parse(text).tree.items)


@FUZZING
@given(programs, pieces)
def test_damage_in_one_declaration_leaves_the_next_one_alone(text: str, damage: str) -> None:
    damaged = "ai model broken {\n    " + damage.replace("\n", "\n    ")
    healthy = "\n}\nai model healthy {\n    provider: ollama\n    model: tiny\n}\n"
    result = parse(damaged + healthy)

    last = result.tree.items[-1]
    start = len(damaged) + healthy.index("ai")

    assert isinstance(last, Declaration)
    assert last.span.start == start
    assert not [
        finding
        for finding in result.diagnostics
        if finding.severity is Severity.ERROR and finding.span.start >= start
    ]
