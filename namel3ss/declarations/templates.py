"""Templates of a file: text with `{{ … }}` in it, checked against the names it may use, rendered with data."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from namel3ss.declarations.places import Location
from namel3ss.declarations.template_places import TemplatePlaces, normalised
from namel3ss.language import Fix, TextEdit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2
    from jinja2 import nodes

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.template_check import Scope
    from namel3ss.declarations.value_types import ValueType
    from namel3ss.language import BareWord, BlockText, Source, String

__all__ = ["Template", "read_template"]

_MARK = re.compile(r"\{[{%#]")
_COMPILING = threading.Lock()


class Template:
    """A checked template. `used` are the names it needs; `inputs` the keys of `input` it needs, None for all.

    Plain text is a template that needs nothing, and is rendered without Jinja. `is_expression`: it is one ``{{ … }}``,
    whose value need not be text; `value_type` is what is known of that value.
    """

    def __init__(
        self,
        text: str,
        location: Location,
        *,
        tree: nodes.Template | None = None,
        used: frozenset[str] = frozenset(),
        inputs: frozenset[str] | None = frozenset(),
        is_expression: bool = False,
        value_type: ValueType | None = None,
    ) -> None:
        self.text = text
        self.location = location
        self.used = used
        self.inputs = inputs
        self.is_expression = is_expression
        self.value_type = value_type
        self._tree = tree
        self._template: jinja2.Template | None = None

    def render(self, values: Mapping[str, object]) -> str:
        """The text with this plain data in it. Raises TemplateError."""
        if self._tree is None:
            return self.text
        from namel3ss.declarations.template_language import as_text, render

        return as_text(self.value(values)) if self.is_expression else render(self._compiled(), values)

    def value(self, values: Mapping[str, object]) -> object:
        """The value of an expression, the text of any other template. Raises TemplateError."""
        if not self.is_expression:
            return self.render(values)
        from namel3ss.declarations.template_language import evaluate

        return evaluate(self._compiled(), values)

    def _compiled(self) -> jinja2.Template:
        from namel3ss.declarations.template_language import compile_template

        with _COMPILING:
            if self._template is None:
                assert self._tree is not None
                self._template = compile_template(self._tree, is_expression=self.is_expression)
            return self._template

    def __repr__(self) -> str:
        return f"<Template at {self.location}>"


def read_template(
    node: String | BlockText | BareWord,
    source: Source,
    scope: Scope,
    findings: Findings,
    *,
    is_condition: bool = False,
) -> Template | None:
    """The template that a value of the file is; None where it is wrong, which is then reported at its place."""
    location = Location(source, node.span)
    if not is_condition and not _MARK.search(node.value):
        return Template(node.value, location)
    from namel3ss.declarations.template_check import check_template

    text = normalised(node.value)
    checked = check_template(text, scope, is_condition=is_condition)
    if not checked.problems and checked.tree is not None:
        inputs = frozenset(checked.inputs) if checked.inputs is not None else None
        return Template(
            text,
            location,
            tree=checked.tree,
            used=frozenset(checked.used),
            inputs=inputs,
            is_expression=checked.is_expression,
            value_type=checked.type,
        )
    places = TemplatePlaces(node, source)
    for problem in checked.problems:
        span = places.span(problem.start, problem.end)
        fixes = (
            (Fix(f"Write {problem.replacement}", (TextEdit(span, problem.replacement),), safe=False),)
            if problem.replacement
            else ()
        )
        findings.report(problem.code, problem.message, Location(source, span), help=problem.help, fixes=fixes)
    return None
