"""The config section `integrations` -> the hosts it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from greenroom.settings import IntegrationsConfig, load
from greenroom.urls.integrations import HostType, Integration, Integrations
from greenroom.urls.whatwg import parse


def read_section(section: Mapping[str, Any]) -> IntegrationsConfig:
    """Raises ConfigError."""
    return load([], {}, {"integrations": section}).section("integrations", IntegrationsConfig)


def known_hosts(config: IntegrationsConfig) -> Integrations:
    """All hosts whose URLs are understood, in the order in which they are looked up."""
    return Integrations(tuple(_hosts(config)))


def _hosts(config: IntegrationsConfig) -> Iterator[Integration]:
    yield from _buckets("awsS3", "amazonaws.com", [one.endpoint for one in config.aws_s3])
    for repository in config.aws_code_commit:
        yield Integration("awsCodeCommit", repository.host, f"https://{repository.host}")
    yield from _buckets(
        "azureBlobStorage", "blob.core.windows.net", [one.endpoint for one in config.azure_blob_storage]
    )
    yield from (Integration("azure", one.host, f"https://{one.host}") for one in config.azure)
    yield from (Integration("bitbucketCloud", one.host, f"https://{one.host}") for one in config.bitbucket_cloud[:1])
    yield from (Integration("bitbucketServer", one.host, f"https://{one.host}") for one in config.bitbucket_server)
    for gerrit in config.gerrit:
        editor = not gerrit.disable_edit_url
        yield Integration("gerrit", gerrit.host, gerrit.base_url, gerrit.gitiles_base_url, editor)
    yield from (Integration("github", one.host, f"https://{one.host}") for one in config.github)
    yield from (Integration("gitlab", one.host, one.base_url) for one in config.gitlab)
    yield from (Integration("gitea", one.host, one.base_url) for one in config.gitea)
    yield Integration("googleGcs", "storage.cloud.google.com", "https://storage.cloud.google.com")
    yield from (Integration("harness", one.host, f"https://{one.host}") for one in config.harness)


def _buckets(kind: HostType, public: str, endpoints: list[str | None]) -> Iterator[Integration]:
    hosts = [parse(endpoint).host if endpoint else public for endpoint in endpoints]
    for host in [*hosts, *([] if public in hosts else [public])]:
        yield Integration(kind, host, f"https://{host}")
