from __future__ import annotations

import pytest

from namel3ss.language import Diagnostic, Label, Severity, Source, Span, parse
from namel3ss.language.cells import text_width
from namel3ss.language.render import render_concise, render_terminal


def finding_at(
    text: str,
    part: str,
    *,
    label: str = "here",
    labels: tuple[Label, ...] = (),
    remark: str | None = None,
    notes: tuple[str, ...] = (),
    path: str = "app.ai",
) -> Diagnostic:
    start = text.index(part)
    span = Span(start, start + len(part))
    return Diagnostic(
        "N3002", Severity.ERROR, "a message", Source(text, path), span, label, labels, remark, notes
    )


def shown(finding: Diagnostic, *, width: int = 80) -> list[str]:
    return render_terminal([finding], width=width, color=False).splitlines()


def test_a_finding_shows_header_place_line_carets_help_and_notes() -> None:
    finding = finding_at("one\n  two words\n", "words", remark="quote them", notes=("a note",))

    assert shown(finding) == [
        "error[N3002]: a message",
        " --> app.ai:2:7",
        "  |",
        "2 |   two words",
        "  |       ^^^^^ here",
        "  = help: quote them",
        "  = note: a note",
    ]


def test_labels_stand_on_their_own_lines_in_the_order_of_the_file() -> None:
    text = "a {\nb\nc\nd\n"
    finding = finding_at(text, "d", labels=(Label(Span(2, 3), "opened"), Label(Span(4, 5), "then")))

    assert shown(finding)[3:] == [
        "1 | a {",
        "  |   - opened",
        "2 | b",
        "  | - then",
        "...",
        "4 | d",
        "  | ^ here",
    ]


def test_labels_on_one_line_are_drawn_one_below_the_other() -> None:
    text = "first second\n"

    assert shown(finding_at(text, "second", labels=(Label(Span(0, 5), "before"),)))[3:] == [
        "1 | first second",
        "  | ----- before",
        "  |       ^^^^^^ here",
    ]


def test_labels_in_another_file_are_shown_with_its_path() -> None:
    other = Source("x: 1\n", "other.ai")

    lines = shown(finding_at("a\n", "a", labels=(Label(Span(0, 1), "there", other),)))

    assert lines[5:] == [" ::: other.ai:1:1", "  |", "1 | x: 1", "  | - there"]


@pytest.mark.parametrize(
    ("text", "part", "line", "carets"),
    [
        ("\tk:\tv", "v", "    k:  v", "        ^"),
        ("日本 語x", "x", "日本 語x", "       ^"),
        ("日本 語x", "日本", "日本 語x", "^^^^"),
        ("e\u0301tude x", "x", "e\u0301tude x", "      ^"),
        ("a\x1b[31mb", "b", "a␛[31mb", "      ^"),
        ("a\u202eb", "b", "a\ufffdb", "  ^"),
        ("a\ud800b", "b", "a\ufffdb", "  ^"),
        ("a\r\nb", "a", "a", "^"),
    ],
)
def test_carets_stand_under_what_they_mean(text: str, part: str, line: str, carets: str) -> None:
    lines = shown(finding_at(text, part, label=""))

    assert lines[3:5] == [f"1 | {line}", f"  | {carets}"]


def test_an_empty_span_has_one_caret() -> None:
    text = "abc"
    finding = Diagnostic("N3005", Severity.ERROR, "m", Source(text, "a.ai"), Span(3, 3))

    assert shown(finding)[4] == "  |    ^"


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 200])
@pytest.mark.parametrize("character", ["x", "日", "\t", "é"])
def test_no_line_is_wider_than_the_terminal_and_the_place_is_in_view(width: int, character: str) -> None:
    text = character * 3000 + " HERE " + character * 3000

    lines = shown(
        finding_at(text, "HERE", label="a label that is rather long for a narrow terminal"), width=width
    )

    assert max(map(text_width, lines)) <= width
    source_line, carets = lines[lines.index("  |") + 1 :][:2]
    column = carets.index("^")
    position = 0
    for index, cell in enumerate(source_line):
        if position == column:
            assert source_line[index : index + 4] == "HERE"
            break
        position += text_width(cell)
    assert source_line[4] == "…"
    assert source_line[-1] == "…"


