"""The services of a process -> the actions that are always there."""

from __future__ import annotations

from typing import Any

from greenroom.auth import Auth
from greenroom.permissions import Permissions
from greenroom.plugin import Action, CatalogLocations, CatalogReader
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.catalog import CatalogAsInitiator, catalog_actions
from greenroom_scaffolder.actions.cookiecutter import cookiecutter_actions
from greenroom_scaffolder.actions.debug import debug_actions
from greenroom_scaffolder.actions.fetch import plain_actions, template_actions
from greenroom_scaffolder.actions.filesystem import filesystem_actions
from greenroom_scaffolder.actions.notification import Notifications, notification_actions
from greenroom_scaffolder.actions.rendering import Templates
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.actions.workspace_template import workspace_template_actions
from greenroom_scaffolder.workspace.quota import Quota


def builtin_actions(
    urls: Urls,
    templates: Templates,
    quota: Quota,
    *,
    catalog: CatalogReader | None = None,
    permissions: Permissions | None = None,
    auth: Auth | None = None,
    locations: CatalogLocations | None = None,
    notifications: Notifications | None = None,
    only_with_user_token: bool = False,
) -> list[Action[Any]]:
    """All of them. What needs a service that is not there says so when it is run: templates can be tried out without any.

    With a `catalog` there have to be `permissions` and `auth`: entities are read as whoever started the task."""
    sources = Sources(urls, quota, only_with_user_token=only_with_user_token)
    return [
        *debug_actions(),
        *plain_actions(sources),
        *template_actions(sources, templates, quota),
        *cookiecutter_actions(sources, quota),
        *filesystem_actions(quota),
        *workspace_template_actions(templates, quota),
        *catalog_actions(CatalogAsInitiator(catalog, permissions, auth), locations, urls, quota),
        *notification_actions(notifications),
    ]
