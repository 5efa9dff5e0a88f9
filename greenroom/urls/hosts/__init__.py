"""Readers of Git hosts: a module for each family, and what they share."""

from collections.abc import Iterator

from msgspec.structs import replace

from greenroom.plugin import UrlReader
from greenroom.settings import IntegrationsConfig
from greenroom.urls.hosts.azure import AzureReader
from greenroom.urls.hosts.bitbucket import BitbucketCloudReader, BitbucketServerReader
from greenroom.urls.hosts.gerrit import GerritReader
from greenroom.urls.hosts.gitea import GiteaReader
from greenroom.urls.hosts.github import GithubReader
from greenroom.urls.hosts.gitlab import GitlabReader
from greenroom.urls.hosts.harness import HarnessReader
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Outgoing

__all__ = [
    "AzureReader",
    "BitbucketCloudReader",
    "BitbucketServerReader",
    "GerritReader",
    "GiteaReader",
    "GithubReader",
    "GitlabReader",
    "HarnessReader",
    "host_readers",
]


def host_readers(config: IntegrationsConfig, integrations: Integrations, outgoing: Outgoing) -> Iterator[UrlReader]:
    """A reader for each entry of the config, in the order in which they are asked."""
    yield from (AzureReader(outgoing, integrations, one) for one in config.azure)
    yield from (BitbucketCloudReader(outgoing, integrations, one) for one in config.bitbucket_cloud)
    yield from (BitbucketServerReader(outgoing, integrations, one) for one in config.bitbucket_server)
    yield from (GerritReader(outgoing, integrations, one) for one in config.gerrit)
    credentials = {one.host: one for one in config.github}  # of entries for the same host, the last one's, as upstream
    for one in config.github:
        last = credentials[one.host]
        yield GithubReader(outgoing, integrations, replace(one, token=last.token, apps=last.apps))
    yield from (GiteaReader(outgoing, integrations, one) for one in config.gitea)
    yield from (GitlabReader(outgoing, integrations, one) for one in config.gitlab)
    yield from (HarnessReader(outgoing, integrations, one) for one in config.harness)
