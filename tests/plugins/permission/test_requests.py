"""Questions and complaints as the oracle answered them (permission-backend 0.7.16): see authorize.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_plugins.permission.requests import read_requests

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "authorize.json").read_text())
REFUSED = [one for one in RECORDED if one["status"] == 400 and one["answer"].startswith("[")]
TAKEN = [one for one in RECORDED if one["status"] == 200]


@pytest.mark.parametrize("recorded", REFUSED, ids=lambda one: json.dumps(one["body"]))
def test_a_wrong_batch_is_refused_with_upstreams_words(recorded: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        read_requests(recorded["body"])
    assert refused.value.message == recorded["answer"]


@pytest.mark.parametrize("recorded", TAKEN, ids=lambda one: json.dumps(one["body"]))
def test_a_batch_that_upstream_takes_is_taken(recorded: dict[str, Any]) -> None:
    assert [request.id for request in read_requests(recorded["body"])] == [
        item["id"] for item in recorded["answer"]["items"]
    ]


def test_the_recording_is_not_empty() -> None:
    assert len(REFUSED) > 25
    assert len(TAKEN) > 3


def test_a_resource_type_on_a_basic_permission_is_dropped() -> None:
    body = {"items": [{"id": "a", "permission": {"type": "basic", "name": "n", "attributes": {}, "resourceType": "x"}}]}
    assert read_requests(body)[0].permission.resource_type is None
