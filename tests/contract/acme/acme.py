"""Acme's teams as groups of the catalog: a whole plugin."""

from collections.abc import Iterable

import msgspec

from greenroom import Contribution, Deferred, EntitySource, Host, plugin
from greenroom.entity import LOCATION, ORIGIN_LOCATION

PLACE = dict.fromkeys((LOCATION, ORIGIN_LOCATION), "url:https://acme.example/teams")
GROUP = {"apiVersion": "backstage.io/v1alpha1", "kind": "Group", "spec": {"type": "team", "children": []}}


class Teams(msgspec.Struct):
    teams: list[str]
    name = "acme"
    every = None

    async def run(self, source: EntitySource) -> None:
        groups = [{**GROUP, "metadata": {"name": team, "annotations": PLACE}} for team in self.teams]
        await source.full(map(Deferred, groups))


@plugin("acme", Teams)
def acme(teams: Teams, host: Host) -> Iterable[Contribution]:
    """Tells the catalog of Acme's teams."""
    yield teams
