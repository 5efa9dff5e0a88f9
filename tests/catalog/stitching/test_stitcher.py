"""What is served of an entity: everything its processing came to, and what became of it since."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from greenroom.entity import EDIT_URL, ORPHAN, VIEW_URL
from greenroom_catalog.stitching.stitcher import PROCESSING_STATUS, REJECTED_URL, stitch
from greenroom_catalog.storage.tickets import Final, Ticket

UID = UUID("0a0b0c0d-0000-4000-8000-000000000000")


def processed(status: Any = None, **metadata: Any) -> dict[str, Any]:
    found = {"apiVersion": "v1", "kind": "Component", "metadata": {"name": "shop", "namespace": "default", **metadata}}
    return found if status is None else {**found, "status": status}


def stitched(
    entity: dict[str, Any] | None = None,
    *,
    relations: list[tuple[str, str]] | None = None,
    errors: Any = None,
    orphan: bool = False,
    hash_: bytes | None = None,
) -> Final | None:
    document = msgspec.json.encode(processed() if entity is None else entity)
    problems = None if errors is None else msgspec.json.encode(errors)
    return stitch(Ticket(1, UID, "component:default/shop", document, relations or [], problems, orphan, hash_))


def served(*args: Any, **kwargs: Any) -> dict[str, Any]:
    final = stitched(*args, **kwargs)
    assert final is not None
    found: dict[str, Any] = msgspec.json.decode(final.document)
    return found


def test_relations_are_served_as_they_are_given() -> None:
    relations = [("ownedBy", "group:default/a"), ("partOf", "system:default/b")]
    assert served(relations=relations)["relations"] == [
        {"type": "ownedBy", "targetRef": "group:default/a"},
        {"type": "partOf", "targetRef": "system:default/b"},
    ]
    assert served()["relations"] == []


def test_what_was_never_processed_is_not_served() -> None:
    assert stitch(Ticket(1, UID, "component:default/shop", None, [], b"[]", False, None)) is None


def test_an_error_stands_in_the_status_of_what_is_still_served() -> None:
    error = {"name": "InputError", "message": "no", "cause": {"name": "TypeError", "message": "why"}}
    (item,) = served(errors=[error])["status"]["items"]
    assert item == {"type": PROCESSING_STATUS, "level": "error", "message": "InputError: no", "error": error}
    assert "status" not in served()


def test_errors_come_after_the_items_that_a_processor_left() -> None:
    earlier = {"items": [{"type": "x", "level": "info", "message": "hello"}], "other": 1}
    status = served(processed(earlier), errors=[{"name": "Error", "message": "a"}, {"name": "Error", "message": "b"}])[
        "status"
    ]
    assert [item["message"] for item in status["items"]] == ["hello", "Error: a", "Error: b"]
    assert status["other"] == 1


def test_an_orphan_is_marked_and_nobody_else() -> None:
    assert served(orphan=True)["metadata"]["annotations"] == {ORPHAN: "true"}
    assert served(processed(annotations={"a": "b"}), orphan=True)["metadata"]["annotations"] == {
        "a": "b",
        ORPHAN: "true",
    }
    assert "annotations" not in served()["metadata"]


@pytest.mark.parametrize("annotation", [VIEW_URL, EDIT_URL])
@pytest.mark.parametrize("url", ["javascript:alert(1)", " JavaScript:x", "java\nscript:x", "\x01javascript\t:x"])
def test_a_script_never_becomes_a_link(annotation: str, url: str) -> None:
    assert served(processed(annotations={annotation: url}))["metadata"]["annotations"] == {annotation: REJECTED_URL}


@pytest.mark.parametrize("url", ["https://git.test/javascript:x", "javascripts:x", ""])
def test_what_only_looks_like_a_script_stays(url: str) -> None:
    assert served(processed(annotations={VIEW_URL: url}))["metadata"]["annotations"][VIEW_URL] == url


def test_the_etag_is_of_all_that_is_served_but_itself_and_the_uid() -> None:
    first = stitched()
    assert first is not None
    assert served()["metadata"]["etag"] == first.hash.hex()
    assert len(first.hash) == 20
    for other in (
        stitched(processed(title="Shop")),
        stitched(relations=[("ownedBy", "group:default/a")]),
        stitched(errors=[{"name": "Error", "message": "x"}]),
        stitched(orphan=True),
    ):
        assert other is not None
        assert other.hash != first.hash


def test_an_authored_etag_survives_and_an_authored_uid_does_not() -> None:
    metadata = served(processed(etag="mine", uid="also mine"))["metadata"]
    assert metadata["etag"] == "mine"
    assert metadata["uid"] == str(UID)


def test_nothing_is_written_when_this_is_what_is_served_already() -> None:
    first = stitched(processed(etag="mine"), relations=[("ownedBy", "group:default/a")])
    assert first is not None
    assert stitched(processed(etag="mine"), relations=[("ownedBy", "group:default/a")], hash_=first.hash) is None
