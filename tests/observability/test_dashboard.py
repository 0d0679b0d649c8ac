"""The dashboard in docs asks for series that exist, under the names Prometheus gives them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from namel3ss.observability.telemetry import Telemetry, use_telemetry
from tests.observability.test_profiles import do_everything

DASHBOARD = Path(__file__).parent.parent.parent / "docs" / "grafana-dashboard.json"

_SELECTOR = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\{([^}]*)\}")
_GROUPING = re.compile(r"\bby \(([^)]*)\)")
_WORDS = {"sum", "max", "by", "or", "rate", "increase", "histogram_quantile", "label_values"}


def series() -> dict[str, set[str]]:
    """Every series a program of ours can have, under both profiles, with the labels it can carry."""
    registry = CollectorRegistry()
    provider = MeterProvider(
        [PrometheusMetricReader(scope_info_enabled=False, registry=registry)], shutdown_on_exit=False
    )
    telemetry = Telemetry(profile="both", meter_provider=provider, environ={})
    replaced = use_telemetry(telemetry)
    do_everything(telemetry)
    use_telemetry(replaced)
    found: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    provider.shutdown()
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def queries() -> list[str]:
    content = dashboard()
    asked = [target["expr"] for panel in content["panels"] for target in panel.get("targets", [])]
    return [
        *asked,
        *(variable["query"] for variable in content["templating"]["list"] if variable["type"] == "query"),
    ]


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    return series()


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_series_and_labels_that_exist(query: str, exported: dict[str, set[str]]) -> None:
    selected = _SELECTOR.findall(query)
    assert selected
    for name, selector in selected:
        assert name in exported, f"{name} is exported by nobody"
        asked = set(re.findall(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*[=!]~?", selector))
        assert asked <= exported[name], f"{name} has no {asked - exported[name]}"
    known = set.union(*(exported[name] for name, _ in selected))
    for group in _GROUPING.findall(query):
        assert {label.strip() for label in group.split(",")} <= known


@pytest.mark.parametrize("query", queries())
def test_every_query_is_closed_and_holds_no_name_without_a_selector(query: str) -> None:
    """So that the check above sees every metric of every query."""
    assert query.count("(") == query.count(")")
    bare = _GROUPING.sub("by ()", _SELECTOR.sub("", re.sub(r"\[[^\]]*\]", "", query)))
    bare = bare.replace(", model)", ")")  # the label that label_values lists

    assert set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare)) <= _WORDS


def test_panels_have_a_title_a_description_and_a_place_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    identities = []
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        identities.append(panel["id"])
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]
    assert len(identities) == len(set(identities))
