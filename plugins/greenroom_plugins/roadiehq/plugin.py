"""The plugin roadiehq: the actions `roadiehq:utils:*`."""

from __future__ import annotations

from collections.abc import Iterable

from greenroom.plugin import Contribution, Host, NoConfig, plugin
from greenroom_plugins.roadiehq.expressions import expression_actions
from greenroom_plugins.roadiehq.files import file_actions
from greenroom_plugins.roadiehq.merging import merging_actions


@plugin("roadiehq")
def roadiehq(_config: NoConfig, _host: Host) -> Iterable[Contribution]:
    """The actions `roadiehq:utils:*`."""
    yield from file_actions()
    yield from merging_actions()
    yield from expression_actions()
