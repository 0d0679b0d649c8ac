"""The server as the capabilities of real editors want it; pytest-lsp holds every message against the specification."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator  # noqa: TC003  # pytest-lsp looks at the annotations

import pytest  # noqa: TC002  # same
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

URI = "file:///work/nowhere/app.ai"
TEXT = "ai model chat {\n    provider: ollama\n    model: tiny\n    config: { temprature: 0.5, num_ctx: 4096 }\n}\n"


@pytest_lsp.fixture(
    config=ClientServerConfig(
        server_command=[sys.executable, "-m", "namel3ss", "lsp"], server_env=dict(os.environ)
    ),
    params=["visual_studio_code", "neovim", "emacs"],
)
async def client(request: pytest.FixtureRequest, lsp_client: LanguageClient) -> AsyncIterator[None]:
    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(_: types.RegistrationParams) -> None:
        """What changes on the disk is not this test's business."""

    await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            initialization_options={"onlineChecks": False},
            root_uri=None,
        )
    )
    yield
    await lsp_client.shutdown_session()


async def test_every_answer_is_one_of_the_specification(client: LanguageClient) -> None:
    document = types.TextDocumentIdentifier(URI)
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "namel3ss", 1, TEXT))
    )
    await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    (finding,) = client.diagnostics[URI]
    assert finding.code == "N3201"

    place = types.Position(3, 34)
    whole = types.Range(types.Position(0, 0), types.Position(5, 0))
    assert await client.text_document_hover_async(types.HoverParams(document, place))
    assert await client.text_document_completion_async(
        types.CompletionParams(document, types.Position(3, 14))
    )
    assert await client.text_document_document_symbol_async(types.DocumentSymbolParams(document))
    assert await client.text_document_folding_range_async(types.FoldingRangeParams(document))
    assert await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(document))
    assert await client.text_document_code_action_async(
        types.CodeActionParams(document, whole, types.CodeActionContext([finding]))
    )
    await client.text_document_code_lens_async(types.CodeLensParams(document))
    await client.text_document_inlay_hint_async(types.InlayHintParams(document, whole))
