"""Documents come back from storage as they went in, also those of earlier versions."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_catalog.storage.packing import pack, pack_processed, unpack, unpack_processed

ENTITY = (
    b'{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"shop","annotations":'
    b'{"backstage.io/managed-by-location":"url:https://git.test/shop/blob/main/catalog-info.yaml"}},'
    b'"spec":{"type":"service","lifecycle":"production","owner":"team-a"}}'
)
PACKED = bytes.fromhex("01a38edd509f1567e483428d3c97202569bd92d4e2127d9069f81375ad0e7a3d062ddec1150c31f560a2526d2d00")


@given(st.binary())
def test_what_is_packed_comes_back(document: bytes) -> None:
    assert unpack(pack(document)) == document


@given(
    st.binary().filter(lambda text: b"\n" not in text),
    st.lists(st.tuples(st.text(), st.text())),
    st.binary(min_size=1) | st.just(b"x" * 40_000),
)
def test_a_processed_entity_comes_back_with_its_relations(
    document: bytes, relations: list[tuple[str, str]], base: bytes
) -> None:
    assert unpack_processed(pack_processed(document, relations, base), pack(base)) == (document, relations)


def test_what_processing_came_to_takes_little_beside_what_it_was_made_from() -> None:
    processed = ENTITY.replace(b'"name":"shop"', b'"name":"shop","namespace":"default"')
    assert len(pack_processed(processed, [("ownedBy", "group:default/team-a")], ENTITY)) < len(pack(ENTITY))


def test_what_was_packed_by_the_first_release_can_be_read_for_ever() -> None:
    assert unpack(PACKED) == ENTITY


def test_an_entity_is_a_third_of_what_plain_compression_makes_of_it() -> None:
    assert len(pack(ENTITY)) < len(ENTITY) / 3
    assert len(pack(ENTITY)) < len(zlib.compress(ENTITY)) / 2


def test_json_that_was_never_packed_is_read_as_it_is() -> None:
    assert unpack(ENTITY) == ENTITY
    assert unpack_processed(ENTITY, ENTITY) == (ENTITY, [])


def test_bytes_of_a_later_version_are_refused_and_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="unknown way"):
        unpack(b"\x03x")


def test_what_needs_another_document_is_not_read_without_it() -> None:
    with pytest.raises(ValueError, match="unknown way"):
        unpack(pack(ENTITY, ENTITY))
