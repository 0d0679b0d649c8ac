"""Templates see data and nothing else, and rendering ends whatever comes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from namel3ss.declarations.template_language import (
    MOST_ROUNDS,
    TemplateError,
    compile_template,
    parse_template,
    render,
)

DATA: dict[str, Any] = {
    "text": "x",
    "big": "y" * 1_000_000,
    "many": list(range(1000)),
    "data": {"items": [1], "a": {"b": None}, "__class__": "mine"},
    "flag": True,
    "none": None,
}


def rendered(template: str) -> str:
    return render(compile_template(parse_template(template)), DATA)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ data.items }} {{ data['items'][0] }}", "[1] 1"),
        ("{{ data.__class__ }}", "mine"),
        ("{{ flag }} {{ none }}|{{ data.a }}", 'true |{"b": null}'),
        ("{{ many[:3] }} {{ many|first }} {{ many|length }}", "[0, 1, 2] 0 1000"),
        ("{{ many|map('string')|list|first }}", "0"),
        ("{{ many|select('lt', 3)|list }}", "[0, 1, 2]"),
        ("{{ 'a' ~ 1 ~ none ~ data.a }}", 'a1{"b": null}'),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 5 }} {{ 'a' + 'b' }}", "3 3 32 ab"),
        ("{{ data.x|default('d') }} {{ data.x is defined }}", "d false"),
        ("a\n{% if flag %}\nb\n{% endif %}\n", "a\n\nb\n\n"),
    ],
)
def test_templates_print_data(template: str, text: str):
    assert rendered(template) == text


@pytest.mark.security(38)
@pytest.mark.parametrize(
    "template",
    [
        "{{ text.__class__ }}",
        "{{ text['__class__'] }}",
        "{{ data.a.__init__ }}",
        "{{ text.format }}",
        "{{ data.keys }}",
        "{{ many.append }}",
        "{{ none.__class__ }}",
        "{{ many|map(attribute='__class__')|list }}",
        "{{ many|map('attr', '__class__')|list }}",
        "{{ (many|map('upper')).__class__ }}",
        "{{ data|dictsort|map(attribute='0.__class__')|list }}",
        "{{ data.x }}",
        "{{ data.x.y }}",
        "{{ missing }}",
        "{{ text|format }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ loop }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ range }}",
        "{{ '%s' % text }}",
    ],
)
def test_nothing_but_data_can_be_reached(template: str):
    with pytest.raises(Exception) as raised:  # noqa: PT011  # unknown filters fail while compiling
        rendered(template)

    assert type(raised.value).__name__ in ("TemplateError", "TemplateAssertionError")


@pytest.mark.security(38)
@pytest.mark.parametrize(
    "template",
    [
        "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ big ~ big ~ big ~ big ~ big }}",
        "{{ big|replace('y', big) }}",
        "{{ many|join(big) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ many * 1000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 999999999999 * 999999999999 }}",
        "{% for a in many %}{{ big }}{% endfor %}",
        "{% set a = many + many %}" + "{% set a = a + a %}" * 20,
        "{% set a = text %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
        "{{ big|indent(1000000000)|replace('y', '\\n')|indent(1000000000) }}{{ big }}{{ big }}{{ big }}{{ big }}",
    ],
)
def test_rendering_ends_whatever_the_template_does(template: str):
    started = time.monotonic()

    with pytest.raises(TemplateError):
        rendered(template)

    assert time.monotonic() - started < 10


@pytest.mark.security(38)
def test_loops_go_round_as_often_as_allowed():
    assert rendered("{% for a in many %}{% for b in many[:99] %}.{% endfor %}{% endfor %}") == "." * 99_000
    assert MOST_ROUNDS == 100_000
