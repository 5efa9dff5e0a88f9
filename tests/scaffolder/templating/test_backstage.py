"""Filters for repository URLs and entity references: what publishers and authors rely on."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_scaffolder.templating import UNDEFINED, Engine
from greenroom_scaffolder.templating.backstage import (
    backstage_filters,
    parse_entity_ref,
    parse_repo_url,
    pick,
    project_slug,
)

HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "dev.azure.com": "azure",
    "bitbucket.org": "bitbucketCloud",
    "git.test:8443": "gitea",
}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("github.com?owner=o&repo=r", {"host": "github.com", "owner": "o", "repo": "r"}),
        ("GitHub.com?repo=/r/&owner=o%20p", {"host": "github.com", "owner": "o p", "repo": "r"}),
        ("gitlab.com?project=7&repo=", {"host": "gitlab.com", "repo": "", "project": "7"}),
        ("git.test:8443?repo=r", {"host": "git.test:8443", "repo": "r"}),
        (
            "bitbucket.org?workspace=w&project=p&repo=r",
            {"host": "bitbucket.org", "repo": "r", "workspace": "w", "project": "p"},
        ),
        (
            "dev.azure.com?organization=x&project=p&repo=r&owner=o",
            {"host": "dev.azure.com", "owner": "o", "repo": "r", "organization": "x", "project": "p"},
        ),
    ],
)
def test_a_repository_url_is_taken_apart(url: str, parts: dict[str, str]) -> None:
    assert parse_repo_url(url, HOSTS.get) == parts


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nowhere.test?owner=o&repo=r", "No matching integration configuration for host nowhere.test"),
        ("github.com?owner=o", "https://github.com/?owner=o, missing repo"),
        ("github.com?repo=r", "missing owner"),
        ("gitlab.com?project=/&repo=r", "missing owner"),
        ("bad host", "Invalid repo URL passed to publisher, got bad host"),
        (None, "for host null"),
        ({"host": "github.com"}, "Cannot convert object"),
    ],
)
def test_a_repository_url_that_lacks_something_says_what(url: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint.replace("?", r"\?")):
        parse_repo_url(url, HOSTS.get)


def test_the_slug_is_owner_and_repository() -> None:
    assert project_slug("github.com?owner=o&repo=r", HOSTS.get) == "o/r"


@pytest.mark.parametrize(
    ("ref", "context", "parts"),
    [
        ("group:techdocs", None, ("group", "default", "techdocs")),
        ("component:ns/name", None, ("component", "ns", "name")),
        ("name", {"defaultKind": "api", "defaultNamespace": "x"}, ("api", "x", "name")),
        ({"kind": "k", "name": "n"}, {"defaultNamespace": ""}, ("k", "default", "n")),
    ],
)
def test_an_entity_reference_is_taken_apart(ref: Any, context: Any, parts: tuple[str, ...]) -> None:
    assert tuple(parse_entity_ref(ref, context).values()) == parts


@pytest.mark.parametrize("name", [5, True, ["a", {"b": None}]])
def test_a_name_that_is_no_text_stays_what_it_is(name: Any) -> None:
    assert parse_entity_ref({"kind": "k", "name": name})["name"] == name


@pytest.mark.parametrize("ref", ["", None, "name", ":x", "a:/b", "a:", {"kind": "a"}, 7])
def test_what_is_no_entity_reference_is_refused(ref: Any) -> None:
    with pytest.raises(InputError, match="Entity reference"):
        parse_entity_ref(ref)


def test_pick_walks_paths_and_sees_no_python() -> None:
    value = {"a": [{"b": 1}], "x.y": 2, "n": None}
    assert pick(value, "a[0].b") == 1
    assert pick(value, "x.y") == 2
    assert pick(value, "n") is None
    assert pick(value, ["a", 0, "b"]) == 1
    assert pick(value, ["nope", {}], "d") == "d"
    assert pick(value, [], "d") == "d"
    assert pick(value, "nope.deep", "d") == "d"
    for path in ("__class__", "a.__len__", "a.append", "keys", "constructor", "a[0].__class__.__mro__"):
        assert pick(value, path) is UNDEFINED


def test_the_filters_work_in_templates() -> None:
    engine = Engine({each.name: each.apply for each in backstage_filters(HOSTS.get)})
    context = {"parameters": {"repoUrl": "github.com?owner=o&repo=r", "owner": "group:default/team"}}
    assert engine.value("${{ parameters.repoUrl | parseRepoUrl }}", context) == {
        "host": "github.com",
        "owner": "o",
        "repo": "r",
    }
    assert engine.value("${{ (parameters.repoUrl | parseRepoUrl).project is defined }}", context) is False
    assert engine.value("${{ parameters.repoUrl | projectSlug }}", context) == "o/r"
    assert engine.value("${{ parameters.owner | parseEntityRef | pick('name') }}", context) == "team"


def test_every_filter_is_described_for_those_who_read_about_it() -> None:
    for each in backstage_filters(HOSTS.get):
        assert each.description
        assert each.schema
        assert "input" in each.schema
        assert each.examples
