"""Prompts and answers, where the file says that they are stored. Whoever reads or deletes them is in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.administration.activity_shapes import (
    Deleted,
    TranscriptPage,
    TranscriptQuery,
    TranscriptView,
)
from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation

if TYPE_CHECKING:
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store import Transcript, Transcripts

__all__ = ["TranscriptOperations"]


class TranscriptOperations:
    """Reads and deletes them. What was stored before is shown also where nothing is stored any more."""

    def __init__(self, plan: GatewayPlan, transcripts: Transcripts) -> None:
        self._is_storing = plan.settings.store_prompts
        self._transcripts = transcripts

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/transcripts",
                do=self.show,
                takes=TranscriptQuery,
                answers=TranscriptPage,
                summary="Stored prompts and answers, newest first.",
            ),
            Operation(
                method="DELETE",
                path="/api/transcripts",
                do=self.delete_all,
                takes=Nothing,
                answers=Deleted,
                summary="Delete all stored prompts and answers.",
            ),
            Operation(
                method="DELETE",
                path="/api/users/{name}/transcripts",
                do=self.delete_of_user,
                takes=Nothing,
                answers=Deleted,
                summary="Delete one user's stored prompts and answers.",
            ),
        )

    async def show(self, call: Call[TranscriptQuery]) -> TranscriptPage:
        asked = call.taken
        found = await self._transcripts.read(
            actor=call.actor, user=asked.user, limit=asked.limit, before_id=asked.before
        )
        return TranscriptPage(is_storing=self._is_storing, transcripts=[_view(each) for each in found])

    async def delete_all(self, call: Call[Nothing]) -> Deleted:
        return Deleted(deleted=await self._transcripts.delete(actor=call.actor))

    async def delete_of_user(self, call: Call[Nothing]) -> Deleted:
        """Also of somebody who is no user any more, or never was one: whose name counts is in the rows."""
        return Deleted(deleted=await self._transcripts.delete(actor=call.actor, user=call.parameters["name"]))


def _view(transcript: Transcript) -> TranscriptView:
    return TranscriptView(
        id=transcript.id,
        at=transcript.at,
        expires_at=transcript.expires_at,
        request_id=transcript.request_id,
        user=transcript.user_name,
        key=transcript.key_id,
        class_name=transcript.class_name,
        model=transcript.model,
        route=transcript.route,
        status=transcript.status,
        prompt=transcript.prompt,
        answer=transcript.answer,
        is_cut=transcript.is_cut,
    )
