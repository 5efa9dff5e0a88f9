"""Hypothesis strategies: requests to the other operations (locations, validation, analysis, what is not served), and the same
requests in other clothes: other verbs, headers, tokens and spellings of the path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import msgspec

from tests.conformance.fuzz.asking import ODD_TEXT, Ask, Made, mostly
from tests.conformance.fuzz.entities import entities
from tests.conformance.fuzz.following import GOT, Following
from tests.conformance.fuzz.vocabulary import Vocabulary
from tests.conformance.script import TOKEN, Order, Request

UNKNOWN = "00000000-0000-4000-8000-000000000000"
TOKENS = (
    "only-reading-the-catalog", "nothing-at-all", "only-entity-read", "only-location-read", "only-refreshing",
    "only-registering", "only-unregistering", "only-analyzing", "only-validating", "${guest}", "${guest}", "nope", "a.b.c", None,
)  # fmt: skip
"""Those of the data set `denied`, a user's, and none."""

HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": ("application/json", "text/html", "*/*", "application/xml;q=0.9", "", "nonsense"),
    "Accept-Encoding": ("identity", "gzip", "gzip;q=0"),
    "If-None-Match": ("*", 'W/"x"', '"x"', "x", ""),
    "If-Match": ("*", '"x"'),
    "If-Modified-Since": ("Wed, 21 Oct 2099 07:28:00 GMT", "yesterday"),
    "Cache-Control": ("no-cache", "max-age=0"),
    "Content-Type": ("application/json", "text/plain", "application/json; charset=utf-8", "x", "multipart/form-data"),
    "Origin": ("http://127.0.0.1:3999", "https://evil.example.net", "null", ""),
    "Range": ("bytes=0-1", "x"),
    "X-Requested-With": ("XMLHttpRequest",),
}

PATHS = (
    "/entities", "/entities/by-query", "/entities/by-refs", "/entities/by-uid/nope", "/entities/by-name/component/default/alpha",
    "/entities/by-name/component/default/alpha/ancestry", "/entity-facets", "/locations", f"/locations/{UNKNOWN}",
    "/locations/by-query", "/locations/by-entity/component/default/alpha", "/refresh", "/analyze-location",
    "/validate-entity", "/entities/unprocessed/pending", "/entities/unprocessed/failed",
    f"/entities/unprocessed/delete/{UNKNOWN}", "/nowhere", "/", "/entities/by-name", "/entities/by-name/a/b",
    "/.backstage/permissions/metadata", "/.well-known/backstage/permissions/metadata",
)  # fmt: skip

REFS = (
    "url:https://git.example.com/o/r/blob/main/catalog-info.yaml", "file:/tmp/x.yaml", "url:", ":x", "x", "", "url", " url:x",
    "gopher:x", "url:not a url", "url:https://git.example.com/%zz", "a:b:c",
)  # fmt: skip
SEGMENTS = (
    "o", "r", "r.git", "tree", "blob", "main", "-", "_git", "src", "scm", "p", "projects", "repos", "browse", "raw", "edit",
    "catalog-info.yaml", "a%20b", "é", "x.y", "", "feature", "O",
)  # fmt: skip
HOSTS = (
    "github.com", "gitlab.com", "bitbucket.org", "dev.azure.com", "git.example.net", "GitHub.com", "gitea.example.net:3000",
    "user@git.example.net", "git.example.net.", "127.0.0.1",
)  # fmt: skip
SCHEMES = ("https://", "https://", "https://", "http://", "git@", "ssh://git@", "git://", "ftp://", "", "//", "file://")


class Operate:
    """Strategies about one vocabulary, some served files and registered locations."""

    def __init__(self, known: Vocabulary, files: str, registered: Sequence[str], served: Sequence[str]) -> None:
        """`registered` are variables that hold ids of locations; `served` names of files at `files`."""
        self._ask = Ask(known)
        self._known, self._files = known, files
        self._ids = [f"${{{name}}}" for name in registered]
        self._targets = [f"{files}/{name}" for name in served]

    def requests(self) -> Made:
        """Any question that changes nothing."""
        return st.one_of(
            self.validated(), self.analyzed(), self.locations(), self.found(), self.by_entity(), self.tried_out(),
            self.unprocessed(), self.dressed(), self.dressed(), self.anywhere(), self.continued(), self.continued(),
            self.told_before(),
        )  # fmt: skip

    def validated(self) -> Made:
        """An entity that is tried out."""
        odd: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | ODD_TEXT | st.just([])
        body = st.fixed_dictionaries({"entity": mostly(entities(), odd), "location": st.sampled_from(REFS) | odd})
        less = st.fixed_dictionaries({}, optional={"entity": entities(), "location": st.sampled_from(REFS), "x": odd})
        return mostly(body, less).map(lambda said: Request(post="/validate-entity", json=said))

    def analyzed(self) -> Made:
        """Addresses of repositories."""
        address = st.builds(
            lambda scheme, host, path, tail: f"{scheme}{host}{path and '/'}{path}{tail}",
            st.sampled_from(SCHEMES),
            st.sampled_from(HOSTS),
            st.lists(st.sampled_from(SEGMENTS), max_size=6).map("/".join),
            st.sampled_from(("", "", "", "?x=1", "#f", "?path=/a.yaml&version=GBmain", "/")),
        )
        location = st.fixed_dictionaries({"type": st.just("url"), "target": mostly(address, ODD_TEXT)})
        body = st.fixed_dictionaries({"location": location}, optional={"catalogFilename": st.just("x.yaml")})
        return body.map(lambda said: Request(post="/analyze-location", json=said))

    def locations(self) -> Made:
        one = st.sampled_from([*self._ids, UNKNOWN]).map(lambda id_: Request(get=f"/locations/{id_}"))
        query: st.SearchStrategy[dict[str, Any]] = st.sampled_from(({}, {}, {"x": "1"}))
        return one | query.map(lambda asked: Request(get="/locations", query=asked, order="any"))

    def found(self) -> Made:
        """By predicate."""
        values = {"type": ["url", "file"], "target": self._targets, "id": [*self._ids, UNKNOWN], "entityRef": ["x"]}
        ask = Ask(Vocabulary([], values, [], []), spelled=list(values))

        def made(body: dict[str, Any], walk: bool) -> Request:
            walk = walk and isinstance(body.get("limit"), int) and body["limit"] > 0
            return Request(post="/locations/by-query", json=body, order="any" if walk else "count", walk=walk)

        body = st.fixed_dictionaries({}, optional={"query": ask.predicate(), "limit": st.integers(0, 5)})
        return st.builds(made, body, st.booleans())

    def by_entity(self) -> Made:
        ref = st.sampled_from([*self._known.refs, "component:default/nope"])
        path = ref.map(lambda ref: ref.replace(":", "/", 1))
        return path.map(lambda path: Request(get=f"/locations/by-entity/{path}"))

    def tried_out(self) -> Made:
        """Dry runs, of files that are there and of others."""
        target = mostly(st.sampled_from(self._targets), st.sampled_from(REFS).map(lambda ref: ref[4:]) | ODD_TEXT)
        type_ = mostly(st.just("url"), st.sampled_from(("file", "x", "", "URL")))
        body = st.fixed_dictionaries({"type": type_, "target": target}, optional={"presence": st.just("optional")})
        dry = mostly(st.just("true"), st.sampled_from(("1", "TRUE", "yes", "on", "Y", " true ")), 6)
        return st.builds(lambda said, dry: Request(post="/locations", query={"dryRun": dry}, json=said), body, dry)

    def unprocessed(self) -> Made:
        owner = st.sampled_from([*self._known.values.get("spec.owner", []), "nope", ""])
        query = st.fixed_dictionaries({}, optional={"owner": owner})
        path = st.sampled_from(("/entities/unprocessed/pending", "/entities/unprocessed/failed"))
        return st.builds(lambda path, asked: Request(get=path, query=asked, order="any"), path, query)

    # --- the same otherwise -------------------------------------------------------------------------------------------

    def dressed(self) -> Made:
        """A question by another verb, with other headers, by somebody else."""
        plain = st.one_of(
            self._ask.listed(), self._ask.paged(), self._ask.by_query_get(), self._ask.by_query_post(), self._ask.facets_get(),
            self._ask.by_refs(), self._ask.named(), self.validated(), self.found(), self.locations(), self.by_entity(),
            self.tried_out(), self.unprocessed(),
        )  # fmt: skip
        return st.builds(dressed, plain, self._headers(), mostly(st.just(TOKEN), st.sampled_from(TOKENS), 2),
                         mostly(st.just(False), st.just(True), 4))  # fmt: skip

    def _headers(self) -> st.SearchStrategy[dict[str, str]]:
        names = st.lists(st.sampled_from(sorted(HEADERS)), max_size=2, unique=True)
        return names.flatmap(
            lambda some: st.fixed_dictionaries({name: st.sampled_from(HEADERS[name]) for name in some})
        )

    def anywhere(self) -> Made:
        """Any verb on any path, without a body."""

        def made(path: str, verb: str, change: str, headers: dict[str, str], token: str | None) -> Request:
            order: Order = "count" if verb in ("get", "post") else "exact"
            asked = {verb: respelled(path, change), "headers": headers, "as": token, "order": order}
            return msgspec.convert(asked, Request)

        verb = st.sampled_from(("get", "post", "put", "delete", "head", "options", "patch"))
        change = mostly(st.just(""), st.sampled_from(("slash", "double", "upper", "escape", "query", "dot")), 2)
        token = mostly(st.just(TOKEN), st.sampled_from(TOKENS), 4)
        return st.builds(made, st.sampled_from(PATHS), verb, change, self._headers(), token)

    def continued(self) -> Made:
        """A cursor that is used with whatever else can be said."""

        def made(
            key: str | None, way: str, limit: int, filters: list[str] | None, by: str, other: dict[str, Any]
        ) -> Request:
            order: Order = "count" if key is None or "fields" in other else {"values": key}
            asked: dict[str, Any] = {"limit": limit} | ({"filter": filters} if filters else {})
            first = Request(
                get="/entities/by-query", query=asked | ({"orderField": [f"{key},{way}"]} if key else {}), order="count"
            )
            said = {"cursor": GOT} | other
            if by == "post":
                body = {
                    key: value
                    for key, value in said.items()
                    if key in ("cursor", "limit", "offset", "fields", "totalItems")
                }
                return Following(
                    post="/entities/by-query", json=body, order=order, first=first, take="pageInfo.nextCursor"
                )
            return Following(get="/entities/by-query", query=said, order=order, first=first, take="pageInfo.nextCursor")

        key = st.none() | st.sampled_from([key for key in self._known.sortable if "," not in key] or ["kind"])
        other = st.fixed_dictionaries({}, optional={
            "limit": st.integers(0, 9), "offset": st.integers(0, 9), "fields": self._ask.fields(),
            "filter": self._ask.filters(), "orderField": st.just(["kind,desc"]), "fullTextFilterTerm": st.just("a"),
            "totalItems": st.sampled_from(("include", "exclude")),
        })  # fmt: skip
        return st.builds(
            made, key, st.sampled_from(("asc", "desc")), st.integers(1, 6), st.none() | self._ask.filters(),
            st.sampled_from(("get", "post")), other,
        )  # fmt: skip

    def told_before(self) -> Made:
        """What the client has already."""

        def made(request: Request, tag: str, headers: dict[str, str]) -> Request:
            asked = msgspec.to_builtins(msgspec.structs.replace(request, headers=headers | {"If-None-Match": tag}))
            return msgspec.convert({**asked, "first": request, "take": "@etag"}, Following)

        plain = (
            self._ask.named()
            | self._ask.facets_get()
            | self._ask.by_query_get()
            | self.locations()
            | self._ask.listed()
        )
        tag = st.sampled_from((GOT, GOT, f'"x", {GOT}', f"W/{GOT}", f"{GOT},"))
        headers: st.SearchStrategy[dict[str, str]] = st.sampled_from(({}, {}, {"Cache-Control": "no-cache"}))
        return st.builds(made, plain, tag, headers)


def dressed(request: Request, headers: dict[str, str], token: str | None, head: bool) -> Request:
    if request.json is not msgspec.UNSET:
        headers = {name: value for name, value in headers.items() if name != "Content-Type"}
    order: Order = "count" if request.walk else request.order
    request = msgspec.structs.replace(request, headers=headers, as_=token, walk=False, order=order)
    if head and request.get is not None:
        return msgspec.structs.replace(request, get=None, head=request.get)
    return request


def respelled(path: str, change: str) -> str:
    if change == "slash":
        return f"{path}/"
    if change == "double":
        return f"/{path}"
    if change == "upper":
        return path.upper()
    if change == "escape":
        return path.replace("e", "%65", 1)
    if change == "query":
        return f"{path}?x=1&x=2"
    return f"/.{path}" if change == "dot" else path
