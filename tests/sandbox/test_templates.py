"""Prompt templates: rendered and refused as Go does."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.sandbox.rendering import render_chat, thinking_tags, tool_call_tag, uses
from namel3ss.sandbox.requests import Message, Tool, ToolFunction
from namel3ss.sandbox.template_run import execute
from namel3ss.sandbox.templates import TemplateError, parse_template


def _render(source: str, **data: Any) -> str:
    return execute(parse_template(source), data)


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("plain", "plain"),
        ("{{ .A }}", "x"),
        ("a  {{- .A -}}  b", "axb"),
        ("{{/* note */}}y", "y"),
        ("{{ if .A }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if .None }}yes{{ else if .A }}maybe{{ else }}no{{ end }}", "maybe"),
        ("{{ range .L }}<{{ . }}>{{ end }}", "<1><2>"),
        ("{{ range $i, $v := .L }}{{ $i }}={{ $v }};{{ end }}", "0=1;1=2;"),
        ("{{ range .Empty }}x{{ else }}none{{ end }}", "none"),
        ("{{ range .L }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"),
        ("{{ range .L }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "2"),
        ("{{ with .M }}{{ .k }}{{ end }}", "v"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $.A }}{{ (index .L 1) }}{{ len .L }}", "x22"),
        ('{{ and .A "b" }}{{ or .None "c" }}{{ not .A }}', "bcfalse"),
        ("{{ lt 1 2 }}{{ ge 1 2 }}{{ ne 1 2 }}", "truefalsetrue"),
        ('{{ printf "%s-%d" .A 3 }}', "x-3"),
        ("{{ json .M }}", '{"k":"v"}'),
        ("{{ .L | len }}", "2"),
        ("{{ slice .A 0 1 }}", "x"),
        ("{{ .Missing }}", "<no value>"),
    ],
)
def test_templates_are_rendered(source: str, rendered: str) -> None:
    assert _render(source, A="x", L=[1, 2], M={"k": "v"}, Empty=[], **{"None": None}) == rendered


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ .Prompt ", "template: :1: unclosed action"),
        ("{{ nope }}", 'template: :1: function "nope" not defined'),
        ("a\n{{ nope }}", 'template: :2: function "nope" not defined'),
        ("{{ if }}x{{ end }}", "template: :1: missing value for if"),
        ("{{ if .A }}x", "template: :1: unexpected EOF"),
        ("x {{ end }}", "template: :1: unexpected {{end}}"),
        ("x {{ else }}", "template: :1: unexpected {{else}}"),
        ("{{}}", "template: :1: missing value for command"),
    ],
)
def test_wrong_templates_are_refused_with_the_line(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(source)
    assert str(caught.value) == message


@given(st.text(alphabet='{} .-$|()"`=:abAifendrangelsewithPromptMessages\n/*0123456789', max_size=80))
def test_any_template_is_rendered_or_refused(source: str) -> None:
    with contextlib.suppress(TemplateError):
        render_chat(source, [Message(role="user", content="hi")])


_TURNS = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}"


def test_neighbours_of_one_role_are_joined_and_tool_results_stay_apart() -> None:
    roles = ["user", "user", "tool", "tool", "assistant"]
    messages = [Message(role=role, content=str(number)) for number, role in enumerate(roles)]
    assert render_chat(_TURNS, messages) == "user: 0\n\n1\ntool: 2\ntool: 3\nassistant: 4\n"
    assert messages[0].content == "0"


def test_a_template_without_messages_is_run_for_each_exchange() -> None:
    template = "{{ if .System }}[{{ .System }}]{{ end }}Q: {{ .Prompt }} A: {{ .Response }};"
    messages = [
        Message(role="system", content="S"),
        Message(role="user", content="one"),
        Message(role="assistant", content="1"),
        Message(role="user", content="two"),
    ]
    assert render_chat(template, messages) == "[S]Q: one A: 1;Q: two A: "


def test_tools_are_printed_as_go_prints_them() -> None:
    tool = Tool(
        type="function",
        function=ToolFunction("f", "does", {"type": "object", "properties": {"b": {"type": "string"}}}),
    )
    rendered = render_chat("{{ range .Tools }}{{ . }}{{ end }}{{ range .Messages }}{{ end }}", [], [tool])
    assert rendered == '{function <nil> {f does {object <nil> <nil> [] {"b":{"type":"string"}}}}}'


def test_a_template_tells_what_its_model_can_do() -> None:
    template = (
        "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"
        '{{ if .ToolCalls }}{{ range .ToolCalls }}[CALL]{"n": {{ .Function.Name }}}{{ end }}{{ end }}{{ end }}{{ .Tools }}'
    )
    assert {"messages", "tools", "thinking"} <= uses(template)
    assert thinking_tags(template) == ("<think>", "</think>")
    assert tool_call_tag(template) == "[CALL]"
    assert thinking_tags("{{ .Prompt }}") is None
    assert tool_call_tag("{{ .Prompt }}") == "{"
