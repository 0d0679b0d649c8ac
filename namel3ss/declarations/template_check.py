"""Looks through a template before anything is rendered: every name, every key whose type is known, every construct.

Offsets are those of the template's own text; who calls knows where that stands in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import jinja2
from jinja2 import nodes

from namel3ss.declarations.template_language import FILTERS, LOOP_KEYS, TESTS, parse_template
from namel3ss.declarations.value_types import (
    ListType,
    ObjectType,
    ScalarType,
    ValueType,
    describe_type,
    without_optional,
)
from namel3ss.language.suggest import closest

__all__ = ["CheckedTemplate", "Scope", "TemplateProblem", "check_template"]

# Names and their types; None where nothing is known of the value.
Scope: TypeAlias = Mapping[str, ValueType | None]

_DEEPEST: Final = 40
_UNEXPECTED: Final = re.compile(r"unexpected char (`[^`]*`) at \d+$")
_WORD: Final = re.compile(r"\w+")
_EXPRESSIONS: Final = (
    nodes.TemplateData, nodes.Const, nodes.List, nodes.Tuple, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat, nodes.Slice, nodes.Keyword,
)  # fmt: skip
_REFUSED: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "call anything",
    nodes.Macro: "define macros",
    nodes.CallBlock: "call anything",
    nodes.Include: "include files",
    nodes.Import: "import files",
    nodes.FromImport: "import files",
    nodes.Extends: "extend files",
    nodes.Block: "have blocks",
    nodes.FilterBlock: "have filter blocks",
    nodes.With: "have `with` blocks",
    nodes.AssignBlock: "set a name to a block",
    nodes.Dict: "write objects",
}


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """One finding; `replacement` is what should probably stand in the place of the marked text."""

    code: str
    message: str
    start: int
    end: int
    help: str | None = None
    replacement: str | None = None


@dataclass(slots=True)
class CheckedTemplate:
    """What a template uses. `used` are names of the scope; `inputs` the keys of `input`, None where it may be any.

    `is_expression`: it is one ``{{ … }}`` and nothing else, so that it has a value, not only a text. `type` is what is
    known of that value.
    """

    tree: nodes.Template | None
    problems: list[TemplateProblem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    inputs: set[str] | None = field(default_factory=set)
    is_expression: bool = False
    type: ValueType | None = None


def check_template(text: str, scope: Scope, *, is_condition: bool = False) -> CheckedTemplate:
    """Check a template against the names it may use.

    A condition is one expression, in ``{{ }}`` or bare.
    """
    if is_condition and not re.search(r"\{[{%#]", text):
        # The braces around a bare expression move what is reported by their length.
        checked = _check("{{" + text + "}}", scope, is_condition=True)
        checked.problems = [_moved(problem, -2) for problem in checked.problems]
        return checked
    return _check(text, scope, is_condition=is_condition)


def _check(text: str, scope: Scope, *, is_condition: bool) -> CheckedTemplate:
    try:
        tree = parse_template(text)
    except jinja2.TemplateSyntaxError as error:
        return CheckedTemplate(None, [_syntax_problem(text, error)])
    expression = _only_expression(tree, ignores_blanks=is_condition)
    if is_condition and expression is None:
        problem = TemplateProblem(
            "N3502",
            "A condition is one expression, and nothing beside it.",
            0,
            len(text),
            help="Write it like this: `if: \"{{ input.kind == 'long' }}\"`",
        )
        return CheckedTemplate(None, [problem])
    checking = _Checking(text)
    checking.statements(tree.body, dict(scope), 0)
    checked = checking.checked
    checked.tree = tree
    if expression is not None:
        checked.is_expression = True
        checked.type = checking.last_type
    return checked


def _moved(problem: TemplateProblem, by: int) -> TemplateProblem:
    return TemplateProblem(
        problem.code,
        problem.message,
        max(0, problem.start + by),
        max(0, problem.end + by),
        problem.help,
        problem.replacement,
    )


def _syntax_problem(text: str, error: jinja2.TemplateSyntaxError) -> TemplateProblem:
    at = max(0, min(error.lineno - 1, len(text)))
    found = _WORD.match(text, at)
    message = (error.message or "it cannot be read").rstrip(".").replace("'", "`")
    help_text = None
    if "Jinja was looking for" in message or "end of template" in message:
        at = max(text.rfind("{%"), text.rfind("{{"), 0)
        message = "a tag or block is opened here and never closed"
    elif "unknown tag" in message:
        help_text = "There are if, elif, else, endif, for, endfor, set and raw."
    elif message.endswith("got `=`"):
        help_text = "Two values are compared with `==`."
    elif (character := _UNEXPECTED.match(message)) is not None:
        message = f"{character[1]} cannot stand here"
        if text.startswith(("{{#", "{{/"), max(0, text.rfind("{{", 0, at + 3))):
            help_text = "A loop is written `{% for item in items %} … {% endfor %}`, a condition `{% if … %} … {% endif %}`."
    return TemplateProblem(
        "N3502", f"The template cannot be read: {message}.", at, found.end() if found else at + 1, help_text
    )


def _only_expression(tree: nodes.Template, *, ignores_blanks: bool) -> nodes.Expr | None:
    """The expression that the whole template is; it is then the only node of its tree."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    output = tree.body[0]
    parts = [part for part in output.nodes if not (ignores_blanks and _is_blank(part))]
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    output.nodes = parts
    return parts[0]


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData) and not node.data.strip()


