"""The filters that templates have besides the language's own: repository URLs, entity references, members by path.

Pure; what they need to know of the configured Git hosts is handed in. Names, schemas and examples are those that
`GET /v2/templating-extensions` of upstream tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from greenroom.errors import InputError
from greenroom.javascript.numbers import number_text
from greenroom.javascript.values import truthy
from greenroom.plugin import Example, TemplateFilter
from greenroom.urls.whatwg import InvalidUrlError, Url, parse
from greenroom_scaffolder.templating.json_text import stringified
from greenroom_scaffolder.templating.limits import Budget, Limits
from greenroom_scaffolder.templating.members import own
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    sees_undefined,
)

__all__ = ["backstage_filters", "parse_entity_ref", "parse_repo_url", "pick", "project_slug"]

TypeOf = Callable[[str], str | None]
"""Host (with its port) -> type of its integration, such as `github`; None of an unknown one."""

_PARTS = ("owner", "repo", "organization", "workspace", "project")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "bitbucketCloud": ("workspace", "project", "repo"),
    "bitbucketServer": ("project", "repo"),
    "azure": ("project", "repo"),
    "gitlab": ("owner", "repo"),
    "gitea": ("repo",),
    "gerrit": ("repo",),
}
_DRAFT = "http://json-schema.org/draft-07/schema#"
_DEFAULT_NAMESPACE = "default"


def _as_text(value: Any) -> str:
    """`String(value)`, of what a form may hold."""
    if type(value) is str:
        return value
    if isinstance(value, list):
        return ",".join("" if item is None else _as_text(item) for item in value)
    if isinstance(value, dict):
        raise InputError("Cannot convert object to primitive value")
    if type(value) in (int, float):
        return number_text(value)
    return {UNDEFINED: "undefined", None: "null", True: "true", False: "false"}[value]


def parse_repo_url(url: Any, type_of: TypeOf) -> dict[str, str]:
    """`github.com?owner=o&repo=r` -> `{host, owner, repo}`, or with the parts that other hosts have.

    Raises InputError for a host without integration, and where a part is missing that its type of host needs."""
    given = _as_text(url)
    try:
        parsed = parse(f"https://{given}")
    except InvalidUrlError as error:
        raise InputError(f"Invalid repo URL passed to publisher, got {given}, TypeError: Invalid URL") from error
    kind = type_of(parsed.host)
    if not kind:
        raise InputError(
            f"No matching integration configuration for host {parsed.host}, please check your integrations config"
        )
    parameters = dict(reversed(parsed.parameters()))
    if kind != "gitlab" or not parameters.get("project", "").strip("/"):
        _require(parsed, parameters, _REQUIRED.get(kind, ("repo", "owner")))
    return {"host": parsed.host} | {part: parameters[part].strip("/") for part in _PARTS if part in parameters}


def _require(url: Url, parameters: Mapping[str, str], parts: tuple[str, ...]) -> None:
    for part in parts:
        if not parameters.get(part):
            raise InputError(f"Invalid repo URL passed to publisher: {url.href}, missing {part}")


def project_slug(url: Any, type_of: TypeOf) -> str:
    """`owner/repo` of a repository URL. Raises InputError as `parse_repo_url`."""
    found = parse_repo_url(url, type_of)
    return f"{found.get('owner', 'undefined')}/{found.get('repo', 'undefined')}"


def parse_entity_ref(ref: Any, context: Any = None) -> dict[str, Any]:
    """`component:default/name` -> `{kind, namespace, name}`; `context` may have `defaultKind` and `defaultNamespace`.

    Raises InputError."""
    if not truthy(ref):
        raise InputError("Entity reference must not be empty")
    defaults = context if isinstance(context, dict) else {}
    given = _split_ref(ref) if type(ref) is str else ref if isinstance(ref, dict) else {}
    kind = _first(given.get("kind"), defaults.get("defaultKind"))
    namespace = _first(given.get("namespace"), defaults.get("defaultNamespace") or _DEFAULT_NAMESPACE)
    name = given.get("name")
    shown = stringified(ref, "", Budget(Limits()))
    if not kind:
        hint = '(e.g. did not start with "component:" or similar)'
        raise InputError(f"Entity reference {shown} had missing or empty kind {hint}")
    for what, value in (("namespace", namespace), ("name", name)):
        if not value:
            raise InputError(f"Entity reference {shown} had missing or empty {what}")
    return {"kind": kind, "namespace": namespace, "name": name}


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value


def _split_ref(ref: str) -> dict[str, str]:
    colon, slash = ref.find(":"), ref.find("/")
    if -1 < slash < colon:
        colon = -1
    found = {"name": ref[max(colon, slash) + 1 :]}
    if colon >= 0:
        found["kind"] = ref[:colon]
    if slash >= 0:
        found["namespace"] = ref[colon + 1 : slash]
    if not all(found.values()):
        raise InputError(f'Entity reference "{ref}" was not on the form [<kind>:][<namespace>/]<name>')
    return found


_DEEP = re.compile(r"\.|\[(?:[^\[\]]*|([\"'])(?:(?!\1)[^\\]|\\.)*?\1)\]", re.DOTALL)
_STEP = re.compile(
    r"[^.\[\]]+|\[(?:(-?\d+(?:\.\d+)?)|([\"'])((?:(?!\2)[^\\]|\\.)*?)\2)\]|(?=(?:\.|\[\])(?:\.|\[\]|\Z))", re.DOTALL
)


@sees_undefined
def pick(value: Any, path: Any = UNDEFINED, default: Any = UNDEFINED, *_: Any) -> Any:
    """The member at `a.b[0].c`; `default`, or UNDEFINED, where there is none. As lodash's `get`."""
    if value is None or value is UNDEFINED:
        return default
    steps = path if isinstance(path, list) else _steps(path, value)
    found = value
    for step in steps:
        if found is None:
            return default
        found = own(found, _as_text(step))
        if found is UNDEFINED:
            return default
    return found if steps else default


