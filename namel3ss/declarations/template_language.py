"""The language inside `{{ … }}` and `{% … %}`: Jinja in its immutable sandbox, cut down to what a prompt needs.

A template sees data and nothing else. ``a.b`` and ``a["b"]`` look up keys, never attributes of Python objects; nothing
can be called, imported or included; every name must exist. What a template prints is text as it is, and everything
else as JSON; null prints nothing. What is printed is never read as a template again.

Whatever data comes, rendering ends: the length of texts, the number of rounds of loops, numbers and time are bounded.

Only the modules `template_…` import Jinja, and only once a file has a template.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import jinja2
from jinja2 import nodes
from jinja2.lexer import Lexer
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from namel3ss.declarations.template_values import (
    LARGEST_TEXT,
    TemplateError,
    as_json,
    as_text,
    bounded,
    bounded_list,
    indented,
    is_number,
    kind_of,
    plain_item,
    replace_in,
    too_long,
    what_is_missing,
)

if TYPE_CHECKING:
    from jinja2.runtime import Context

__all__ = [
    "FILTERS",
    "LOOP_KEYS",
    "TESTS",
    "TemplateError",
    "as_text",
    "compile_template",
    "evaluate",
    "parse_template",
    "render",
]

MOST_ROUNDS: Final = 100_000  # of all loops of one rendering together
LONGEST_S: Final = 5.0
_LARGEST_NUMBER: Final = 10**18

FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "indent", "int", "items",
    "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
    "round", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper",
    "wordcount",
)  # fmt: skip
TESTS: Final = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in",
    "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
    "string", "true", "undefined", "upper",
)  # fmt: skip
LOOP_KEYS: Final = (
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem",
)  # fmt: skip

_BUDGET: Final = " budget"  # no template can write a name with a blank in it


class _Budget:
    """What one rendering may still use, and the value of its expression where it is one."""

    def __init__(self) -> None:
        self.kept: object = None
        self._rounds = MOST_ROUNDS
        self._characters = LARGEST_TEXT
        self._deadline = time.monotonic() + LONGEST_S

    def spend_round(self) -> None:
        self._rounds -= 1
        if self._rounds < 0:
            raise TemplateError(f"The loops of the template go round more than {MOST_ROUNDS:,} times.")
        self.check_time()

    def spend_text(self, text: str) -> None:
        self._characters -= len(text)
        if self._characters < 0:
            raise too_long()
        self.check_time()

    def check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise TemplateError(f"Rendering the template takes longer than {LONGEST_S:g} seconds.")


class _OffsetLexer(Lexer):
    """Jinja's own, except that it numbers tokens by where they stand: the offset of the first character, plus one."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        at = 0
        try:
            for _, kind, text in super().tokeniter(source, name, filename, state):
                # White space that `{{-` takes away is skipped here; nothing else is.
                start = source.find(text, at)
                at = start + len(text)
                yield start + 1, kind, text
        except jinja2.TemplateSyntaxError as error:
            raise jinja2.TemplateSyntaxError(error.message or "", at + 1) from None


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            finalize=as_text,
            keep_trailing_newline=True,
            optimized=False,  # constants are computed under the same limits as everything else
            cache_size=0,
        )
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS if name in self.filters} | {
            "string": as_text,
            "tojson": as_json,
            "join": _join,
            "replace": replace_in,
            "indent": indented,
            _COUNTED: _counted,
            _TEXT: as_text,
            _SHORT: bounded,
            _PLAIN: plain_item,
            _KEPT: _kept,
        }
        self.tests = {name: self.tests[name] for name in TESTS} | {
            "==": self.tests["eq"],
        }
        self._offset_lexer = _OffsetLexer(self)

    @property
    def lexer(self) -> Lexer:
        return self._offset_lexer

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in LOOP_KEYS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict):
            if isinstance(argument, str | int) and argument in obj:
                return obj[argument]
        elif isinstance(obj, list | tuple | str) and isinstance(argument, int):
            if -len(obj) <= argument < len(obj):
                return obj[argument]
        elif isinstance(obj, jinja2.Undefined):
            return getattr(obj, "anything")  # noqa: B009  # raises, saying what was undefined
        return self.undefined(what_is_missing(obj, argument), obj=obj, name=str(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = is_number(left) and is_number(right)
        if operator == "**" and numbers and abs(right) > 64:
            raise TemplateError(f"A template cannot raise a number to the power of {right}.")
        if numbers:
            result = super().call_binop(context, operator, left, right)
            if isinstance(result, int | float) and abs(result) <= _LARGEST_NUMBER:
                return result
            raise TemplateError("A number in the template becomes too large.")
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return bounded(left + right)
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return bounded_list(left + right)
        raise TemplateError(
            f"A template cannot compute {kind_of(left)} {operator} {kind_of(right)}.",
            suggestion="Join texts with `~`." if operator == "+" else None,
        )


# Filters that only `_Guarding` writes into a template.
_COUNTED, _TEXT, _SHORT, _PLAIN, _KEPT = " counted", " text", " short", " plain", " kept"


class _Guarding(jinja2.visitor.NodeTransformer):
    """Puts the limits into a template: loops are counted, joined texts measured, lists hold scalars only."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  # the visitor's protocol
        self.generic_visit(node)
        node.iter = _filtered(cast("nodes.Expr", node.iter), _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802  # the same
        self.generic_visit(node)
        node.nodes = [_filtered(part, _TEXT) for part in node.nodes]
        return _filtered(node, _SHORT)

    def visit_List(self, node: nodes.List) -> nodes.List:  # noqa: N802  # the same
        self.generic_visit(node)
        node.items = [_filtered(item, _PLAIN) for item in node.items]
        return node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


_environment: _Environment | None = None


def _shared() -> _Environment:
    global _environment  # made once, when the first template is read; it never changes afterwards
    if _environment is None:
        _environment = _Environment()
    return _environment


def parse_template(text: str) -> nodes.Template:
    """The tree of a template; a node's `lineno` is the offset of its first token, plus one.

    Raises jinja2.TemplateSyntaxError, whose `lineno` is such an offset too.
    """
    try:
        return _shared().parse(text)
    except (ValueError, OverflowError) as error:  # a number that Python does not read
        raise jinja2.TemplateSyntaxError("a number is too large", 1) from error
    except RecursionError:
        raise jinja2.TemplateSyntaxError("nested too deeply", 1) from None


def compile_template(tree: nodes.Template, *, is_expression: bool = False) -> jinja2.Template:
    """The template of a checked tree, which this changes. An expression is for `evaluate`, everything else for `render`."""
    environment = _shared()
    guarded = _Guarding().visit(tree)
    if is_expression:
        output = guarded.body[0]
        output.nodes = [_filtered(part, _KEPT) for part in output.nodes]
    code = environment.compile(guarded)
    return jinja2.Template.from_code(environment, code, {})


def render(template: jinja2.Template, values: Mapping[str, object]) -> str:
    """The text of a template with this data, which must be plain (see `value_types.fit`). Raises TemplateError."""
    return "".join(_run(template, values, _Budget()))


def evaluate(template: jinja2.Template, values: Mapping[str, object]) -> object:
    """The value of a template that is one expression. Raises TemplateError."""
    budget = _Budget()
    _run(template, values, budget)
    return budget.kept


def _run(template: jinja2.Template, values: Mapping[str, object], budget: _Budget) -> list[str]:
    pieces: list[str] = []
    try:
        for piece in template.generate({**values, _BUDGET: budget}):
            budget.spend_text(piece)
            pieces.append(piece)
    except TemplateError:
        raise
    except jinja2.UndefinedError as error:
        raise TemplateError(f"The template needs what the data does not have: {error.message}.") from None
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        RecursionError,
    ) as error:
        # What filters and operators raise when the data is not what the template expects.
        raise TemplateError(f"The template does not fit its data: {error}.") from error
    return pieces


# -- what templates print and compute -------------------------------------------------------------------------


@pass_context
def _counted(context: Context, items: Iterable[object]) -> Iterator[object]:
    budget: Any = context.resolve(_BUDGET)
    for item in items:
        budget.spend_round()
        yield item


@pass_context
def _kept(context: Context, value: object) -> str:
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    if not isinstance(value, str | int | float | dict | list | None):
        value = list(value) if isinstance(value, Iterable) else str(value)
    budget: Any = context.resolve(_BUDGET)
    budget.kept = value
    return ""


def _join(items: Iterable[object], separator: object = "", attribute: str | int | None = None) -> str:
    environment = _shared()
    pieces: list[str] = []
    length = 0
    between = as_text(separator)
    for item in items:
        piece = as_text(environment.getitem(item, attribute) if attribute is not None else item)
        length += len(piece) + len(between)
        if length > LARGEST_TEXT:
            raise too_long()
        pieces.append(piece)
    return between.join(pieces)
