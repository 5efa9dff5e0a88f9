"""What the reference of the config says can be written, can be written, and means what it says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import greenroom.urls
from greenroom.settings import AppConfig, BackendConfig, IntegrationsConfig, load

TEXT = (Path(greenroom.urls.__file__).with_name("CONFIG.md")).read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
KEY = r"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"


def config() -> AppConfig:
    whole = {
        name: value
        for block in BLOCKS
        for name, value in yaml.safe_load(block.replace("${GITHUB_APP_KEY}", KEY)).items()
    }
    whole["backend"]["baseUrl"] = "https://back.example"
    return load([], {}, whole)


def test_the_examples_are_read_without_a_warning() -> None:
    read = config()
    section = read.section("integrations", IntegrationsConfig)
    read.section("backend", BackendConfig)
    assert read.warnings == []
    assert len(section.github[0].apps) == 1
    assert section.azure[0].credentials[1].client_secret


def test_what_is_called_a_default_is_one() -> None:
    read = config().section("integrations", IntegrationsConfig)
    bare = load([], {}, {}).section("integrations", IntegrationsConfig)
    assert [(one.host, one.api_base_url, one.raw_base_url) for one in read.github] == [
        (one.host, one.api_base_url, one.raw_base_url) for one in bare.github
    ]
    assert [(one.host, one.base_url, one.api_base_url) for one in read.gitlab] == [
        (one.host, one.base_url, one.api_base_url) for one in bare.gitlab
    ]
    hosts = {
        "bitbucketServer": [{"host": "bitbucket.example.com"}],
        "gitea": [{"host": "gitea.example.com"}],
        "gerrit": [{"host": "gerrit.example.com", "gitilesBaseUrl": "https://gerrit.example.com/gitiles"}],
    }
    plain = load([], {}, {"integrations": hosts}).section("integrations", IntegrationsConfig)
    assert read.bitbucket_server[0].api_base_url == plain.bitbucket_server[0].api_base_url
    assert read.gitea[0].base_url == plain.gitea[0].base_url
    assert read.gerrit[0].base_url == plain.gerrit[0].base_url