def test_the_end_of_a_long_line_is_shown_without_an_ellipsis() -> None:
    text = "x" * 500 + " END"

    lines = shown(finding_at(text, "END"), width=60)

    assert lines[3].startswith("1 | …")
    assert lines[3].endswith("END")


def test_a_span_over_several_lines_is_marked_on_its_first() -> None:
    text = "one {\n two\n}\n"

    assert shown(finding_at(text, "{\n two\n}"))[3:] == ["1 | one {", "  |     ^ here"]


def test_a_finding_about_a_whole_file_stands_at_its_beginning_and_shows_no_line() -> None:
    finding = Diagnostic("N3902", Severity.ERROR, "not text", Source("", "x.ai"), Span(0, 0))

    assert shown(finding) == ["error[N3902]: not text", " --> x.ai:1:1"]


def test_there_are_no_escape_sequences_without_colour_and_the_same_text_with_it() -> None:
    findings = parse("ai model m {\n k: two words\n l:\n}", "a.ai").diagnostics

    plain = render_terminal(findings, width=80, color=False)
    painted = render_terminal(findings, width=80, color=True)

    assert "\x1b" not in plain
    assert "\x1b[1;31m" in painted
    stripped = painted
    for code in ("0", "1", "1;31", "1;33", "1;34", "1;36"):
        stripped = stripped.replace(f"\x1b[{code}m", "")
    assert stripped == plain


def test_findings_are_separated_by_a_blank_line_and_nothing_is_rendered_for_none() -> None:
    finding = finding_at("a", "a")

    assert render_terminal([], width=80, color=False) == ""
    assert render_terminal([finding, finding], width=80, color=False).count("\n\n") == 1


def test_concise_is_one_line_each() -> None:
    finding = finding_at("a\nb", "b", path="dir/\x07app.ai")

    assert render_concise([finding, finding]) == "dir/␇app.ai:2:1: error[N3002]: a message\n" * 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('api_key: "sk-1 2" # note', 'api_key: "**** *" # note'),
        ("api_key: sk-1, b: c", "api_key: ****, b: c"),
        ("{ Authorization: 'Bearer x' }", "{ Authorization: '****** *' }"),
        ('"x-api-key": "s\\"k', '"x-api-key": "**"*'),
        ("api_key sk-1 two", "api_key **** ***"),
        ("password = hunter2", "password = *******"),
        ("api_key: env.KEY ?? null", "api_key: env.KEY ?? null"),
        ("max_tokens: 2048", "max_tokens: 2048"),
    ],
)
def test_values_of_secret_keys_are_not_shown(line: str, expected: str) -> None:
    text = line + "\n"
    finding = Diagnostic("N3002", Severity.ERROR, "m", Source(text, "a.ai"), Span(0, 1))

    assert shown(finding)[3] == f"1 | {expected}"


def test_a_message_about_a_secret_does_not_quote_it() -> None:
    (finding,) = parse("ai model m { config: { api_key: sk-secret more } }").diagnostics

    text = render_terminal([finding], width=100, color=False) + render_concise([finding])
    assert "sk-secret" not in text
    assert "more" not in text


@pytest.mark.security(25)
@pytest.mark.parametrize("before", range(0, 90, 4))
def test_what_gives_a_secret_away_may_stand_right_of_what_comes_into_view(before: int) -> None:
    text = f"model {'y' * before} http://me:{'ZQX' * 100}@host/\n"
    finding = Diagnostic("N3002", Severity.ERROR, "m", Source(text, "a.ai"), Span(0, 1))

    assert set("ZQX").isdisjoint(shown(finding)[3])