class _Checking:
    """One walk over one tree. A scope is copied where a new one begins, and changed by `set`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.checked = CheckedTemplate(None)
        self.last_type: ValueType | None = None  # of what the template printed last

    # -- statements -------------------------------------------------------------------------------------------

    def statements(self, body: Sequence[nodes.Node], scope: dict[str, ValueType | None], depth: int) -> None:
        for node in body:
            self._statement(node, scope, depth)

    def _statement(self, node: nodes.Node, scope: dict[str, ValueType | None], depth: int) -> None:
        if depth > _DEEPEST:
            self._add("N3502", "The template is nested too deeply.", node.lineno - 1, node.lineno)
        elif isinstance(node, nodes.Output):
            for part in node.nodes:
                self.last_type = self.type_of(part, scope, depth + 1)
        elif isinstance(node, nodes.If):
            self.type_of(node.test, scope, depth + 1)
            for body in (node.body, node.elif_, node.else_):
                self.statements(body, scope, depth + 1)
        elif isinstance(node, nodes.For) and not node.recursive:
            self._loop(node, scope, depth)
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            scope[node.target.name] = self.type_of(node.node, scope, depth + 1)
        else:
            self._refuse(node)

    def _loop(self, node: nodes.For, scope: dict[str, ValueType | None], depth: int) -> None:
        items = self.type_of(node.iter, scope, depth + 1)
        item = items.item if isinstance(items, ListType) else None
        if isinstance(items, ScalarType) and items.name in ("int", "float", "bool"):
            start = node.iter.lineno - 1
            self._add("N3504", f"There is nothing to go through in {describe_type(items)}.", start, start + 1)
        inner = {**scope, "loop": None}
        if isinstance(node.target, nodes.Name):
            inner[node.target.name] = item
        else:
            inner.update(dict.fromkeys((name.name for name in node.target.find_all(nodes.Name)), None))
        if node.test is not None:
            self.type_of(node.test, inner, depth + 1)
        self.statements(node.body, inner, depth + 1)
        self.statements(node.else_, scope, depth + 1)

    # -- expressions ------------------------------------------------------------------------------------------

    def type_of(self, node: nodes.Node, scope: Scope, depth: int) -> ValueType | None:
        """Check an expression; its type where that is known, without its ``?``."""
        if depth > _DEEPEST:
            self._add("N3502", "The template is nested too deeply.", node.lineno - 1, node.lineno)
            return None
        if isinstance(node, nodes.Name):
            return self._name(node, scope)
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            return ScalarType("str")
        if isinstance(node, nodes.Getattr):
            return self._key(node, node.node, node.attr, scope, depth)
        if isinstance(node, nodes.Getitem):
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return self._key(node, node.node, node.arg.value, scope, depth)
            return self._item(node, scope, depth)
        if isinstance(node, nodes.Filter):
            return self._filter(node, scope, depth)
        if isinstance(node, nodes.Test):
            self._known(node, "test", TESTS, r"is\s+(?:not\s+)?")
        elif not isinstance(node, _EXPRESSIONS):
            self._refuse(node)
            return None
        for child in node.iter_child_nodes():
            self.type_of(child, scope, depth + 1)
        return None

    def _name(self, node: nodes.Name, scope: Scope) -> ValueType | None:
        start = node.lineno - 1
        if node.name not in scope:
            self._unknown_name(node.name, start, scope)
            return None
        self.checked.used.add(node.name)
        if node.name == "input":
            self.checked.inputs = None
        known = scope[node.name]
        return without_optional(known) if known is not None else None

    def _unknown_name(self, name: str, start: int, scope: Scope) -> None:
        inputs = scope.get("input")
        names = [other for other in scope if other != "loop"]
        if isinstance(inputs, ObjectType) and inputs.get(name) is not None:
            near = [f"input.{name}"]
        else:
            near = closest(name, scope)
        if name == "env":
            hint = "A template cannot read the environment; make the value an input."
        elif near:
            hint = f"Did you mean `{near[0]}`?"
        elif names == ["input"]:
            hint = _declare(name)
        else:
            hint = f"There is {', '.join(f'`{other}`' for other in names)}."
        self._add(
            "N3503",
            f"There is no `{name[:60]}` here.",
            start,
            start + len(name),
            help=hint,
            replacement=near[0] if near else None,
        )

    def _key(
        self, node: nodes.Getattr | nodes.Getitem, base: nodes.Expr, key: str, scope: Scope, depth: int
    ) -> ValueType | None:
        is_input = isinstance(base, nodes.Name) and base.name == "input" and "input" in scope
        inputs = self.checked.inputs
        owner = self.type_of(base, scope, depth + 1)
        if is_input:
            self.checked.inputs = inputs
            if inputs is not None:
                inputs.add(key)
        start, end = self._key_span(node, key)
        if isinstance(base, nodes.Name) and base.name == "loop" and "loop" in scope:
            if key not in LOOP_KEYS:
                self._unknown_key(key, "`loop`", LOOP_KEYS, start, end)
            return None
        if isinstance(owner, ObjectType):
            found = owner.get(key)
            if found is None and key in owner.unread:
                return None
            if found is None:
                self._unknown_key(key, f"`{self._source_of(base)}`", owner.names, start, end)
                return None
            return without_optional(found.type)
        if owner is not None and not (isinstance(owner, ScalarType) and owner.name == "object"):
            self._add(
                "N3503",
                f"`{self._source_of(base)}` is {describe_type(owner)} and has no keys.",
                start,
                end,
            )
        return None

    def _unknown_key(self, key: str, owner: str, names: tuple[str, ...], start: int, end: int) -> None:
        near = closest(key, names)
        there = ", ".join(f"`{name}`" for name in names)
        self._add(
            "N3503",
            f"There is no `{key[:60]}` in {owner}.",
            start,
            end,
            help=f"Did you mean `{near[0]}`?"
            if near
            else f"There is {there}."
            if there
            else _declare(key)
            if owner == "`input`"
            else None,
            replacement=near[0] if near else None,
        )

    def _item(self, node: nodes.Getitem, scope: Scope, depth: int) -> ValueType | None:
        owner = self.type_of(node.node, scope, depth + 1)
        self.type_of(node.arg, scope, depth + 1)
        if isinstance(node.arg, nodes.Slice):
            return owner
        return without_optional(owner.item) if isinstance(owner, ListType) else None

    def _filter(self, node: nodes.Filter, scope: Scope, depth: int) -> ValueType | None:
        self._known(node, "filter", FILTERS, "")
        for child in node.iter_child_nodes():
            self.type_of(child, scope, depth + 1)
        return None

    def _known(self, node: nodes.Filter | nodes.Test, what: str, names: tuple[str, ...], before: str) -> None:
        if node.name in names or (what == "test" and node.name == "in"):
            return
        found = re.compile(before).match(self._text, node.lineno - 1)
        start = found.end() if found else node.lineno - 1
        near = closest(node.name, names)
        self._add(
            "N3504",
            f"Templates have no {what} `{node.name[:60]}`.",
            start,
            start + len(node.name),
            help=f"Did you mean `{near[0]}`?" if near else f"There is {', '.join(names)}.",
            replacement=near[0] if near else None,
        )

    # -- places and reports -----------------------------------------------------------------------------------

    def _key_span(self, node: nodes.Getattr | nodes.Getitem, key: str) -> tuple[int, int]:
        start = self._text.find(key, node.lineno - 1)
        return (start, start + len(key)) if start >= 0 else (node.lineno - 1, node.lineno)

    def _source_of(self, node: nodes.Expr) -> str:
        if isinstance(node, nodes.Name):
            return node.name
        if isinstance(node, nodes.Getattr):
            return f"{self._source_of(node.node)}.{node.attr}"
        if isinstance(node, nodes.Getitem):
            return f"{self._source_of(node.node)}[…]"
        return "this"

    def _refuse(self, node: nodes.Node) -> None:
        what = _REFUSED.get(type(node), "do this")
        start = node.lineno - 1
        word = _WORD.match(self._text, start)
        self._add(
            "N3504",
            f"A template cannot {what}.",
            start,
            word.end() if word else start + 1,
            help="Templates have {{ values }}, filters, if, for and set."
            + (" A key is looked up without parentheses." if isinstance(node, nodes.Call) else ""),
        )

    def _add(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        *,
        help: str | None = None,  # noqa: A002  # the diagnostic's own word
        replacement: str | None = None,
    ) -> None:
        self.checked.problems.append(TemplateProblem(code, message, start, end, help, replacement))


def _declare(name: str) -> str:
    return f"Declare it: `input: {{ {name[:60]}: str }}`."
