"""Prompts and chains as declarations: types, names inside templates at their exact place, the graph."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namel3ss.declarations.value_types import (
    ChoiceType,
    ListType,
    ObjectType,
    OptionalType,
    ScalarType,
    describe_type,
    fit,
    json_schema,
)
from tests.declarations.checks import check, codes, marked, only

MODEL = "ai model m { provider: ollama  model: llama3:8b }\n"


def prompt(inside: str) -> str:
    return f"{MODEL}prompt p {{ {inside} }}\n"


def test_types_nest_and_keep_their_defaults():
    program = check(
        prompt(
            """
            input: {
                a: str, b: int = 100, c: float?, d: list[list[bool]] = [[true]]
                e: { x: str, y: object = { k: 1 } }, f: "s" | "l" = "s"
            }
            output: { g: { h: "only" }? }
            template: "{{input}}"
            """
        )
    )

    declared = program.prompts["p"]
    assert program.diagnostics == ()
    assert [describe_type(each.type) for each in declared.input.fields] == [
        "str",
        "int",
        "float?",
        "list[list[bool]]",
        "{ x, y }",
        '"s" | "l"',
    ]
    assert fit({"a": "t", "e": {"x": "u"}}, declared.input).value == {
        "a": "t",
        "b": 100,
        "c": None,
        "d": [[True]],
        "e": {"x": "u", "y": {"k": 1}},
        "f": "s",
    }
    assert isinstance(declared.output, ObjectType)
    assert json_schema(declared.output)["properties"]["g"] == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"h": {"type": "string", "enum": ["only"]}},
                "required": ["h"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    }


def test_a_default_is_copied_for_each_caller():
    declared = check(prompt('input: { d: list[str] = [a] }  template: "{{d}}"')).prompts["p"]

    fit({}, declared.input).value["d"].append("b")

    assert fit({}, declared.input).value == {"d": ["a"]}


@pytest.mark.parametrize(
    ("value", "wanted", "fits"),
    [
        (3.0, ScalarType("int"), 3),
        (3, ScalarType("float"), 3.0),
        (None, OptionalType(ScalarType("int")), None),
        (("a",), ListType(ScalarType("str")), ["a"]),
        ({"a": [1, None, {"b": True}]}, ScalarType("object"), {"a": [1, None, {"b": True}]}),
    ],
)
def test_values_that_fit_become_plain_data(value: object, wanted: ScalarType, fits: object):
    fitted = fit(value, wanted)

    assert fitted == (type(fitted))(fits, ())
    assert type(fitted.value) is type(fits)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, ScalarType("int")),
        (3.5, ScalarType("int")),
        (float("nan"), ScalarType("float")),
        (float("inf"), ScalarType("int")),
        ("3", ScalarType("int")),
        (1, ScalarType("bool")),
        ([], ScalarType("object")),
        ({"a": object()}, ScalarType("object")),
        ("x", ChoiceType(("a", "b"))),
        ("ab", ListType(ScalarType("str"))),
    ],
)
def test_values_that_do_not_fit_say_why(value: object, wanted: ScalarType):
    assert fit(value, wanted).problems


def test_data_that_contains_itself_ends():
    data: dict[str, object] = {}
    data["self"] = data

    assert "nested more than" in fit(data, ScalarType("object")).problems[0]


# -- places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        '"{{ wrds }}"',
        "'it\\'s \\u0041\\ud83d\\ude00\\n {{ wrds }} \\{\\}'",
        '"\\r\\n\\r {{ wrds }}"',
        "|\n        {# x #}\n\n          {%- if true %} {{- wrds -}}   {% endif %}\n",
        '"😀 {% for x in words %}{{ wrds[0].y|upper }}{% endfor %}"',
        '"{{ 1 if wrds is defined else (2 ~ [3]) }}"',
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_unknown_name_is_marked_at_its_exact_place(template: str, line_end: str):
    text = f"{MODEL}prompt p {{\n    input: {{ words: list[str] = [] }}\n    template: {template}\n}}\n"

    program = check(text.replace("\n", line_end))

    found = next(each for each in program.diagnostics if each.code == "N3503")
    assert marked(found) == "wrds"
    assert found.help == "did you mean `words`?"
    assert found.fixes[0].edits[0].text == "words"


def test_a_text_without_templates_needs_nothing():
    program = check(prompt('template: "100 % {plain} } text"'))

    assert program.prompts["p"].template.render({}) == "100 % {plain} } text"


def test_block_text_reaches_the_model_byte_for_byte():
    program = check(MODEL + "prompt p {\n  template: |\n      a\n\n\t  b {{ 1 }}  \n        c\n\n}\n")

    declared = program.prompts["p"].template
    assert declared.render({}) == declared.text.replace("{{ 1 }}", "1")


@pytest.mark.parametrize(
    "template",
    [
        "{{ f() }}",
        "{{ text.upper() }}",
        "{{ ''.join }}",
        "{% import 'x' as y %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% call x() %}{% endcall %}",
        "{% block b %}{% endblock %}",
        "{{ text|attr('x') }}",
        "{{ text|pprint }}",
        "{{ text is callable }}",
        "{{ range(3) }}",
        "{{ {'a': 1} }}",
        "{{ self }}",
        "{{ cycler }}",
        "{{ text.__class__ }}",
        "{% set x.y = 1 %}",
        "{% for a in text recursive %}{% endfor %}",
        "{{ text",
        "{% if %}",
        "{{ " + "9" * 5000 + " }}",
        "{{ " + "(" * 200 + "1" + ")" * 200 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
    ],
)
def test_what_templates_cannot_do_is_an_error_of_the_file(template: str):
    program = check(prompt(f'input: {{ text: str }}  template: "{template}"'))

    assert program.errors
    assert {code[:4] for code in codes(program)} <= {"N350", "N351"}
    assert not program.prompts
    assert program.broken_prompts == ("p",)


@given(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                "if",
                "for",
                "in",
                "end",
                "text",
                "|",
                "(",
                ")",
                "[",
                "]",
                ".",
                "1",
                "'a'",
                "~",
                "set",
                "=",
            ]
        )
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_template_makes_the_check_raise(text: str, tokens: list[str]):
    for template in (text, " ".join(tokens)):
        quoted = template.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        check(prompt(f'input: {{ text: str }}  template: "{quoted}"'))


# -- chains -------------------------------------------------------------------------------------------------------


def chain(inside: str) -> str:
    return f"{MODEL}chain c {{\n{inside}\n}}\n"


def test_steps_need_those_before_them_that_give_a_name_or_else_those_after():
    program = check(
        chain(
            """
            output: { a: str, b: str }
            step one { prompt: "{{b}}"  output: a }
            step two { prompt: "x"  output: b }
            step three { prompt: "{{a}}{{b}}"  output: a }
            """
        )
    )

    assert program.diagnostics == ()
    steps = program.chains["c"].steps
    assert [dict(step.needs) for step in steps] == [{"b": (1,)}, {}, {"a": (0,), "b": (1,)}]


def test_keys_of_a_result_are_checked_where_its_type_is_known():
    program = check(
        chain(
            """
            output: { b: str }
            step one { prompt: "x"  output: { title: str } }
            step two { prompt: "{{title.x}} {{titel}}"  output: b }
            """
        )
    )

    assert [(found.code, marked(found)) for found in program.diagnostics] == [
        ("N3503", "x"),
        ("N3503", "titel"),
    ]


def test_a_broken_prompt_breaks_no_chain_check():
    program = check(
        MODEL
        + 'prompt p { template: "{{x}}" }\n'
        + "chain c { output: { a: str }  step s { prompt: p  output: a } }\n"
    )

    assert codes(program) == ["N3503"]
    assert list(program.chains) == ["c"]


def test_a_part_with_a_syntax_error_is_checked_for_the_rest():
    program = check(
        MODEL + 'prompt p {\n    model m\n    input: { text: strng }\n    template: "{{ txt }}"\n}\n'
    )

    assert codes(program) == ["N3006", "N3505", "N3503"]


def test_a_file_without_models_asks_for_none():
    assert codes(check('prompt p { template: "x" }\n')) == []


def test_a_missing_model_is_only_a_mistake_where_there_are_several():
    two = "ai model a { provider: ollama  model: x }\nai model b { provider: ollama  model: y }\n"

    assert only(check(two + 'prompt p { template: "x" }\n')).code == "N3507"


def test_a_file_without_prompts_does_not_import_jinja():
    program = (
        "import sys\n"
        "from namel3ss.declarations import check_text\n"
        "check_text('ai model m { provider: ollama, model: x }')\n"
        "check_text('ai model m { provider: ollama, model: x }\\nprompt p { template: \"plain\" }')\n"
        "sys.exit('jinja2' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_input_of_an_unknown_type_is_one_mistake_and_its_name_is_known():
    program = check(prompt('input: { text: string, n: integer } template: "{{txt}} {{input.text}} {{n.x}}"'))

    assert [(found.code, marked(found)) for found in program.diagnostics] == [
        ("N3505", "string"),
        ("N3505", "integer"),
        ("N3503", "txt"),
    ]


@pytest.mark.parametrize("written", ["text", '"text"', "[text, other]"])
def test_inputs_without_types_are_one_mistake(written: str):
    found = only(check(prompt(f'input: {written} template: "{{{{text}}}}"')))

    assert (found.code, found.help) == ("N3108", "write `input: { text: str }`")


def test_a_step_whose_answer_has_an_unknown_type_still_gives_its_names():
    program = check(
        f"""
        {MODEL}
        chain c {{
            output: {{ a: str, b: int }}
            step s {{ model: m  prompt: "x"  output: {{ a: strong, b: int }} }}
            step t {{ model: m  prompt: "{{{{a.b}}}}" }}
        }}
        """
    )

    assert [(found.code, marked(found)) for found in program.diagnostics] == [("N3505", "strong")]


def test_a_name_that_nothing_declares_is_told_where_to_be_declared():
    found = only(check(prompt('template: "{{text}}"')))

    assert (found.code, found.help) == ("N3503", "declare it: `input: { text: str }`")


def test_an_input_of_a_chain_by_its_bare_name_is_offered_with_its_owner():
    text = f"""
        {MODEL}
        chain c {{
            input: {{ text: str }}
            step s {{ model: m  prompt: "{{{{text}}}}"  output: a }}
        }}
        """
    found = only(check(text))

    assert found.help == "did you mean `input.text`?"
    assert [edit.text for edit in found.fixes[0].edits] == ["input.text"]


def test_a_missing_output_is_found_beside_other_mistakes():
    program = check(
        f"""
        {MODEL}
        chain c {{
            output: {{ answer: str, missing: str }}
            step s {{ model: m  prompt: "{{{{input.q}}}}"  output: answer }}
        }}
        """
    )

    assert [(found.code, marked(found)) for found in program.diagnostics] == [
        ("N3604", "missing"),
        ("N3503", "q"),
    ]


def test_nothing_is_missed_that_a_step_which_cannot_be_read_may_give():
    text = f'{MODEL}chain c {{ output: {{ a: str }} step s {{ model: m  prompt: "x"  output: [a] }} }}'

    assert codes(check(text)) == ["N3108"]


def test_a_misspelt_input_of_a_prompt_is_one_mistake():
    text = (
        prompt('input: { question: str } template: "{{question}}"')
        + 'chain c { step s { prompt: p  input: { questions: "Why?" }  output: a } }'
    )
    found = only(check(text))

    assert (found.code, found.help) == ("N3609", "did you mean `question`?")


@pytest.mark.parametrize(("text", "codes_found"), [("five", ["N3609"]), ("5", []), ("{{input.n}}", [])])
def test_a_text_for_a_number_is_read_as_the_run_will_read_it(text: str, codes_found: list[str]):
    program = check(
        prompt('input: { n: int } template: "{{n}}"')
        + f'chain c {{ input: {{ n: int }} step s {{ prompt: p  input: {{ n: "{text}" }}  output: a }} '
        + "output: { a: str } }"
    )

    assert [code for code in codes(program) if code != "N3510"] == codes_found


@pytest.mark.parametrize(
    ("inside", "help_text"),
    [
        ('first: { prompt: "x" }', "a step is written `step first { … }`"),
        ('steps: [{ prompt: "x" }]', "a step is written `step NAME { … }`"),
        ('outptu: { a: str } step s { model: m prompt: "x" }', "did you mean `output`?"),
    ],
)
def test_a_map_in_a_chain_was_probably_meant_for_a_step(inside: str, help_text: str):
    found = only(check(f"{MODEL}chain c {{ {inside} }}"))

    assert (found.code, found.help) == ("N3607", help_text)


def test_a_setting_in_a_prompt_is_sent_to_its_model():
    found = only(check(prompt('template: "x" temperature: 0.2')))

    assert found.code == "N3508"
    assert found.help == "settings belong in the ai model; `model` names the one that this prompt asks"


@pytest.mark.parametrize(
    ("template", "help_text"),
    [
        ("{% if a = 'x' %}{% endif %}", "two values are compared with `==`"),
        (
            "{{#each a}}{{this}}{{/each}}",
            "a loop is written `{% for item in items %} … {% endfor %}`, a condition `{% if … %} … {% endif %}`",
        ),
    ],
)
def test_a_template_of_another_language_is_told_how_it_is_written_here(template: str, help_text: str):
    found = only(check(prompt(f'input: {{ a: str }} template: "{template}"')))

    assert (found.code, found.help) == ("N3502", help_text)
