"""docs/observability.md tells of everything that is emitted, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.observability import gen_ai, ollama_metrics
from namel3ss.observability.capture import CAPTURE_ENV, ContentCapture
from namel3ss.observability.error_types import ERROR_TYPES
from namel3ss.observability.gateway_spans import GATEWAY_INSTRUMENTS
from namel3ss.observability.logs import CONTENT_ENV, LOGGERS
from namel3ss.observability.profiles import PROFILE_ENV
from namel3ss.observability.sharing_metrics import SHARING_INSTRUMENTS
from namel3ss.observability.telemetry import PROPAGATE_ENV
from tests.observability.receivers import MemorySdk
from tests.observability.test_profiles import do_everything

if TYPE_CHECKING:
    from namel3ss.observability.instruments import InstrumentSpec

PAGE = (Path(__file__).parent.parent.parent / "docs" / "observability.md").read_text(encoding="utf-8")
INSTRUMENTS = {
    spec.name: spec
    for spec in (
        *gen_ai.CLASSIC_INSTRUMENTS,
        *gen_ai.GENAI_2026_10_INSTRUMENTS,
        *ollama_metrics.LISTENER_INSTRUMENTS.values(),
        *ollama_metrics.PRODUCT_INSTRUMENTS,
        *SHARING_INSTRUMENTS.values(),
        *GATEWAY_INSTRUMENTS.values(),
    )
}


@pytest.mark.parametrize("spec", INSTRUMENTS.values(), ids=list(INSTRUMENTS))
def test_every_instrument_is_documented_with_its_type_unit_and_attributes(spec: InstrumentSpec) -> None:
    assert f"| `{spec.name}` | {spec.kind} | `{spec.unit}` | {spec.description} |" in PAGE
    for attribute in spec.attributes:
        assert f"`{attribute}`" in PAGE


def test_the_tables_name_no_instrument_that_does_not_exist() -> None:
    documented = re.findall(r"^\| `([a-z0-9_.]+)` \| (?:histogram|counter|gauge) \|", PAGE, re.MULTILINE)

    assert set(documented) == set(INSTRUMENTS)


def test_every_attribute_of_every_span_is_documented() -> None:
    sdk = MemorySdk("both")
    do_everything(sdk.telemetry)
    keys = {key for span in sdk.spans() for key in span.attributes or {}}
    sdk.close()

    assert {key for key in keys if f"`{key}`" not in PAGE} == set()


def test_every_error_type_logger_and_switch_is_documented() -> None:
    rows = [f"| `{word}` | {meaning} |" for word, meaning in {**ERROR_TYPES, **LOGGERS}.items()]
    words = [
        f"`{name}`" for name in (CAPTURE_ENV, PROFILE_ENV, PROPAGATE_ENV, *(c.value for c in ContentCapture))
    ]

    assert [text for text in (*rows, *words, f"`{CONTENT_ENV}=1`") if text not in PAGE] == []
