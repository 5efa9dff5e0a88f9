"""Hypothesis strategies: texts of catalog files, right and odd, for dry runs of a location on both sides."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis.strategies as st

from tests.conformance.script import Request

SCALARS = (
    "plain",
    "two words",
    "'single'",
    '"double"',
    '"\\u00e9\\n"',
    "'it''s'",
    "1",
    "01",
    "0o17",
    "0x1F",
    "1_000",
    "1.50",
    "1e3",
    ".5",
    "-0",
    "+1",
    ".inf",
    ".nan",
    "12345678901234567890",
    "true",
    "yes",
    "on",
    "Null",
    "~",
    "",
    "2024-01-31",
    "2024-01-31T10:00:00Z",
    "12:30:45",
    "!!str 5",
    "!!int '5'",
    "!custom x",
    "a: b",
    "a #b",
    "#c",
    "- x",
    "[a, b]",
    "{a: 1}",
    "[a, {b: c}]",
    "[]",
    "{}",
    "|\n      text\n      more",
    ">-\n      folded\n      text\n\n      more",
    "&anchor x",
    "*anchor",
    "*nope",
    "@at",
    "`tick",
    "%x",
    "? x",
    "&a [1, 2]",
    "<<",
    "=",
    "é",
    "🚀",
    '"a\n      b"',
    "x\ty",
    "'unclosed",
    '"unclosed',
    "[unclosed",
    "{unclosed",
    "a:b",
    "http://x.example.com/?a=b#c",
    "<<: *anchor",
)
HEADS = (
    "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n",
    "kind: Component\napiVersion: backstage.io/v1beta1\nmetadata: {{name: {name}}}\n",
    "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n  tags: &anchor [java]\n",
)
NAMES = ("one", "two", "Three", "a b", "x" * 64, "-x", "1", "~", "")
LINES = (
    "",
    "# note",
    "---",
    "...",
    "%YAML 1.2",
    "\t",
    "  ",
    "null",
    "- a",
    "text",
    "{}",
    "a: 1",
    "\ufeff",
    "--- # again",
    "--- text",
    "\r",
)


def documents() -> st.SearchStrategy[str]:
    """One document: mostly a component with something odd in its spec."""
    spec = st.lists(
        st.tuples(st.sampled_from(("x", "y", "z", "'q r'", "x", "? k", "1", "<<")), st.sampled_from(SCALARS)),
        max_size=3,
    )
    required = "spec:\n    type: service\n    lifecycle: production\n    owner: team\n"

    def made(head: str, name: str, members: list[tuple[str, str]]) -> str:
        return head.format(name=name) + required + "".join(f"    {key}: {value}\n" for key, value in members)

    name = st.sampled_from(NAMES[:3] * 8 + NAMES)
    return st.builds(made, st.sampled_from(HEADS), name, spec)


def files() -> st.SearchStrategy[str]:
    """Documents, and what may stand between them."""
    line = st.sampled_from(LINES)
    between = st.one_of(st.just("---"), st.just("---"), st.just("---"), line)
    rest = st.lists(st.tuples(between, documents()), max_size=2)
    whole = st.builds(
        lambda before, first, rest, after: "\n".join(
            [*before, first, *(f"{line}\n{text}" for line, text in rest), *after]
        ),
        st.lists(line, max_size=1),
        documents(),
        rest,
        st.lists(line, max_size=1),
    )
    torn = st.builds(
        lambda text, at, ending: text[: len(text) * at // 10] + ending,
        whole,
        st.integers(0, 10),
        st.sampled_from(("", "\n", ":", "\n x")),
    )
    return st.one_of(whole, whole, whole, torn, whole.map(lambda text: text.replace("\n", "\r\n")))


class Dry:
    """Dry runs of files that are served from a folder."""

    def __init__(self, folder: Path, base: str) -> None:
        self._folder, self._base = folder, base

    def requests(self) -> st.SearchStrategy[Request]:
        return files().map(self.request)

    def request(self, text: str) -> Request:
        """The request for a text, which is served from now on under the hash of itself."""
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
        (self._folder / name).write_bytes(text.encode())
        body = {"type": "url", "target": f"{self._base}/{name}"}
        return Request(post="/locations", query={"dryRun": "true"}, json=body)

    def text(self, request: Request) -> str:
        """The text behind a request."""
        name: str = urlsplit(request.json["target"]).path.lstrip("/")
        return (self._folder / name).read_bytes().decode()
