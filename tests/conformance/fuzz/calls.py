"""Hypothesis strategies: requests to every operation of the scaffolder, right, a little wrong and quite wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import hypothesis.strategies as st

from tests.conformance.fuzz.asking import ODD_TEXT, Made, mostly
from tests.conformance.fuzz.forms import filled_in
from tests.conformance.fuzz.operating import HEADERS, UNKNOWN, dressed, respelled
from tests.conformance.fuzz.templates import Case, as_dry_run, cases
from tests.conformance.scaffolder_sides import API
from tests.conformance.script import TOKEN, Request

Drawn = st.SearchStrategy[Any]

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e21, "", "x", "é ü", "x" * 3000, [], {}, [None], ["x"], [[1]], {"a": 1},
    {"": None}, {"a": {"b": [{}]}}, "${{ parameters.name }}", "${{", "template:default/x", "-1", "null",
)  # fmt: skip
BODIES = (
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "{}",
    '{"a": 1',
    "\ufeff{}",
    '{"values": {"a": 1e999}}',
    '{"a":1}{"b":2}',
    "é",
    "[1,]",
    "undefined",
)
REFS = (
    "", ":", "x", "a:b", "a/b", "a:b/c", "a:b/c/d", "template:", "template:/x", "template:default/", "Template:Default/R0-0",
    "template:default/nope", "component:default/gate", "user:guest", "TEMPLATE:nope", "template:nope/r0-0", " r0-0", "r0-0 ",
    "é", "a b",
    "template:default/r0-0?x=1", "template:default%2Fr0-0", "[object Object]", ":::", "//", "a::b", "x" * 300,
)  # fmt: skip
IDS = (UNKNOWN, "nope", "0", "%00", "é", UNKNOWN.upper(), f"{UNKNOWN}x", "1;drop", "..", "a%2Fb", " ", "{}", "null")
AFTERS = ("0", "1", "3", "999999", "-1", "")
ODD_AFTERS = (
    "1e3",
    " 1",
    "0x1",
    "1&after=2",
    "1.5",
    "x",
    "1e21",
    "9007199254740993",
    "null",
    "true",
    "99999999999999999999",
    "%",
)
"""To an event stream, upstream answers most of these with a head, and then with nothing ever."""
TOKENS = ("${guest}", "${guest}", "nope", "a.b.c", "", None)
PATHS = (
    "/v2", "/v2/", "/v2/tasks", "/v2/tasks/", "/v2/templating-extensions", "/v2/dry-run", "/v2/autocomplete",
    "/v2/autocomplete/a",
    "/v2/autocomplete/a/b", "/v2/autocomplete/a/b/c", f"/v2/tasks/{UNKNOWN}", f"/v2/tasks/{UNKNOWN}/events",
    f"/v2/tasks/{UNKNOWN}/cancel",
    f"/v2/tasks/{UNKNOWN}/retry", f"/v2/tasks/{UNKNOWN}/eventstream", f"/v2/tasks/{UNKNOWN}/nope", "/v2/templates",
    "/v1/tasks", "/v2/TASKS",
    "/v2/templates/default/template/nope/parameter-schema", "/v2/templates/default/template/nope", "", "/", "/nowhere",
    "/openapi.json",
    "/.well-known/backstage/permissions/metadata", "/.backstage/permissions/metadata", "/.backstage/health/v1/readiness",
)  # fmt: skip
VERBS = ("get", "post", "put", "delete", "head", "options", "patch")


def get(path: str) -> Request:
    """A question at an address, as a browser would spell it."""
    return Request(get=spelled(path))


def post(path: str, said: Any) -> Request:
    return Request(post=spelled(path), json=said)


def spelled(path: str) -> str:
    return API + quote(path, safe="/%?&=:,;${}|'()*!~")


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all that is inside of a JSON value."""
    if at:
        yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*at, key))