def _steps(path: Any, value: Any) -> list[str]:
    name = _as_text(path)
    if type(path) is not str or not _DEEP.search(name) or (isinstance(value, dict) and name in value):
        return [name]
    found = [re.sub(r"\\(\\)?", r"\1", step[3]) if step[2] else step[1] or step[0] for step in _STEP.finditer(name)]
    return ["", *found] if name.startswith(".") else found


def backstage_filters(type_of: TypeOf) -> tuple[TemplateFilter, ...]:
    """The four filters, with what is told about them."""

    @sees_undefined
    def repository(url: Any = UNDEFINED, *_: Any) -> Any:
        found = parse_repo_url(url, type_of)
        return {part: found.get(part, UNDEFINED) for part in ("host", *_PARTS)}

    @sees_undefined
    def slug(url: Any = UNDEFINED, *_: Any) -> Any:
        return project_slug(url, type_of)

    def entity(ref: Any = None, context: Any = None, *_: Any) -> Any:
        return parse_entity_ref(ref, context)

    applied: dict[str, Callable[..., Any]] = {
        "parseRepoUrl": repository,
        "parseEntityRef": entity,
        "pick": pick,
        "projectSlug": slug,
    }
    return tuple(TemplateFilter(name, apply, *_TOLD[name]) for name, apply in applied.items())


def _parts(required: list[str], *names: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": required,
        "additionalProperties": False,
        "description": description,
    }


def _log(step: str, message: str, end: str = "\n") -> str:
    return f"- id: log\n  name: {step}\n  action: debug:log\n  input:\n    message: ${{{{ {message} }}}}{end}"


_URL_INPUT = {"type": "string", "description": "repo URL as collected from repository picker", "$schema": _DRAFT}
_NAMES = ("kind", "namespace", "name")
_ENTITY = "`CompoundEntityRef`"
_DEFAULTS = {
    "defaultKind": {"type": "string", "description": "The default kind, if none is given in the reference"},
    "defaultNamespace": {"type": "string", "description": "The default namespace, if none is given in the reference"},
}
_TOLD: dict[str, tuple[str, Mapping[str, Any], tuple[Example, ...]]] = {
    "parseRepoUrl": (
        "Parses a repository URL into its constituent parts: owner, repository name, etc.",
        {
            "input": _URL_INPUT,
            "output": _parts(
                ["repo", "host"],
                "repo",
                "host",
                "owner",
                "organization",
                "workspace",
                "project",
                description="`RepoSpec`",
            )
            | {"$schema": _DRAFT},
        },
        (
            Example(
                "",
                _log("Parse Repo URL", "parameters.repoUrl | parseRepoUrl", ""),
                " - **Input**: `github.com?repo=backstage&owner=backstage`\n"
                '  - **Output**: `{"host":"github.com","owner":"backstage","repo":"backstage"}`\n',
            ),
        ),
    ),
    "parseEntityRef": (
        "Extracts the parts of an entity reference, such as the kind, namespace, and name.",
        {
            "input": {
                "anyOf": [
                    {"type": "string", "description": "compact entity reference"},
                    _parts(["name"], *_NAMES, description=_ENTITY),
                ],
                "$schema": _DRAFT,
            },
            "arguments": [
                {
                    "anyOf": [{"not": {}}, {"type": "object", "properties": _DEFAULTS, "additionalProperties": False}],
                    "$schema": _DRAFT,
                }
            ],
            "output": _parts([*_NAMES], *_NAMES, description=_ENTITY) | {"$schema": _DRAFT},
        },
        (
            Example(
                "Without context",
                _log("Parse Entity Reference", "parameters.owner | parseEntityRef"),
                "- **Input**: `group:techdocs`\n"
                '- **Output**: `{"kind": "group", "namespace": "default", "name": "techdocs"}`\n',
            ),
            Example(
                "With context",
                _log(
                    "Parse Entity Reference",
                    'parameters.owner | parseEntityRef({ defaultKind:"group", defaultNamespace:"another-namespace" })',
                ),
                "- **Input**: `techdocs`\n"
                '- **Arguments:**: `[{ "defaultKind": "group", "defaultNamespace": "another-namespace" }]`\n'
                '- **Output**: `{"kind": "group", "namespace": "another-namespace", "name": "techdocs"}`\n',
            ),
        ),
    ),
    "pick": (
        "Selects a specific property (e.g. kind, namespace, name) from an object.",
        {
            "input": {"$schema": _DRAFT},
            "arguments": [{"type": "string", "description": "Property", "$schema": _DRAFT}],
            "output": {"description": "Selected property", "$schema": _DRAFT},
        },
        (
            Example(
                "",
                _log("Pick", "parameters.owner | parseEntityRef | pick('name')", ""),
                "- **Input**: `{ kind: 'Group', namespace: 'default', name: 'techdocs'` }\n- **Output**: `techdocs`\n",
            ),
        ),
    ),
    "projectSlug": (
        "Generates a project slug from a repository URL.",
        {"input": _URL_INPUT, "output": {"type": "string", "$schema": _DRAFT}},
        (
            Example(
                "",
                _log("Project Slug", "parameters.repoUrl | projectSlug"),
                "- **Input**: `github.com?repo=backstage&owner=backstage`\n- **Output**: backstage/backstage\n",
            ),
        ),
    ),
}
