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
    # What other languages write.
    ("N3023", "AI Model m { }", "ai model m { }"),
    ("N3023", "ai model: m { }", "ai model m { }"),
    ("N3009", "// text", "# text"),
    ("N3001", "ai model m {\n k: v // text\n}", "ai model m {\n k: v # text\n}"),
    ("N3001", "ai model m {\n // text\n}", "ai model m {\n # text\n}"),
    ("N3001", "ai model m {\n k: v[1]\n}", 'ai model m {\n k: "v[1]"\n}'),
    ("N3001", "ai model m { k: v[1] }", 'ai model m { k: "v[1]" }'),
    ("N3002", "ai model m { k: “two words” }", 'ai model m { k: "two words" }'),
    ("N3016", "ai model “m” { }", 'ai model "m" { }'),
    ("N3007", 'ai model m { k: env["A"] }', "ai model m { k: env.A }"),
    ("N3007", 'ai model m { k: os.environ["A"] }', "ai model m { k: env.A }"),
    ("N3002", "ai model m { k: env.A || 5 }", "ai model m { k: env.A ?? 5 }"),
    ("N3002", 'ai model m {\n k: env.A or "b"\n}', 'ai model m {\n k: env.A ?? "b"\n}'),
    ("N3505", "prompt p { input: { a: List[str] } }", "prompt p { input: { a: list[str] } }"),
    ("N3505", "prompt p { input: { a: Optional[int] } }", "prompt p { input: { a: int? } }"),
    ("N3505", "prompt p { input: { a: str[] } }", "prompt p { input: { a: list[str] } }"),
    ("N3505", "prompt p { input: { a: str | null } }", "prompt p { input: { a: str? } }"),
    ("N3505", "prompt p { input: { a: list[str] | None } }", "prompt p { input: { a: list[str]? } }"),
    ("N3001", "chain c {\n s { prompt: p }\n}", "chain c {\n step s { prompt: p }\n}"),
    ("N3001", "chain c {\n step s: { prompt: p }\n}", "chain c {\n step s { prompt: p }\n}"),
    ("N3012", "prompt p {\n input: a: str, b: int\n}", "prompt p {\n input: { a: str, b: int }\n}"),
    ("N3001", "ai model a extends b {\n k: v\n}", "ai model a { extends: b\n k: v\n}"),
    ("N3001", "ai model a : b { k: v }", "ai model a { extends: b k: v }"),
    ("N3002", "ai model m { k: 10 minutes }", "ai model m { k: 10m }"),
    ("N3002", 'ai model m { k: "say "it" now" }', 'ai model m { k: "say \\"it\\" now" }'),
    ("N3004", 'ai model m {\n k: "one\n  two"\n}', "ai model m {\n k: |\n     one\n     two\n}"),
    ("N3004", 'ai model m {\n k: """\n  one\n  """\n}', "ai model m {\n k: |\n     one\n}"),
    ("N3016", "chain c {\n step two words { prompt: p }\n}", 'chain c {\n step "two words" { prompt: p }\n}'),
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


def test_a_step_without_a_name_is_told_so():
    (finding,) = parse("chain c {\n step { prompt: p }\n step b { prompt: p }\n}\n").diagnostics

    assert (finding.code, finding.message) == ("N3016", "`step` needs a name")


@pytest.mark.parametrize("key", ["modèle", "température", "größe_1"])
def test_a_key_of_other_letters_is_shown_whole(key: str):
    (finding,) = parse(f"ai model m {{\n {key}: 1\n}}\n").diagnostics

    assert finding.code == "N3001"
    assert f"`{key}: 1`" in finding.message


def test_two_types_joined_by_a_bar_are_no_text_to_quote():
    (finding,) = parse("prompt p {\n input: { a: str | int }\n}\n").diagnostics

    assert finding.code == "N3505"
    assert finding.fixes == ()


def test_quotes_of_a_word_processor_are_part_of_a_value_which_is_a_warning():
    (finding,) = parse("ai model m { k: “v” }").diagnostics

    assert (finding.code, finding.severity) == ("N3019", Severity.WARNING)
    assert [edit.text for edit in finding.fixes[0].edits] == ['"v"']


@pytest.mark.parametrize("head", ["ai chat", "model m", "Models m"])
def test_a_declaration_that_sounds_like_a_model_says_how_one_is_written(head: str):
    (finding,) = parse(f"{head} {{\n provider: ollama\n}}\n").diagnostics

    assert finding.code == "N3010"
    assert finding.help == "an ai model is written `ai model NAME { … }`"


def test_prose_below_a_bar_that_is_not_indented_is_one_mistake():
    text = "ai model m {\n system: |\n You are nice.\n\n model: tiny\n}\n"

    (finding,) = parse(text).diagnostics

    assert (finding.code, finding.message) == ("N3017", "the text below the `|` is not indented")
    (declaration,) = parse(text).tree.declarations()
    assert [pair.key.text for pair in declaration.block.pairs()] == ["system", "model"]


@pytest.mark.parametrize("below", ["model: tiny", "}", '"quoted": "key"', "step s { }"])
def test_a_string_without_its_end_does_not_take_the_entries_below_it(below: str):
    finding, *_ = parse(f'ai model m {{\n system: "You are nice.\n {below}\n last: "x"\n}}\n').diagnostics

    assert finding.message == "this string is never closed"


@pytest.mark.parametrize(
    ("line", "help_text"),
    [
        ("import models", 'a file is imported as `import "./models.ai"`'),
        ('include "./models.ai"', 'a file is imported as `import "./models.ai"`'),
        (
            "profile prod { a: 1 }",
            "a profile is a file of its own: `app.prod.ai` beside `app.ai`, used with `--profile prod`",
        ),
    ],
)
def test_what_other_languages_declare_is_told_how_it_is_done_here(line: str, help_text: str):
    (finding,) = parse(f"{line}\n").diagnostics

    assert finding.help == help_text
