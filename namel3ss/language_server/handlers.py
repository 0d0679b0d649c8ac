"""What the server answers: each handler only unpacks a request, calls a feature and packs the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.uris import to_fs_path

from namel3ss.language_server.features import actions, coloring, formatting, hints, navigation, outline
from namel3ss.language_server.features.completion import complete
from namel3ss.language_server.features.hover import hover
from namel3ss.language_server.features.navigation import RenameError
from namel3ss.language_server.features.signature import signature_help
from namel3ss.language_server.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from namel3ss.language_server.programs import Place
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["make_server"]

_TRIGGERS: Final = [":", " ", ".", '"', "/", "{", "|"]


def make_server(environ: Mapping[str, str], registry: ProviderRegistry) -> Server:
    """A server with all its handlers, not yet started."""
    server = Server(environ, registry)
    _add_lifecycle(server)
    _add_findings(server)
    _add_writing(server)
    _add_reading(server)
    _add_navigation(server)
    _add_commands(server)
    return server


def _add_lifecycle(server: Server) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.begin(params)

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:  # on the loop, which the index needs
        server.session.start_indexing()
        _watch_files(server)

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        server.was_shut_down = True
        await server.session.close()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        paths = [to_fs_path(change.uri) for change in params.changes]
        server.session.files_changed([path for path in paths if path is not None])

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders_changed(_: types.DidChangeWorkspaceFoldersParams) -> None:
        folders = [to_fs_path(uri) for uri in server.workspace.folders]
        server.session.workspace.folders = [os.path.realpath(path) for path in folders if path is not None]
        server.session.start_indexing()

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configuration_changed(_: types.DidChangeConfigurationParams) -> None:
        """Settings come with `initialize` only: what arrives here may be a workspace's own."""

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(_: types.DidSaveTextDocumentParams) -> None:
        server.session.look_at_all()


def _watch_files(server: Server) -> None:
    """Ask the editor to tell of files that change on the disk, where it can."""
    workspace = server.client_capabilities.workspace
    watched = workspace.did_change_watched_files if workspace is not None else None
    if watched is None or not watched.dynamic_registration:
        return
    options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*.ai")])
    registration = types.Registration("watched-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
    server.ask(server.client_register_capability_async(types.RegistrationParams([registration])))


def _add_findings(server: Server) -> None:
    @server.feature(
        types.TEXT_DOCUMENT_DIAGNOSTIC,
        types.DiagnosticOptions(
            inter_file_dependencies=True, workspace_diagnostics=False, identifier="namel3ss"
        ),
    )
    def diagnostic(params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
        return server.session.pulled(params.text_document.uri, params.previous_result_id)

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll]),
    )
    def code_action(params: types.CodeActionParams) -> list[types.CodeAction]:
        return actions.code_actions(
            server.session.workspace,
            server.document(params.text_document.uri),
            params.range,
            ask=server.session.ask or _knows_nothing,
            trust=server.session.trust,
            only=params.context.only,
        )

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions())
    def code_lens(params: types.CodeLensParams) -> list[types.CodeLens]:
        document = server.document(params.text_document.uri)
        return actions.code_lenses(server.session.workspace, document, server.session.ask or _knows_nothing)


def _knows_nothing(_: object) -> None:
    return None