@st.composite
def spoiled(draw: st.DrawFn, value: Any, times: int = 1) -> Any:
    """The value with something in it that is another, missing, or one too many."""
    value, odd = copy.deepcopy(value), st.sampled_from(ODD).map(copy.deepcopy)
    for _ in range(times):
        ways = list(places(value))
        if not ways:
            break
        *way, last = draw(st.sampled_from(ways))
        inside = value
        for key in way:
            inside = inside[key]
        match draw(st.sampled_from(("other", "other", "other", "gone", "more"))):
            case "gone":
                del inside[last]
            case "more" if isinstance(inside, dict):
                inside[draw(st.sampled_from(("x", "$ref", "", "id", "if", "each")))] = draw(odd)
            case _:
                inside[last] = draw(odd)
    return value


def without_files(case: Case) -> dict[str, Any]:
    """A short dry run."""
    return {**as_dry_run(case), "directoryContents": as_dry_run(case)["directoryContents"][:2]}


class Calls:
    """Strategies about some templates and ended tasks."""

    def __init__(self, forms: dict[str, Any], tasks: Sequence[str]) -> None:
        """`forms` are the parameters of templates by name; `tasks` name the variables that hold ids of tasks."""
        self._forms = forms
        self._names = sorted(forms)
        self._tasks = [f"${{{name}}}" for name in tasks]

    def requests(self) -> Made:
        """Any question that changes no task that there is."""
        return st.one_of(
            self.form(), self.created(), self.created(), self.created_wrongly(), self.tried_out_wrongly(),
            self.tried_out_wrongly(),
            self.looked_at(), self.looked_at(), self.listed(), self.done_to_none(), self.completed(), self.raw(), self.anywhere(),
            self.dressed(), self.dressed(),
        )  # fmt: skip

    def form(self) -> Made:
        name = mostly(st.sampled_from(self._names), st.sampled_from(("nope", "R0-0", "gate", "é", "a%2Fb", "..")), of=5)
        kind = mostly(st.just("template"), st.sampled_from(("Template", "component", "TEMPLATE", "é", "%20")), of=5)
        namespace = mostly(st.just("default"), st.sampled_from(("Default", "nope", "é")), of=6)
        return st.builds(lambda *parts: get(f"/templates/{'/'.join(parts)}/parameter-schema"), namespace, kind, name)

    def created(self) -> Made:
        """With values that its form takes, or refuses."""

        def body(name: str) -> Drawn:
            filled = filled_in(self._forms[name]) if self._forms[name] else st.just({"name": "harbour"})
            values = mostly(filled, filled.flatmap(spoiled), of=4)
            secrets = st.sampled_from(
                ({}, {"KEY": "s3cr3t-value"}, {"KEY": ""}, {"KEY": 5}, {"KEY": "abc", "other": "x"})
            )
            return st.fixed_dictionaries(
                {"templateRef": st.just(f"template:default/{name}"), "values": values}, optional={"secrets": secrets}
            )

        return st.sampled_from(self._names).flatmap(body).map(lambda said: post("/tasks", said))

    def created_wrongly(self) -> Made:
        right = {
            "templateRef": f"template:default/{self._names[0]}",
            "values": {"name": "x", "list": [1]},
            "secrets": {"KEY": "v"},
        }
        ref = st.sampled_from(REFS).map(lambda ref: {**right, "templateRef": ref})
        return st.one_of(ref, spoiled(right), spoiled(right, 2)).map(lambda said: post("/tasks", said))

    def tried_out_wrongly(self) -> Made:
        body = cases().map(without_files).flatmap(lambda right: spoiled(right) | spoiled(right, 2))
        return body.map(lambda said: post("/dry-run", said))

    def looked_at(self) -> Made:
        """Tasks that have ended, and what is no task."""
        id_ = mostly(st.sampled_from(self._tasks or [UNKNOWN]), st.sampled_from(IDS), of=4)
        what = st.sampled_from(("", "/events", "/events", "/eventstream"))
        after = mostly(st.sampled_from(("", "?after=0")), st.sampled_from(AFTERS).map("?after={}".format), of=2)
        odd = st.builds(lambda id_, after: get(f"/tasks/{id_}/events?after={after}"), id_, st.sampled_from(ODD_AFTERS))
        usual = st.builds(lambda id_, what, after: get(f"/tasks/{id_}{what}{after}"), id_, what, after)
        return mostly(usual, odd, of=8)

    def listed(self) -> Made:
        """Odd parameters: none of the tasks of services, which come in any order."""
        odd = st.sampled_from(
            (
                "x",
                "",
                "1",
                "-1",
                "0",
                "1.5",
                "1e3",
                "null",
                "desc:",
                "asc:created_at,desc:status",
                "é",
                "[]",
                "99999999999999999999",
            )
        )
        keys = st.sampled_from(("createdBy", "status", "order", "limit", "offset", "x", "status[]"))
        query = st.lists(st.tuples(keys, odd), min_size=1, max_size=3)
        nobody = [("createdBy", "user:default/nobody")]
        return query.map(lambda asked: get("/tasks?" + "&".join(f"{key}={value}" for key, value in (*nobody, *asked))))

    def done_to_none(self) -> Made:
        """Tasks that there are not, cancelled and begun again."""
        verb = st.sampled_from(("cancel", "retry"))
        body = st.sampled_from(({}, {"startOver": True}, {"secrets": {"a": "b"}}, {"secrets": {"a": 1}}, *ODD))
        return st.builds(
            lambda id_, verb, said: post(f"/tasks/{id_}/{verb}", said),
            st.sampled_from(IDS),
            verb,
            body,
        )

    def completed(self) -> Made:
        """Autocompletion, of which there is none."""
        right = {"token": "t", "context": {"owner": "x"}}
        body = mostly(st.just(right), spoiled(right) | st.sampled_from(ODD), of=2)
        path = st.sampled_from(("nope/x", "a%20b/é", "nope/", "no/such/path"))
        return st.builds(lambda path, said: post(f"/autocomplete/{path}", said), path, body)

    def raw(self) -> Made:
        """Bodies that are hardly JSON."""
        path = st.sampled_from(
            ("/tasks", "/dry-run", f"/tasks/{UNKNOWN}/cancel", f"/tasks/{UNKNOWN}/retry", "/autocomplete/a/b")
        )
        type_ = mostly(st.just("application/json"), st.sampled_from(HEADERS["Content-Type"]), of=3)
        return st.builds(
            lambda path, text, type_: Request(post=f"{API}{path}", raw=text, headers={"Content-Type": type_}),
            path, st.sampled_from(BODIES) | ODD_TEXT, type_,
        )  # fmt: skip

    def anywhere(self) -> Made:
        """Any verb on any path, without a body."""
        change = mostly(st.just(""), st.sampled_from(("slash", "upper", "escape", "query")), 2)
        token = mostly(st.just(TOKEN), st.sampled_from(TOKENS), 4)
        return st.builds(
            lambda path, verb, change, token: _by(verb, "/api/scaffolder" + (respelled(path, change) if path else ""), token),
            st.sampled_from(PATHS), st.sampled_from(VERBS), change, token,
        )  # fmt: skip

    def dressed(self) -> Made:
        """The same with other headers, by somebody else. Nobody creates tasks: they would be in the lists of the guest."""
        plain = st.one_of(
            self.form(),
            self.tried_out_wrongly(),
            self.looked_at(),
            self.listed(),
            self.done_to_none(),
            self.completed(),
        )
        names = st.lists(st.sampled_from(sorted(set(HEADERS) - {"Content-Type"})), max_size=2, unique=True)
        headers = names.flatmap(
            lambda some: st.fixed_dictionaries({name: st.sampled_from(HEADERS[name]) for name in some})
        )
        token = mostly(st.just(TOKEN), st.sampled_from(TOKENS), 2)
        return st.builds(dressed, plain, headers, token, mostly(st.just(False), st.just(True), 4))


def _by(verb: str, path: str, token: str | None) -> Request:
    asked: dict[str, Any] = {verb: path, "as_": token}
    return Request(**asked)


def described(request: Request) -> str:
    """What it says, for who reads of a difference."""
    return json.dumps(
        {"body": request.json if request.raw is None else request.raw, "headers": request.headers, "as": request.as_},
        default=str,
    )
