"""JSON <-> bytes: documents that only workers read are stored small.

A document of 1.4 kB takes 0.46 kB: entities repeat the same words from one to the next more than within themselves, so a
dictionary of those halves what compression alone would leave. Postgres itself compresses no row below 2 kB. What processing came to
takes 0.1 kB by what it was made from, which is the better part of its dictionary.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
from isal import isal_zlib

_VERSION = b"\x01"
"""The first byte of packed bytes: by which dictionary. One that was ever stored is never changed: add another."""
_BY_BASE = b"\x02"
"""The same, and another document after it."""

_WORDS = (
    b'"],"parent":"organization","children":["profile":{"displayName":"","email":"@","picture":"https://"},"memberOf":["'
    b'"definition":{"$text":"https://"definition":"openapi: "3.0.0"\\ninfo:\\n  version: \\n  title: \\npaths:\\n'
    b'"presence":"optional""targets":["./","target":"https://"domain":"subdomainOf":"subcomponentOf":"component:default/'
    b'"dependencyOf":["component:default/","dependsOn":["resource:default/","component:default/","consumesApis":["'
    b'api:default/","providesApis":["api:default/"],"system":"system:default/","owner":"user:default/","owner":"group:default/'
    b'"lifecycle":"deprecated","lifecycle":"experimental","lifecycle":"production","owner":"team-'
    b'"spec":{"type":"openapi","type":"group","type":"team","type":"documentation","type":"library","type":"website",'
    b'"type":"service","links":[{"url":"https://","title":"Dashboard","icon":"dashboard","type":""},{"url":"https://'
    b'"title":"","description":"A service that for the "labels":{"environment":"production","tags":["java","python",'
    b'"typescript","namespace":"default","backstage.io/kubernetes-namespace":"backstage.io/kubernetes-id":"'
    b'pagerduty.com/integration-key":"sonarqube.org/project-key":"gitlab.com/project-slug":"github.com/team-slug":"'
    b'"github.com/project-slug":"","backstage.io/techdocs-ref":"dir:.","backstage.io/source-location":"url:https://'
    b'github.com//tree/main/","backstage.io/edit-url":"https://github.com//edit/main/catalog-info.yaml",'
    b'"backstage.io/view-url":"https://github.com//blob/main/catalog-info.yaml",'
    b'"backstage.io/managed-by-origin-location":"url:https://gitlab.com//-/blob/main/catalog-info.yaml",'
    b'"backstage.io/managed-by-location":"url:https://github.com//blob/main/catalog-info.yaml"},'
    b'\n[["providesApi","api:default/"],["consumesApi","api:default/"],["hasPart","component:default/"],["partOf",'
    b'"system:default/"],["dependsOn","component:default/"],["ownedBy","group:default/"]]'
    b'{"apiVersion":"backstage.io/v1beta1","kind":"Domain","kind":"Template","kind":"Location","kind":"User",'
    b'"kind":"Group","kind":"System","kind":"Resource","kind":"API","kind":"Component","metadata":{"name":"","annotations":{'
    b'{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"annotations":{"backstage.io/managed-by-location":"url:'
)
"""The most frequent words last, where they are cheapest to point at."""
_LARGE = 8_000
"""Bytes of a document from which on Huffman codes of its own are worth while: in a small one they spare 65 bytes of 460, and take
twice the time, also to read."""
_FARTHEST = 32_768 - len(_WORDS)
"""Bytes of another document that deflate can point at."""


def pack(document: bytes, base: bytes = b"") -> bytes:
    """JSON -> bytes. `base`: a document like this one, by which alone it can then be unpacked."""
    level, codes = (0, isal_zlib.Z_FIXED) if len(document) < _LARGE else (1, isal_zlib.Z_DEFAULT_STRATEGY)
    packer = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15, isal_zlib.DEF_MEM_LEVEL, codes, _dictionary(base))
    return (_BY_BASE if base else _VERSION) + packer.compress(document) + packer.flush()


def unpack(stored: bytes, base: bytes = b"") -> bytes:
    """bytes -> JSON. What was stored as it is, by hand or by a test, is read as it is. Raises ValueError for anything else."""
    if stored[:1] in (b"{", b"["):
        return stored
    if stored[:1] != (_BY_BASE if base else _VERSION):
        raise ValueError(f"packed in an unknown way: {stored[:1]!r}")
    return zlib.decompressobj(-15, _dictionary(base)).decompress(stored[1:])


def _dictionary(base: bytes) -> bytes:
    return _WORDS + base[-_FARTHEST:] if base else _WORDS


def pack_processed(document: bytes, relations: Sequence[tuple[str, str]], base: bytes) -> bytes:
    """A processed entity and the (type, target) of the relations that it emitted itself -> bytes. `base`: what it was made from."""
    return pack(b"%b\n%b" % (document, msgspec.json.encode(relations)), base)


def unpack_processed(stored: bytes, base: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """The document and the relations of a processed entity. `base`: what it was made from, packed."""
    document, _, relations = unpack(stored, unpack(base)).partition(b"\n")
    return document, msgspec.json.decode(relations, type=list[tuple[str, str]]) if relations else []