def _add_writing(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))
    def completion(params: types.CompletionParams) -> types.CompletionList:
        document = server.document(params.text_document.uri)
        facts = server.session.facts_at(document, params.position)
        found = complete(
            server.session.workspace, document, params.position, facts, snippets=server.has_snippets
        )
        text = server.client_capabilities.text_document
        item_abilities = text.completion.completion_item if text and text.completion else None
        kinds = item_abilities.documentation_format if item_abilities else None
        for item in found.items:
            if isinstance(item.documentation, types.MarkupContent):
                item.documentation = server.in_words_of_the_editor(item.documentation, kinds)
        return found

    @server.feature(
        types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(trigger_characters=["(", ",", "{"])
    )
    def signature(params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        document = server.document(params.text_document.uri)
        return signature_help(server.session.workspace, document, params.position)

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def format_all(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        return formatting.format_document(server.document(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_RANGE_FORMATTING)
    def format_range(params: types.DocumentRangeFormattingParams) -> list[types.TextEdit]:
        return formatting.format_range(server.document(params.text_document.uri), params.range)

    @server.feature(
        types.TEXT_DOCUMENT_ON_TYPE_FORMATTING,
        types.DocumentOnTypeFormattingOptions(first_trigger_character="}"),
    )
    def format_on_type(params: types.DocumentOnTypeFormattingParams) -> list[types.TextEdit]:
        return formatting.format_on_type(server.document(params.text_document.uri), params.position)


def _add_reading(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def show_hover(params: types.HoverParams) -> types.Hover | None:
        document = server.document(params.text_document.uri)
        facts = server.session.facts_at(document, params.position)
        found = hover(server.session.workspace, document, params.position, facts)
        if found is not None and isinstance(found.contents, types.MarkupContent):
            text = server.client_capabilities.text_document
            kinds = text.hover.content_format if text and text.hover else None
            found.contents = server.in_words_of_the_editor(found.contents, kinds)
        return found

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        return outline.document_symbols(server.document(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
    def folds(params: types.FoldingRangeParams) -> list[types.FoldingRange]:
        return outline.folding_ranges(server.document(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_SELECTION_RANGE)
    def selections(params: types.SelectionRangeParams) -> list[types.SelectionRange]:
        return outline.selection_ranges(server.document(params.text_document.uri), list(params.positions))

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_LINK, types.DocumentLinkOptions())
    def links(params: types.DocumentLinkParams) -> list[types.DocumentLink]:
        return outline.document_links(server.session.workspace, server.document(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    def inlay_hints(params: types.InlayHintParams) -> list[types.InlayHint]:
        document = server.document(params.text_document.uri)
        return hints.inlay_hints(server.session.workspace, document, params.range, server.session.ask)

    @server.feature(
        types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
        types.SemanticTokensRegistrationOptions(
            coloring.LEGEND, full=types.SemanticTokensFullDelta(delta=True), range=True
        ),
    )
    def tokens(params: types.SemanticTokensParams) -> types.SemanticTokens:
        uri = params.text_document.uri
        data = coloring.semantic_tokens(server.document(uri))
        return types.SemanticTokens(data, server.note_tokens(uri, data))

    @server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, coloring.LEGEND)
    def tokens_of_range(params: types.SemanticTokensRangeParams) -> types.SemanticTokens:
        document = server.document(params.text_document.uri)
        return types.SemanticTokens(coloring.semantic_tokens(document, document.lines.span(params.range)))

    @server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA)
    def changed_tokens(
        params: types.SemanticTokensDeltaParams,
    ) -> types.SemanticTokens | types.SemanticTokensDelta:
        uri = params.text_document.uri
        data = coloring.semantic_tokens(server.document(uri))
        known = server.tokens.get(uri)
        name = server.note_tokens(uri, data)
        if known is None or known[0] != params.previous_result_id:
            return types.SemanticTokens(data, name)
        return types.SemanticTokensDelta(coloring.delta(known[1], data), name)


def _add_navigation(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> list[types.Location]:
        document = server.document(params.text_document.uri)
        return _locations(navigation.find_definition(server.session.workspace, document, params.position))

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(params: types.ReferenceParams) -> list[types.Location]:
        found = navigation.find_references(
            server.session.workspace,
            server.document(params.text_document.uri),
            params.position,
            with_declaration=params.context.include_declaration,
        )
        return _locations(found)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlights(params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        document = server.document(params.text_document.uri)
        return navigation.highlight(server.session.workspace, document, params.position)

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        return navigation.prepare_rename(server.document(params.text_document.uri), params.position)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
        document = server.document(params.text_document.uri)
        try:
            return navigation.rename(server.session.workspace, document, params.position, params.new_name)
        except RenameError as error:
            raise JsonRpcException(str(error), types.LSPErrorCodes.RequestFailed) from error

    @server.feature(types.WORKSPACE_SYMBOL)
    def workspace_symbols(params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
        return navigation.workspace_symbols(server.session.workspace, params.query)


def _locations(places: list[Place]) -> list[types.Location]:
    return [place.document.location(place.span) for place in places]


def _add_commands(server: Server) -> None:
    for command in actions.COMMANDS:
        server.command(command)(_executing(server, command))


def _executing(server: Server, command: str) -> Callable[..., Coroutine[Any, Any, dict[str, Any]]]:
    # pygls would insist on every argument, those with a default included; the command itself knows better.
    async def execute(*arguments: Any) -> dict[str, Any]:
        return await server.commands.execute(command, arguments)

    return execute
