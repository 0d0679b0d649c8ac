"""Both OpenAPI documents: true to the routes, and held against a running gateway by what Schemathesis makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from namel3ss.gateway.administration.main_openapi import main_document
from namel3ss.gateway.errors import Reason
from namel3ss.gateway.routes import ROUTES, Action
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case, CheckContext, Response

    from tests.support.gateway import RunningGateway

# Schemathesis draws some of what it makes up from the random module, within a strategy.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

EXAMPLES = 6
# Every route is refused in one place, so that few tell as much as many.
EXAMPLES_WITHOUT_A_KEY = 2
# What cannot be tried with every right: it would have the gateway ask machines of made-up names.
LEFT_OUT = {("POST", "/api/servers")}


def test_the_document_has_every_route_and_nothing_else() -> None:
    document = main_document()

    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path.replace("...}", "}")) for route in ROUTES}


def test_the_document_says_which_routes_need_no_key() -> None:
    document = main_document()

    for route in ROUTES:
        operation = document["paths"][route.path.replace("...}", "}")][route.method.lower()]
        assert ("security" in operation) == (route.scope is None)
        assert operation.get("x-scope") == (None if route.scope is None else route.scope.value)


def test_every_body_that_the_gateway_reads_is_described() -> None:
    document = main_document()
    silent = {
        Action.LOGOUT, Action.UPDATE_MODELS,
    }  # fmt: skip

    for route in ROUTES:
        if route.method == "POST" and route.action not in silent:
            assert "requestBody" in document["paths"][route.path]["post"], route.path


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """In front of the sandbox, with limits that let a flood of small requests through."""
    with (
        SandboxServer(SandboxOptions()) as sandbox,
        running_gateway(tmp_path_factory.mktemp("gateway"), {"gpu1": sandbox.url}) as running,
    ):
        yield running


def no_failure_of_our_own(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """The gateway may refuse anything and pass on what its server refuses, but it never breaks."""
    reason = response.headers.get("x-namel3ss-error", [""])[0]
    assert reason == "" or reason in Reason.__members__
    assert reason != "internal", response.text


CHECKS = [
    no_failure_of_our_own,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def try_everything(
    document: dict[str, Any], url: str, headers: dict[str, str], examples: int = EXAMPLES
) -> dict[str, set[int]]:
    """Made-up requests to every operation; the statuses of each."""
    statuses: dict[str, set[int]] = {}
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if not headers or (operation.method.upper(), operation.path) not in LEFT_OUT:
            name = f"{operation.method.upper()} {operation.path}"
            statuses[name] = try_operation(operation.as_strategy(), url, headers, examples)
    return statuses


def try_operation(cases: SearchStrategy[Any], url: str, headers: dict[str, str], examples: int) -> set[int]:
    found = set()

    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def attempt(case: Case[Any]) -> None:
        answer = case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=30)
        found.add(answer.status_code)

    attempt()
    return found


@pytest.mark.long
@pytest.mark.security(1, 4)
@pytest.mark.parametrize("address", ["main", "administration"])
def test_whatever_is_asked_with_every_right_is_answered_as_described(
    gateway: RunningGateway, address: str
) -> None:
    document, url = _document(gateway, address)

    statuses = try_everything(document, url, {"authorization": f"Bearer {gateway.full_key()}"})

    done = [name for name, found in statuses.items() if any(status < 300 for status in found)]
    assert len(done) >= 8, done


@pytest.mark.long
@pytest.mark.security(1)
@pytest.mark.parametrize("address", ["main", "administration"])
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer n3k_wrong"}], ids=["no key", "a wrong key"]
)
def test_whatever_is_asked_without_a_key_is_refused(
    gateway: RunningGateway, address: str, headers: dict[str, str]
) -> None:
    document, url = _document(gateway, address)

    statuses = try_everything(document, url, headers, EXAMPLES_WITHOUT_A_KEY)

    for name, found in statuses.items():
        method, _, path = name.partition(" ")
        operation = document["paths"][path][method.lower()]
        if "security" not in operation and found:
            assert found == {401}, name


def _document(gateway: RunningGateway, address: str) -> tuple[dict[str, Any], str]:
    """The document as it is served, and where what it describes is."""
    if address == "main":
        document: dict[str, Any] = gateway.get("/openapi.json", key=gateway.first_key).json()
        return document, gateway.url
    answer = gateway.get(f"{gateway.admin_url}/openapi.json", key=gateway.first_key)
    document = answer.json()
    return document, gateway.admin_url
