"""Regular expressions that nobody wrote, asked of V8 where Node is."""

from __future__ import annotations

import shutil

import pytest

from tests.conformance.schemas.patterns import case, compared


def test_v8_agrees_about_what_is_a_pattern_and_what_it_finds() -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node")
    verdicts, matches = compared([case(seed) for seed in range(2000)])
    assert verdicts == 0
    assert matches <= 3
