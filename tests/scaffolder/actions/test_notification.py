"""notification:send: delivered once there is a service; an error until then, unless it is optional."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import GreenroomError, ServiceUnavailableError
from greenroom_scaffolder.actions.notification import notification_actions
from tests.scaffolder.actions.fakes import run


class Post:
    def __init__(self) -> None:
        self.sent: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self.closed = False

    async def send(self, recipients: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        if self.closed:
            raise ServiceUnavailableError("closed")
        self.sent.append((recipients, payload))


async def test_a_notification_is_sent_once_even_if_the_step_is_run_again(tmp_path: Path) -> None:
    post = Post()
    [send] = notification_actions(post)
    given = {"recipients": "entity", "entityRefs": ["user:jo"], "title": "There", "info": "it is", "severity": "low"}
    ctx, _ = await run(send, given, tmp_path)
    await send.run(ctx)
    whom = {"type": "entity", "entityRef": ["user:jo"]}
    assert post.sent == [(whom, {"title": "There", "description": "it is", "severity": "low"})]
    assert ctx.log.lines[0] == ("info", "Sending notification to entity")
    await run(send, {"recipients": "broadcast", "title": "All"}, tmp_path)
    assert post.sent[1] == ({"type": "broadcast"}, {"title": "All"})


async def test_a_notification_to_nobody_is_an_error_unless_it_is_optional(tmp_path: Path) -> None:
    [send] = notification_actions(Post())
    with pytest.raises(GreenroomError, match="Entity references must be provided"):
        await run(send, {"recipients": "entity", "title": "x"}, tmp_path)
    await run(send, {"recipients": "entity", "title": "x", "optional": True}, tmp_path)


@pytest.mark.parametrize("closed", [True, False])
async def test_what_cannot_be_delivered_fails_the_step_unless_it_is_optional(tmp_path: Path, closed: bool) -> None:
    post = Post()
    post.closed = True
    [send] = notification_actions(post if closed else None)
    with pytest.raises(GreenroomError, match="closed" if closed else "there is no notification service here"):
        await run(send, {"recipients": "broadcast", "title": "x"}, tmp_path)
    ctx, _ = await run(send, {"recipients": "broadcast", "title": "x", "optional": True}, tmp_path)
    assert ctx.log.lines[-1][0] == "error"
    assert ctx.log.lines[-1][1].startswith("Failed to send notification: ")
