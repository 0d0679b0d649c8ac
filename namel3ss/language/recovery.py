"""What happens where the grammar cannot go on: say what is wrong, mend the parser's stacks, and go on.

Insertion comes before deletion. If a colon, a comma, a brace or a value is missing, parsing goes on as if it stood there,
and that insertion is the fix on offer. Where nothing can be inserted, the words up to the next key, closer or line's end
are passed over. What is missing appears in the tree as an empty span or as None.

An unclosed brace shows only at the end of a declaration, far from where it was forgotten. Then the declaration is parsed
once more `by_indentation`: a line that begins with a key no deeper than the line of the innermost open brace, or with a
closer left of that line, closes the brace first.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from namel3ss.language.builder import MAX_NESTING
from namel3ss.language.diagnostics import Label
from namel3ss.language.findings import replacement
from namel3ss.language.recovery_entries import mend_entry, mend_first_item, mend_item, report_unclosed
from namel3ss.language.recovery_heads import mend_body, mend_import, mend_name
from namel3ss.language.recovery_site import CLOSER_OF, CLOSERS, KEYS, Site
from namel3ss.language.recovery_texts import mend_lines
from namel3ss.language.recovery_values import (
    is_unquoted_template,
    mend_default,
    mend_fallback,
    mend_map_value,
    mend_pair_value,
    mend_string,
    mend_template,
)
from namel3ss.language.source import Span
from namel3ss.language.tree import Key

if TYPE_CHECKING:
    from namel3ss.language.machine import Machine, Token

__all__ = ["Recovery"]

_LINE_TAIL = 200  # characters at the end of a line in which closers are looked for
_MAX_REPAIRS = 100  # mistakes on one line are reported once; this bounds the work they cause


class Recovery:
    """Mends one run of the machine."""

    def __init__(self, machine: Machine, *, by_indentation: bool) -> None:
        self.by_indentation = by_indentation
        self.unclosed = False
        self._machine = machine
        self._site = Site(machine)
        self._repairs = 0
        self._indentations: dict[int, int] = {}

    def repair(self) -> None:
        """Change the stacks or the position so that the machine can go on behind the last token."""
        machine, site = self._machine, self._site
        self._repairs += 1
        if self._repairs > _MAX_REPAIRS or machine.findings.is_full:
            self.give_up()
            return
        machine.settle()
        token = site.any_token()
        if token is not None:
            self._mend(token)
            return
        start = site.skip_blanks(site.at)
        if start >= machine.limit:
            self._end(start)
        elif site.text[start] in "\"'":
            self._close_string(start)
        else:
            self._drop_character(start)

    def _mend(self, token: Token) -> None:  # noqa: C901  # one table of places
        machine, site = self._machine, self._site
        expects, last = machine.expects, site.last_node
        if expects("entry"):
            if is_unquoted_template(site, token):
                mend_template(site)
            else:
                mend_entry(site, token)
        elif expects("value") and isinstance(last, Key):
            mend_pair_value(site, last, token)
        elif expects("value"):
            mend_first_item(site, token)
        elif expects("fallback"):
            mend_fallback(site, token)
        elif expects("literal"):
            mend_default(site)
        elif expects("map") and isinstance(last, Key):
            mend_map_value(site, last, token)
        elif expects("map"):
            mend_body(site, token)
        elif expects("name"):
            mend_name(site, token)
        elif expects("body"):
            mend_body(site, token)
        elif machine.states[-1] == machine.import_state:
            mend_import(site, token)
        elif machine.accepts("STRING"):
            mend_string(site, token)
        elif machine.accepts("RBRACKET"):
            mend_item(site, token)
        else:
            site.report("N3001", Span(token[1], token[2]), "this cannot stand here")
            site.go_on_at(token[2])

    # --- text that is no token -----------------------------------------------------------------------------------

    def _close_string(self, start: int) -> None:
        machine, site = self._machine, self._site
        if mend_lines(site, start):
            return
        end = self._end_of_open_string(start)
        quote = site.text[start]
        site.report(
            "N3004",
            Span(start, end),
            "this string is never closed",
            label=f"a closing {quote} is missing on this line",
            help=f"insert {quote} where the text ends; text of several lines is written as block text (`key: |`)",
            fixes=(replacement(f"insert {quote}", end, end, quote, safe=False),),
        )
        if machine.accepts("STRING"):
            machine.feed_node("STRING", machine.string_of(start + 1, end, Span(start, end)))
        elif machine.expects("map"):
            machine.supply("map", None)
        site.go_on_at(end)

    def _end_of_open_string(self, start: int) -> int:
        """The line's end, without the closers that a list, or blocks opened on this line, are waiting for."""
        site = self._site
        waiting = ""
        for opener in reversed(site.openers()):
            closer = CLOSER_OF[site.opener_text(opener)]
            if closer != "]" and "\n" in site.text[opener.start : start]:
                break
            waiting += closer
        end = site.line_end(start)
        tail_start = max(start + 1, end - _LINE_TAIL)
        tail = site.text[tail_start:end]
        for count in range(len(waiting), 0, -1):
            closers = re.search(r"[ \t,]*".join(["", *map(re.escape, waiting[:count]), ""]) + r"\Z", tail)
            if closers is not None:
                return tail_start + closers.start()
        return end

    def _drop_character(self, start: int) -> None:
        character = self._site.text[start]
        name = unicodedata.name(character, "")
        described = f"U+{ord(character):04X}" + (f" ({name.lower()})" if name else "")
        self._site.report(
            "N3018",
            Span(start, start + 1),
            f"the character {described} cannot stand here",
            help="it may look like a blank; replace it by one",
            fixes=(replacement("replace it by a blank", start, start + 1, " "),),
        )
        self._site.go_on_at(start + 1)

    # --- the end of the declaration ------------------------------------------------------------------------------

    def _end(self, end: int) -> None:
        machine, site = self._machine, self._site
        openers = site.openers()
        if openers:
            self.unclosed = True
            next_declaration = Span(end, end + 1) if end < len(site.text) else None
            report_unclosed(site, openers, next_declaration)
        elif machine.states[-1] == machine.import_state:
            mend_import(site, None)
        elif machine.expects("name"):
            mend_name(site, None)
        elif machine.expects("body"):
            mend_body(site, None)
        self._close_everything()
        site.go_on_at(end)

    def _close_everything(self) -> None:
        """Supply what is missing until the declaration is complete."""
        machine = self._machine
        at = machine.at
        while machine.states[-1] != machine.table.accepting:
            machine.settle()
            for closer in ("RBRACE", "GREATER", "RBRACKET", "OPTIONAL"):
                if machine.accepts(closer):
                    machine.feed(closer, at, at)
                    break
            else:
                self._supply_something()

    def _supply_something(self) -> None:
        machine = self._machine
        if machine.states[-1] == machine.table.accepting:
            return
        for symbol in ("value", "literal", "fallback", "name"):
            if machine.expects(symbol):
                machine.supply(symbol, None)
                return
        if machine.expects("map") and isinstance(self._site.last_node, Key):
            machine.supply("map", None)
        elif machine.accepts("LBRACE"):
            machine.feed("LBRACE", machine.at, machine.at)
        else:
            machine.feed_node("STRING", machine.string_of(machine.at, machine.at))

    def give_up(self) -> None:
        """Leave the rest of the declaration unread."""
        machine = self._machine
        end = machine.text.find("\n}", machine.at, machine.limit)
        self._close_everything()
        machine.at = machine.limit if end < 0 else end + 2

    def check_nesting(self) -> None:
        """Refuse a declaration whose innermost open block is nested too deeply."""
        openers = self._site.openers()
        if len(openers) <= MAX_NESTING:
            return
        self._site.report(
            "N3904",
            openers[-1],
            f"nested more than {MAX_NESTING} deep",
            labels=(Label(openers[0], "the outermost block"),),
            help="the rest of this declaration is not read",
        )
        self.give_up()

    # --- by indentation ------------------------------------------------------------------------------------------

    def before_token(self, kind: str, at: int, start: int) -> bool:
        """Close the innermost block first if the place of this token shows that it should be; True if so."""
        if "\n" not in self._site.text[at:start] or (kind not in KEYS and kind not in CLOSERS):
            return False
        self._machine.at = at
        innermost = self._machine.innermost()
        if innermost is None:
            return False
        own, outer = self._site.indentation(start), self._indentation_of(innermost)
        if own < outer if kind in CLOSERS else own <= outer and len(self._site.openers()) > 1:
            self.unclosed = True
            self._machine.settle()
            report_unclosed(self._site, [innermost], Span(start, start + 1))
            self._close_innermost()
            return True
        return False

    def _indentation_of(self, opener: Span) -> int:
        # Remembered: the line may be long, and it is asked for at every line of the block.
        if opener.start not in self._indentations:
            self._indentations[opener.start] = self._site.indentation(opener.start)
        return self._indentations[opener.start]

    def _close_innermost(self) -> None:
        machine = self._machine
        while True:
            machine.settle()
            for closer in ("RBRACE", "GREATER", "RBRACKET"):
                if machine.accepts(closer):
                    machine.feed(closer, machine.at, machine.at)
                    return
            self._supply_something()
