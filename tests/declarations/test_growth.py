"""Four times the text is four times the work: of reading, checking and laying out. Work is counted, not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text
from namel3ss.language import parse
from namel3ss.language.formatting import format_text
from tests.language.counted_work import counted_calls, growing_texts

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALL, _LARGE = 15, 60
_TEXTS = growing_texts()


@pytest.mark.security(40)
@pytest.mark.parametrize("work", [parse, check_text, format_text], ids=lambda work: work.__name__)
@pytest.mark.parametrize("name", _TEXTS)
def test_work_grows_with_the_text(name: str, work: Callable[[str], object]):
    make = _TEXTS[name]
    work(make(2))  # what is done once in a process is done here

    small, large = counted_calls(work, make(_SMALL)), counted_calls(work, make(_LARGE))

    assert large <= 1.1 * (_LARGE / _SMALL) * small
