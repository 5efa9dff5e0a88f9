"""What an operator writes about Git hosts is understood as upstream does, refused where it is wrong, and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import SECRET, AppConfig, IntegrationsConfig, load


def config(section: dict[str, Any]) -> AppConfig:
    return load([], {}, {"integrations": section})


def read(section: dict[str, Any]) -> IntegrationsConfig:
    return config(section).section("integrations", IntegrationsConfig)


def test_public_hosts_need_no_entry() -> None:
    hosts = read({})
    assert (hosts.github[0].host, hosts.github[0].api_base_url) == ("github.com", "https://api.github.com")
    assert (hosts.gitlab[0].host, hosts.gitlab[0].api_base_url) == ("gitlab.com", "https://gitlab.com/api/v4")
    assert [one.host for one in hosts.bitbucket_cloud] == ["bitbucket.org"]
    assert [one.host for one in hosts.azure] == ["dev.azure.com"]
    assert hosts.github[0].raw_base_url == "https://raw.githubusercontent.com"
    assert (hosts.gitea, hosts.gerrit, hosts.bitbucket_server) == ([], [], [])


def test_an_entry_for_a_public_host_takes_its_place() -> None:
    hosts = read({"github": [{"host": "github.com", "token": " padded\n"}, {"host": "ghe.example.com"}]}).github
    assert [(one.host, one.token) for one in hosts] == [("github.com", "padded"), ("ghe.example.com", None)]


def test_addresses_follow_from_the_host() -> None:
    hosts = read(
        {
            "github": [{"host": "ghe.example.com"}],
            "gitlab": [{"host": "lab.example.com", "baseUrl": "https://lab.example.com/below/"}],
            "bitbucketServer": [{"host": "bb.example.com:7990"}],
            "gitea": [{"host": "tea.example.com"}],
            "gerrit": [{"host": "g.example.com", "gitilesBaseUrl": "https://g.example.com/gitiles/"}],
        }
    )
    assert hosts.github[0].api_base_url == "https://ghe.example.com/api/v3"
    assert hosts.github[0].raw_base_url == ""
    assert hosts.gitlab[0].api_base_url == "https://lab.example.com/below/api/v4"
    assert hosts.bitbucket_server[0].api_base_url == "https://bb.example.com:7990/rest/api/1.0"
    assert hosts.gitea[0].base_url == "https://tea.example.com"
    gerrit = hosts.gerrit[0]
    assert (gerrit.base_url, gerrit.clone_url, gerrit.gitiles_base_url) == (
        "https://g.example.com",
        "https://g.example.com",
        "https://g.example.com/gitiles",
    )


@pytest.mark.parametrize(
    ("section", "path", "problem"),
    [
        ({"github": [{"host": "https://ghe.example.com"}]}, "github[0].host", "is not a host"),
        ({"github": [{"host": "GHE.example.com"}]}, "github[0].host", "is not a host"),
        ({"github": [{"host": "user@ghe"}]}, "github[0].host", "is not a host"),
        ({"github": {"host": "ghe"}}, "github", "expected"),
        ({"gitlab": [{"host": "lab", "apiBaseUrl": "lab/api"}]}, "gitlab[0].apiBaseUrl", "expected a URL"),
        ({"gitea": [{"baseUrl": "https://x"}]}, "gitea[0].host", "missing"),
        ({"gitea": [{"host": "x", "baseUrl": "ftp://x"}]}, "gitea[0].baseUrl", "expected a URL"),
        ({"gerrit": [{"host": "x"}]}, "gerrit[0].gitilesBaseUrl", "missing"),
        (
            {"gerrit": [{"host": "x", "gitilesBaseUrl": "https://y", "password": "secret"}]},
            "gerrit[0].gitilesBaseUrl",
            "is not below",
        ),
        ({"azure": [{"token": "secret"}]}, "azure[0].token", "no such key any more"),
        (
            {"azure": [{"credentials": [{"organizations": ["o"]}]}]},
            "azure[0].credentials[0].personalAccessToken",
            "missing",
        ),
        (
            {"azure": [{"credentials": [{"personalAccessToken": "secret", "clientId": "x"}]}]},
            "azure[0].credentials[0].personalAccessToken",
            "another kind",
        ),
        (
            {"azure": [{"credentials": [{"personalAccessToken": "secret"}, {"personalAccessToken": "secret"}]}]},
            "azure[0].credentials",
            "several without organizations",
        ),
        (
            {"azure": [{"credentials": [{"organizations": ["o", "o"], "personalAccessToken": "secret"}]}]},
            "azure[0].credentials",
            "several for the organization 'o'",
        ),
        ({"bitbucketCloud": [{"username": "u"}]}, "bitbucketCloud[0].token", "missing beside"),
        ({"bitbucketCloud": [{"clientId": "u"}]}, "bitbucketCloud[0].clientSecret", "go together"),
        ({"awsS3": [{"endpoint": "s3"}]}, "awsS3[0].endpoint", "expected a URL"),
        ({"awsS3": [{"endpoint": "https://s3/x"}]}, "awsS3[0].endpoint", "has a path"),
        (
            {"azure": [{"credentials": [{"clientId": "c", "clientSecret": "secret"}]}]},
            "azure[0].credentials[0].tenantId",
            "missing beside",
        ),
        (
            {"azure": [{"host": "tfs", "credentials": [{"clientId": "c", "clientSecret": "secret", "tenantId": "t"}]}]},
            "azure[0].credentials",
            "personal access tokens only",
        ),
    ],
)
def test_a_mistake_stops_the_start_and_is_shown_without_its_secret(
    section: dict[str, Any], path: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(section)
    assert caught.value.path == f"integrations.{path}"
    assert problem in caught.value.problem
    assert "'secret'" not in caught.value.message


def test_what_has_no_effect_yet_is_told() -> None:
    told = config(
        {
            "github": [{"host": "github.com"}, {"host": "github.com"}],
            "gitlab": [{"host": "gitlab.com", "retry": {"maxRetries": 3}, "tken": "x"}],
            "azure": [{"host": "dev.azure.com", "credentials": [{"clientId": "a"}]}],
            "awsCodeCommit": [{"region": "eu-west-1"}],
        }
    )
    told.section("integrations", IntegrationsConfig)
    for words in [
        "github: there are several entries for github.com; the first, with the credentials of the last, counts",
        "retry: has no effect",
        "managed identities",
        "awsCodeCommit: files",
        "token?",
    ]:
        assert any(words in warning for warning in told.warnings), words


def test_no_credential_is_shown() -> None:
    section = {
        "github": [
            {"host": "a", "token": "s1", "apps": [{"privateKey": "s2", "clientSecret": "s3", "webhookSecret": "s4"}]}
        ],
        "gitlab": [{"host": "a", "token": "s5", "commitSigningKey": "s6"}],
        "azure": [{"host": "a", "credentials": [{"personalAccessToken": "s7", "clientSecret": "s8"}]}],
        "bitbucketCloud": [{"token": "s9", "appPassword": "s10", "clientSecret": "s11", "clientId": "s12"}],
        "bitbucketServer": [{"host": "a", "token": "s13", "password": "s14", "username": "s15"}],
        "gerrit": [{"host": "a", "password": "s16", "username": "s17"}],
        "gitea": [{"host": "a", "password": "s18", "username": "s19"}],
        "awsS3": [{"secretAccessKey": "s20"}],
        "azureBlobStorage": [{"accountKey": "s21", "sasToken": "s22", "connectionString": "s23"}],
        "googleGcs": {"privateKey": "s24"},
        "harness": [{"host": "a", "token": "s25", "apiKey": "s26"}],
    }
    shown = str(config(section).redacted())
    assert shown.count(SECRET) == 26
    assert [f"s{n}" for n in range(1, 27) if f"'s{n}'" in shown] == []
    assert "s1" not in repr(read({"github": [{"host": "a", "token": "s1"}]}))
