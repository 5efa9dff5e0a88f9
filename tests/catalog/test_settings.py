"""A wrong or idle setting of the catalog is told of before the server starts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import load
from greenroom_catalog.plugin import catalog
from greenroom_catalog.settings import CatalogConfig


def read(**section: Any) -> tuple[CatalogConfig, list[str]]:
    config = load([], {}, {"catalog": section})
    return config.section(catalog.section, catalog.config), config.warnings


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"rules": [{"allow": "Component"}]}, r"catalog\.rules\[0\]\.allow"),
        (
            {"rules": [{"allow": ["API"], "locations": [{"type": "url", "exact": "x", "pattern": "y"}]}]},
            r"catalog\.rules\[0\]\.locations\[0\]: a location of a rule cannot have both `exact` and `pattern`",
        ),
        (
            {"locations": [{"type": "url", "target": "x", "rules": [{"allow": 1}]}]},
            r"catalog\.locations\[0\]\.rules\[0\]\.allow",
        ),
        ({"processingInterval": True}, r"catalog\.processingInterval: expected a duration or false"),
        ({"orphanStrategy": "drop"}, r"catalog\.orphanStrategy"),
        ({"providerOptions": {"x": {"disabled": "perhaps"}}}, r"catalog\.providerOptions\.x\.disabled"),
        ({"providerOptions": {"x": {"timeout": {"seconds": 0}}}}, r"catalog\.providerOptions\.x\.timeout"),
        ({"providerOptions": {"x": {"maxEntities": 0}}}, r"catalog\.providerOptions\.x\.maxEntities"),
        ({"removalGuard": {"share": 50}}, r"catalog\.removalGuard\.share: a share is from 0 to 1"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(section: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read(**section)


@pytest.mark.parametrize(
    ("section", "warning"),
    [
        ({"scmEvents": True}, "scmEvents"),
        ({"scmEvents": {"refresh": True}}, "scmEvents"),
        ({"stitchingStrategy": {"pollingInterval": "2s"}}, "stitchingStrategy"),
        ({"processors": {"ldapOrg": {"providers": []}}}, "processors.ldapOrg"),
        ({"orphanStrateg": "keep"}, "orphanStrategy"),
    ],
)
def test_a_setting_without_effect_is_warned_of(section: dict[str, Any], warning: str) -> None:
    _, warnings = read(**section)
    assert any(warning in text for text in warnings), warnings


def test_every_setting_that_has_its_effect_is_taken_without_a_word() -> None:
    config, warnings = read(
        rules=[{"allow": ["Component", {"kind": "API", "spec.type": "grpc"}], "locations": [{"type": "url"}]}],
        locations=[{"type": "url", "target": "https://x.test/a.yaml", "rules": [{"allow": ["User"]}]}],
        readonly=True,
        orphanStrategy="keep",
        orphanProviderStrategy="keep",
        processingInterval={"milliseconds": 5},
        defaultLocationConflictStrategy="refresh",
        providerOptions={"git:main": {"disabled": True, "timeout": {"minutes": 5}, "maxEntities": 5}},
        removalGuard={"share": 0.9, "atLeast": 3},
        processorOptions={"UrlReaderProcessor": {"priority": 10}},
        disableDefaultProcessors=True,
        scmEvents=False,
    )
    assert warnings == []
    assert config.processing_interval == timedelta(seconds=1)
    assert config.provider_options["git:main"].disabled
    assert config.guard is not None
    assert (config.guard.share, config.guard.at_least) == (0.9, 3)


def test_the_removal_guard_stands_unless_it_is_sent_away() -> None:
    assert read()[0].guard is not None
    assert read(removalGuard=False)[0].guard is None
