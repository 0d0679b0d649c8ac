"""The language inside `{{ … }}` and `{% … %}`: Jinja in its immutable sandbox, cut down to what a prompt needs.

A template sees data and nothing else. ``a.b`` and ``a["b"]`` look up keys, never attributes of Python objects; nothing
can be called, imported or included; every name must exist. What a template prints is text as it is, and everything
else as JSON; null prints nothing. What is printed is never read as a template again.

Whatever data comes, rendering ends: the length of texts, the number of rounds of loops, numbers and time are bounded.

Only this module and `template_check` import Jinja, and only once a file has a template.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import jinja2
from jinja2 import nodes
from jinja2.lexer import Lexer
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from namel3ss.errors import N3Error

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

LARGEST_TEXT: Final = 4_000_000  # characters; no context window holds more
MOST_ROUNDS: Final = 100_000  # of all loops of one rendering together
LONGEST_S: Final = 5.0
_LARGEST_NUMBER: Final = 10**18
_MOST_ITEMS: Final = 100_000

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


class TemplateError(N3Error):
    """A template cannot be rendered with this data: a key is missing, or a limit was reached."""


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
            raise _too_long()
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
            "tojson": _as_json,
            "join": _join,
            "replace": _replace,
            "indent": _indent,
            _COUNTED: _counted,
            _TEXT: as_text,
            _SHORT: _bounded,
            _PLAIN: _plain,
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
        return self.undefined(_missing(obj, argument), obj=obj, name=str(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = _is_number(left) and _is_number(right)
        if operator == "**" and numbers and abs(right) > 64:
            raise TemplateError(f"A template cannot raise a number to the power of {right}.")
        if numbers:
            result = super().call_binop(context, operator, left, right)
            if isinstance(result, int | float) and abs(result) <= _LARGEST_NUMBER:
                return result
            raise TemplateError("A number in the template becomes too large.")
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded(left + right)
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return _bounded_list(left + right)
        raise TemplateError(
            f"A template cannot compute {_kind(left)} {operator} {_kind(right)}.",
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

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_filtered(part, _TEXT) for part in node.nodes]
        return _filtered(node, _SHORT)

    def visit_List(self, node: nodes.List) -> nodes.List:  # noqa: N802
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


def as_text(value: object) -> str:
    """A value as templates print it: text as it is, nothing for null, JSON for the rest."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    return _as_json(value)


def _as_json(value: object, indent: int | None = None) -> str:
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    if not isinstance(value, str | int | float | dict | list | tuple | None):
        value = list(value) if isinstance(value, Iterable) else str(value)
    pieces: list[str] = []
    length = 0
    # iterencode gives small pieces, so that a limit can stop it.
    encoder = json.JSONEncoder(ensure_ascii=False, indent=None if indent is None else min(indent, 8))
    for piece in encoder.iterencode(value):
        length += len(piece)
        if length > LARGEST_TEXT:
            raise _too_long()
        pieces.append(piece)
    return "".join(pieces)


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
            raise _too_long()
        pieces.append(piece)
    return between.join(pieces)


def _replace(value: object, old: str, new: str, count: int = -1) -> str:
    text = as_text(value)
    found = len(text) + 1 if not old else text.count(old)
    if count >= 0:
        found = min(found, count)
    if len(text) + found * (len(new) - len(old)) > LARGEST_TEXT:
        raise _too_long()
    return text.replace(old, new, count)


def _indent(value: object, width: int | str = 4, first: bool = False) -> str:
    text = as_text(value)
    margin = width[:64] if isinstance(width, str) else " " * min(max(width, 0), 64)
    if len(text) + (text.count("\n") + 1) * len(margin) > LARGEST_TEXT:
        raise _too_long()
    indented = "\n".join(margin + line if line else line for line in text.split("\n"))
    return indented if first else indented[len(margin) :] if indented.startswith(margin) else indented


def _bounded(text: str) -> str:
    if len(text) > LARGEST_TEXT:
        raise _too_long()
    return text


def _bounded_list(items: list[object]) -> list[object]:
    if len(items) > _MOST_ITEMS:
        raise TemplateError(f"A list in the template has more than {_MOST_ITEMS:,} items.")
    return items


def _plain(value: object) -> object:
    """An item of a list that a template writes: lists of lists could grow without end."""
    if isinstance(value, jinja2.Undefined):
        str(value)
    if value is not None and not isinstance(value, str | int | float):
        raise TemplateError(f"A list that a template writes may hold texts and numbers, not {_kind(value)}.")
    return value


def _too_long() -> TemplateError:
    return TemplateError(f"The rendered text is longer than {LARGEST_TEXT:,} characters.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    return "a number" if _is_number(value) else "a list"


def _missing(obj: Any, key: object) -> str:
    if isinstance(obj, dict):
        there = ", ".join(f"`{name}`" for name in list(obj)[:10]) or "nothing"
        return f"there is no `{str(key)[:60]}` in an object that has {there}"
    if isinstance(obj, list | tuple):
        return f"there is no item {str(key)[:60]} in a list of {len(obj)}"
    return f"there is no `{str(key)[:60]}` in {_kind(obj)}"
