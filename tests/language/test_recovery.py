"""One mistake gives one finding, and its fix mends the file."""

from __future__ import annotations

import pytest

from namel3ss.language import Declaration, Fix, Severity, parse
from tests.language.nodes import without_spans


def apply(text: str, fix: Fix) -> str:
    for edit in sorted(fix.edits, key=lambda edit: edit.span, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


MISTAKES = [
    # code, broken, mended by the fix
    ("N3002", "ai model m { k: two words }", 'ai model m { k: "two words" }'),
    ("N3002", "ai model m {\n k: You said it, twice\n}", 'ai model m {\n k: "You said it, twice"\n}'),
    ("N3002", 'ai model m { k: say "it" }', 'ai model m { k: "say \\"it\\"" }'),
    ("N3002", "ai model m { k: Hello {{name}} }", 'ai model m { k: "Hello {{name}}" }'),
    ("N3003", "ai model m { k: { a: 1", "ai model m { k: { a: 1 } }"),
    ("N3003", "ai model m {\n k: {\n  a: 1\n}", "ai model m {\n k: {\n  a: 1\n }\n}"),
    ("N3003", "ai model m {\n k: [a\n l: 1\n}", "ai model m {\n k: [a]\n l: 1\n}"),
    ("N3003", "ai model m {\n k: {\n  l: [1", "ai model m {\n k: {\n  l: [1]\n }\n}"),
    ("N3003", "ai model m {\n k: 1\n", "ai model m {\n k: 1\n}\n"),
    ("N3004", 'ai model m {\n k: "a\n}', 'ai model m {\n k: "a"\n}'),
    ("N3004", 'ai model m { k: ["a] }', 'ai model m { k: ["a"] }'),
    ("N3006", "ai model m { k v }", "ai model m { k: v }"),
    ("N3006", "ai model m {\n k = v\n}", "ai model m {\n k: v\n}"),
    ("N3006", "ai model m {\n k=v\n}", "ai model m {\n k: v\n}"),
    ("N3006", "ai model m {\n k {\n }\n}", "ai model m {\n k: {\n }\n}"),
    ("N3006", "ai model m {\n k |\n  text\n}", "ai model m {\n k: |\n  text\n}"),
    ("N3005", "ai model m {\n k:\n   v\n}", "ai model m {\n k: v\n}"),
    ("N3007", "ai model m { k: env.a-b }", 'ai model m { k: "env.a-b" }'),
    ("N3008", 'ai model m { k: "C:\\dir" }', 'ai model m { k: "C:\\\\dir" }'),
    ("N3011", "ai model m {\n k: v]\n}", "ai model m {\n k: v\n}"),
    ("N3012", "ai model m\n k: v\n}", "ai model m {\n k: v\n}"),
    ("N3012", "ai model m {\n k:\n  a: 1\n }\n}", "ai model m {\n k: {\n  a: 1\n }\n}"),
    ("N3013", 'ai model m { k: ["a" "b"] }', 'ai model m { k: ["a", "b"] }'),
    ("N3014", "ai model m { k: 1e999 }", 'ai model m { k: "1e999" }'),
    ("N3015", "ai model m { k: {{x}} }", 'ai model m { k: "{{x}}" }'),
    ("N3016", "ai model gpt-4.1 { }", 'ai model "gpt-4.1" { }'),
    ("N3016", "ai model two words { }", 'ai model "two words" { }'),
    ("N3001", "ai model m: { }", "ai model m { }"),
    ("N3018", "ai model m { k:\u00a0v }", "ai model m { k: v }"),
    ("N3020", "ai model m < k: v }", "ai model m < k: v >"),
    ("N3021", "import ./a.ai", 'import "./a.ai"'),
    ("N3022", "ai model m { k: v,, l: v }", "ai model m { k: v, l: v }"),
    ("N3023", "pormpt p { }", "prompt p { }"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "broken", "mended"), MISTAKES)
def test_one_mistake_gives_one_finding_whose_fix_mends_it(code: str, broken: str, mended: str) -> None:
    healthy = "\nai model healthy { model: tiny }\n"
    result = parse(broken + healthy)

    (finding,) = result.diagnostics

    assert finding.code == code
    (fix,) = finding.fixes
    assert apply(broken + healthy, fix) == mended + healthy
    assert parse(mended + healthy).diagnostics == ()
    last = result.tree.items[-1]
    assert isinstance(last, Declaration)
    assert last.name is not None
    assert last.name.text == "healthy"


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("ai model m { k v, l: 1 }", "ai model m { k: v, l: 1 }"),
        ("ai model m {\n k: {\n  a: 1\n l: 2\n}", "ai model m {\n k: {\n  a: 1\n }\n l: 2\n}"),
        ('ai model m { k: ["a" "b"], l: 1 }', 'ai model m { k: ["a", "b"], l: 1 }'),
    ],
)
def test_what_is_inserted_stands_in_the_tree_as_if_it_were_written(broken: str, mended: str) -> None:
    found, expected = parse(broken).tree.items, parse(mended).tree.items

    def forget_closers(tree: object) -> str:
        return str(without_spans(tree))

    assert forget_closers(found) == forget_closers(expected)


def test_five_mistakes_give_five_findings_on_their_lines() -> None:
    text = """\
ai model broken {
    provider ollama
    model: llama3 8b
    config: {
        temperature:
        base_url: "http://localhost
        num_ctx: env.1
    }
}
ai model healthy { provider: ollama  model: tiny }
"""
    result = parse(text)

    assert [
        (finding.code, finding.source.position(finding.span.start).line) for finding in result.diagnostics
    ] == [
        ("N3006", 2),
        ("N3002", 3),
        ("N3005", 5),
        ("N3004", 6),
        ("N3007", 7),
    ]
    assert [item.name.text for item in result.tree.declarations() if item.name] == ["broken", "healthy"]


def test_an_unclosed_brace_shows_where_it_was_opened_and_where_its_closer_was_missed() -> None:
    text = "ai model m {\n  config: {\n    a: 1\n  deployment_config: { }\n}\n"

    (finding,) = parse(text).diagnostics

    assert text[finding.span.start :].startswith("{\n    a")
    assert [text[label.span.start :].partition(":")[0] for label in finding.labels] == ["deployment_config"]


def test_mistakes_on_the_line_of_an_earlier_one_are_not_reported() -> None:
    (finding,) = parse("ai model m { a b c: : d e, , f }").diagnostics

    assert finding.code == "N3006"


def test_a_foreign_declaration_is_one_warning_and_its_text_is_kept() -> None:
    text = "endpoint POST /api/{name}/start {\n  \"unbalanced { '\n ]\n}\nllm m { k: v }\n"

    result = parse(text)

    (finding,) = result.diagnostics
    foreign, model = result.tree.items
    assert (finding.code, finding.severity) == ("N3010", Severity.WARNING)
    assert text[foreign.span.start : foreign.span.end] == text[: text.index("\nllm")]
    assert isinstance(model, Declaration)


def test_an_unclosed_foreign_declaration_does_not_swallow_the_next_healthy_one() -> None:
    result = parse("page p {\n  x\n\nai model m {\n  k: v\n}\n")

    assert [finding.code for finding in result.diagnostics] == ["N3010", "N3003"]
    assert [item.name.text for item in result.tree.declarations() if item.name] == ["m"]
