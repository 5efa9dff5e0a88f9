"""Clone URLs, patterns and config: what is accepted is understood, and what is not is refused at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import load
from greenroom.urls import Integrations
from greenroom.urls.globs import compile_globs
from greenroom_plugins.git.addresses import Address, InvalidAddressError, fill, forms, path_in
from greenroom_plugins.git.command import Access
from greenroom_plugins.git.settings import GitConfig, PublishConfig

HOSTS = Integrations.from_config({"gitea": [{"host": "gitea.example.com"}], "gitlab": [{"host": "git.corp:8443"}]})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://github.com/o/r", "https://github.com/o/r"),
        ("HTTPS://GitHub.com/o/r.git/", "https://github.com/o/r.git"),
        ("git@github.com:o/r.git", "ssh://git@github.com/o/r.git"),
        ("ssh://git@host.example.com:2222/o/r", "ssh://git@host.example.com:2222/o/r"),
        ("file:///srv/git/a b.git", "file:///srv/git/a%20b.git"),
    ],
)
def test_clone_urls_have_one_spelling(text: str, url: str) -> None:
    assert Address.parse(text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "", "app", "../app.git", "/srv/git/app.git", "http://github.com/o/r", "git://github.com/o/r", "ext::sh -c id",
        "https://github.com/", "https://user:secret@github.com/o/r", "https://t0ken@github.com/o/r",
        "https://github.com/o/r?x=1", "file://host/srv/x.git", "ssh://-oProxyCommand=id/x", "-u:x/y", "https://github.com//o",
        "ssh://git@/x", "file:///",
    ],
)  # fmt: skip
def test_what_is_no_safe_clone_url_is_refused_without_quoting_a_secret(text: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        Address.parse(text)
    assert "secret" not in caught.value.message
    assert "t0ken" not in caught.value.message


@pytest.mark.parametrize(
    ("clone", "target"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/blob/main/a/b%20c.yaml"),
        ("git@gitlab.com:g/s/r.git", "https://gitlab.com/g/s/r/-/blob/main/a/b%20c.yaml"),
        ("https://git.corp:8443/g/r.git", "https://git.corp:8443/g/r/-/blob/main/a/b%20c.yaml"),
        ("https://bitbucket.org/w/r", "https://bitbucket.org/w/r/src/main/a/b%20c.yaml"),
        ("ssh://git@gitea.example.com:2222/o/r.git", "https://gitea.example.com/o/r/src/branch/main/a/b%20c.yaml"),
        ("https://other.example.com/o/r.git", "https://other.example.com/o/r.git/-/blob/main/a/b%20c.yaml"),
        ("file:///srv/git/demo.git", "file:///srv/git/demo.git/-/blob/main/a/b%20c.yaml"),
    ],
)
def test_a_file_is_known_by_the_url_of_its_page(clone: str, target: str) -> None:
    form = forms(Address.parse(clone), HOSTS)[0]
    assert fill(form, "main", b"a/b c.yaml") == target
    assert path_in(target, form, "main") == b"a/b c.yaml"
    assert path_in(target + "#L3", form, "main") == b"a/b c.yaml"


def test_the_page_of_another_host_can_be_described() -> None:
    (form,) = forms(Address.parse("file:///srv/git/demo.git"), HOSTS, "https://cgit.corp/{name}/tree/{path}?h={branch}")
    target = fill(form, "main", b"a.yaml")
    assert target == "https://cgit.corp/demo/tree/a.yaml?h=main"
    assert path_in(target, form, "main") == b"a.yaml"


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("catalog-info.yaml", ["catalog-info.yaml"], ["a/catalog-info.yaml", "catalog-infoXyaml"]),
        ("/catalog-info.yaml", ["catalog-info.yaml"], ["a/catalog-info.yaml"]),
        ("**/info.yaml", ["info.yaml", "a/info.yaml", "a/b/info.yaml"], ["xinfo.yaml", ".a/info.yaml"]),
        ("*/catalog-info.yaml", ["a/catalog-info.yaml"], ["catalog-info.yaml", "a/b/catalog-info.yaml", ".a/catalog-info.yaml"]),
        ("services/**", ["services/a", "services/a/b.yaml"], ["services", "other/a", "services/.a"]),
        ("**", ["a", "a/b"], [".a", "a/.b"]),
        ("*.{yaml,yml}", ["a.yaml", "a.yml"], [".yaml", "a.json", "a/b.yaml"]),
        ("a?c.yaml", ["abc.yaml"], ["a/c.yaml", "ac.yaml"]),
        (".github/*.yaml", [".github/x.yaml"], ["xgithub/x.yaml"]),
        ("ä*.yaml", ["äb.yaml"], ["ab.yaml"]),
        ("[x](y)+.yaml", ["[x](y)+.yaml"], ["x.yaml"]),
        ("a/**/b.yaml", ["a/b.yaml", "a/x/y/b.yaml"], ["ab.yaml", "a/xb.yaml"]),
    ],
)  # fmt: skip
def test_patterns_find_the_files_they_say(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = compile_globs([pattern])
    assert [path for path in matching + others if matches(path.encode())] == matching


def read(section: Any, tmp_path: Path) -> dict[str, GitConfig]:
    config = load([], {}, {"catalog": {"providers": {"git": section}}})
    return config.section("catalog.providers.git", dict[str, GitConfig])


def test_a_config_is_read_as_documented(tmp_path: Path) -> None:
    one = read(
        {
            "acme": {
                "repositories": ["https://github.com/o/r", {"url": "git@host.example.com:o/r.git", "branch": "live"}],
                "paths": "**/catalog-info.yaml",
                "schedule": {"frequency": {"minutes": 5}, "timeout": "PT2M", "initialDelay": "10s"},
                "webhook": {"secret": "s"},
                "credentials": {"token": "t"},
            }
        },
        tmp_path,
    )["acme"]
    assert [repository.branch for repository in one.repositories] == [None, "live"]
    assert (one.paths, one.webhook.secret) == (["**/catalog-info.yaml"], ["s"])
    assert [one.schedule.frequency.seconds, one.schedule.timeout.seconds, one.schedule.initial_delay.seconds] == [
        300,
        120,
        10,
    ]


def test_secrets_do_not_show_when_a_config_is_logged(tmp_path: Path) -> None:
    secrets = {"webhook": {"secret": "s3cret"}, "credentials": {"token": "t0ken"}}
    one = read({"acme": {"repositories": ["https://github.com/o/r"], **secrets}}, tmp_path)["acme"]
    access = Access(Address.parse("https://github.com/o/r"), "someone", "t0ken")
    for shown in (repr(one), repr(one.credentials), f"{one.webhook}", repr(access)):
        assert "s3cret" not in shown
        assert "t0ken" not in shown


def test_no_config_is_no_provider(tmp_path: Path) -> None:
    config = load([], {}, {})
    assert config.section("catalog.providers.git", dict[str, GitConfig]) == {}


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({}, "repositories"),
        ({"repositories": ["http://x/y"]}, "repositories"),
        ({"repositories": [{"url": "nothing"}]}, r"repositories\[0\]\.url"),
        ({"folder": "srv/*.git"}, "folder"),
        ({"folder": "/srv/*.git", "web": "https://x/{branch}"}, "web"),
        ({"folder": "/srv/*.git", "concurrency": 0}, "concurrency"),
    ],
)
def test_a_wrong_config_stops_the_start_and_names_the_place(section: Any, path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"catalog\.providers\.git\.acme\.?.*{path}"):
        read({"acme": section}, tmp_path)


@pytest.mark.parametrize(
    ("publishing", "problem"),
    [
        (
            {"folders": [{"host": "git.example.com", "path": "srv/git"}]},
            r"folders\[0\]\.path: expected an absolute path",
        ),
        ({"folders": [{"host": "https://x", "path": "/srv"}]}, r"folders\[0\]\.host: expected a host"),
        ({"folders": [{"host": "x", "path": "/srv", "url": "ssh://x"}]}, r"folders\[0\]\.url: expected a URL"),
        ({"hosts": ["git.example.com/team"]}, r"hosts\[0\]: expected a host"),
        ({"hosts": ["x"], "folders": [{"host": "x", "path": "/srv"}]}, "x is named twice"),
    ],
)
def test_a_place_to_publish_to_that_is_none_stops_the_start(publishing: dict[str, Any], problem: str) -> None:
    config = load([], {}, {"scaffolder": {"publishGit": publishing}})
    with pytest.raises(ConfigError, match=problem):
        config.section("scaffolder.publishGit", PublishConfig)


def test_hosts_to_publish_to_may_be_named_in_short() -> None:
    hosts = ["git.example.com:8443", {"host": "other.example.com", "token": "s3cret", "username": "bot"}]
    read = load([], {}, {"scaffolder": {"publishGit": {"hosts": hosts}}}).section(
        "scaffolder.publishGit", PublishConfig
    )
    assert [(one.host, one.token, one.username) for one in read.hosts] == [
        ("git.example.com:8443", None, "x-access-token"),
        ("other.example.com", "s3cret", "bot"),
    ]
    assert "s3cret" not in repr(read)
