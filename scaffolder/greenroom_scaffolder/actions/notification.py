"""notification:send: tell people that something is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from greenroom.errors import GreenroomError, InputError, describe
from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.interface import Interfaces

_INTERFACES = Interfaces("notification")


class Notifications(Protocol):
    """What delivers notifications."""

    async def send(self, recipients: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        """`recipients`: `{"type": "broadcast"}` or `{"type": "entity", "entityRef": [refs]}`; `payload`: `{"title",
        "description"?, "link"?, "severity"?, "topic"?, "scope"?}`. Raises errors of this project."""
        ...


class Notice(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who is told what."""

    recipients: str
    title: str
    entity_refs: Sequence[str] | None = None
    info: str | None = None
    link: str | None = None
    severity: str | None = None
    scope: str | None = None
    topic: str | None = None
    optional: bool = False


class NotSentError(GreenroomError):
    """Failed to send notifications: there is no notification service here"""


class NobodyError(InputError):
    """Entity references must be provided"""

    name = "Error"


def notification_actions(notifications: Notifications | None) -> list[Action[Any]]:
    """The action of this family. Without a service no notification is delivered, which is an error unless it is optional."""

    @_INTERFACES.action("notification:send")
    async def send(ctx: ActionContext[Notice]) -> None:
        """Send a notification to everybody, or to the entities (users and groups) that are named."""
        wanted = ctx.input
        ctx.log.info(f"Sending notification to {wanted.recipients}")
        if wanted.recipients == "entity" and wanted.entity_refs is None:
            if wanted.optional:
                return
            raise NobodyError
        try:
            await ctx.checkpoint(f"send.notification.{wanted.title}", lambda: _sent(notifications, wanted))
        except GreenroomError as error:
            ctx.log.error(f"Failed to send notification: {describe(error)}")
            if not wanted.optional:
                raise

    return [send]


async def _sent(notifications: Notifications | None, wanted: Notice) -> bool:
    if notifications is None:
        raise NotSentError
    whom = (
        {"type": "broadcast"}
        if wanted.recipients == "broadcast"
        else {"type": "entity", "entityRef": wanted.entity_refs}
    )
    told = {
        "title": wanted.title,
        "description": wanted.info,
        "link": wanted.link,
        "severity": wanted.severity,
        "topic": wanted.topic,
        "scope": wanted.scope,
    }
    await notifications.send(whom, {key: value for key, value in told.items() if value is not None})
    return True
