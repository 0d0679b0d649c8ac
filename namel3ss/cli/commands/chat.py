"""``namel3ss chat FILE``: a conversation, typed or piped in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.answering import answer_options
from namel3ss.cli.chat_input import ChatInput
from namel3ss.cli.chat_session import ChatSession
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.failures import report
from namel3ss.cli.line_reader import line_reader
from namel3ss.cli.opening import sandbox_option, where_to_run
from namel3ss.cli.reading import reading_options
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.cli.telemetry import exported_telemetry, otel_option
from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from namel3ss.cli.chat_input import Entry
    from namel3ss.cli.line_reader import LineReader


@click.command(cls=Command, short_help="Talk to a model of a .ai file.")
@click.argument("file", metavar="FILE", type=AI_FILE)
@answer_options
@otel_option
@reading_options
@sandbox_option
@pass_session
def command(
    session: Session,
    *,
    file: str,
    model: str | None,
    system: str | None,
    assignments: tuple[str, ...],
    stats: bool,
    hide_thinking: bool,
    otel: bool,
    sandbox: bool,
) -> None:
    """Talk to a model of a .ai file. /help lists what can be done meanwhile.

    When the model's window is full, the oldest turns are no longer sent. Lines may also be piped in.
    """
    with (
        exported_telemetry(session, asked=otel),
        where_to_run(session, file, sandbox=sandbox) as url,
        EventLoop() as loop,
    ):
        chat = ChatSession(
            session,
            loop,
            file,
            url,
            model=model,
            system=system,
            assignments=assignments,
            with_thinking=not hide_thinking,
            with_statistics=stats,
        )
        try:
            with line_reader(session.output, session.stdin) as reader:
                _talk(session, chat, reader)
        finally:
            chat.close()


def _talk(session: Session, chat: ChatSession, reader: LineReader) -> None:
    typed = ChatInput()
    if reader.is_interactive:
        session.output.note(f"Talking to {chat.model_name}. /help lists the commands, Ctrl-D leaves.")
    while not chat.has_ended:
        try:
            entry = typed.feed(reader.read(goes_on=typed.is_open))
        except EOFError:
            entry = typed.end()
            chat.has_ended = True
            if reader.is_interactive:
                session.output.aside("\n")
        except KeyboardInterrupt:
            if not reader.is_interactive:
                raise
            typed.discard()
            session.output.aside("\nCtrl-D or /exit leaves.\n")
            continue
        if entry is not None:
            _handle(session, chat, entry, reader)


def _handle(session: Session, chat: ChatSession, entry: Entry, reader: LineReader) -> None:
    """At a terminal, Ctrl-C and errors end only what was being done; in a pipe they end the chat."""
    try:
        chat.handle(entry)
    except KeyboardInterrupt:
        if not reader.is_interactive:
            raise
        session.output.note("(stopped)")
    except N3Error as error:
        if not reader.is_interactive:
            raise
        report(error, session)
