"""Every URL that upstream derives from another, we derive alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError, GreenroomError, InputError
from greenroom.urls import Integrations, InvalidUrlError, is_url, parse

CASES: dict[str, Any] = json.loads(Path(__file__).with_name("test_urls_cases.json").read_text(encoding="utf-8"))
HOSTS = Integrations.from_config(CASES["integrations"])


def answer(ask: Callable[..., object], *args: str) -> object:
    """False where we refuse, as in the recording."""
    try:
        return ask(*args)
    except GreenroomError:
        return False


def href(text: str, base: str) -> str:
    return parse(text, base).href


@pytest.mark.parametrize("base", CASES["resolve"])
def test_a_relative_target_means_the_same_file_as_upstream(base: str) -> None:
    ours = {target: answer(HOSTS.resolve, target, base) for target in CASES["targets"]}
    assert ours == dict(zip(CASES["targets"], CASES["resolve"][base], strict=True))


@pytest.mark.parametrize("url", CASES["annotations"])
def test_edit_links_and_source_folders_are_those_of_upstream(url: str) -> None:
    edit, source = CASES["annotations"][url]
    assert answer(HOSTS.edit_url, url) == edit
    assert answer(HOSTS.source_location, url) == (f"url:{source}" if source else source)


@pytest.mark.parametrize("text", CASES["parse"])
def test_a_url_is_read_as_node_reads_it(text: str) -> None:
    want = CASES["parse"][text]
    if want is False:
        assert not is_url(text)
        return
    url = parse(text)
    port = "" if url.port is None else str(url.port)
    fragment = f"#{url.fragment}" if url.fragment else ""
    ours = [url.href, url.host, url.hostname or "", port, url.pathname, url.search, fragment, f"{url.scheme}:"]
    assert ours == want


def test_relative_urls_are_joined_as_node_joins_them() -> None:
    wrong = [
        (text, base, ours, want) for text, base, want in CASES["join"] if (ours := answer(href, text, base)) != want
    ]
    assert wrong == []


def test_what_is_no_url_is_a_type_error_on_the_wire_and_the_callers_fault() -> None:
    with pytest.raises(InvalidUrlError, match="Invalid URL") as caught:
        parse("no url")
    assert (caught.value.name, isinstance(caught.value, InputError)) == ("TypeError", True)


def test_a_configured_host_takes_the_place_of_the_public_one_and_adds_to_the_others() -> None:
    hosts = Integrations.from_config({"github": [{"host": "github.com"}, {"host": "ghe.example.com"}]}).hosts
    assert [host.host for host in hosts if host.type == "github"] == ["github.com", "ghe.example.com"]
    assert [host.host for host in hosts if host.type == "gitlab"] == ["gitlab.com"]


def test_a_hidden_parent_folder_in_the_base_cannot_lead_out_of_the_repository() -> None:
    with pytest.raises(InputError, match="path traversal"):
        HOSTS.resolve("/x.yaml", "https://github.com/o/r/blob/main/%252e%252e/x.yaml")


def test_a_host_that_is_misspelt_in_config_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"integrations\.github\[0\]\.host"):
        Integrations.from_config({"github": [{"host": "https://ghe.example.com"}]})
