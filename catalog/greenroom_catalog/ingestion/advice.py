"""fault -> advice: a name for what is wrong, and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from greenroom.entity import EntityRefError
from greenroom.errors import NotAllowedError
from greenroom_catalog.ingestion.check import Fault, Path, look_up, nearest_kind
from greenroom_catalog.ingestion.parser import Broken
from greenroom_catalog.ingestion.spelling import as_key, as_name, as_namespace, as_tag, nearest
from greenroom_catalog.model import KINDS


class Fix(NamedTuple):
    """What to write in a file: `text` in the place of the value at `path`, or of its key; `insert`: a line before it.

    As a function, `text` gets what is written there now."""

    path: Path
    text: str | Callable[[str], str]
    of_key: bool = False
    insert: bool = False


class Advice(NamedTuple):
    """`code` is a stable slug, `hint` a sentence for a person."""

    code: str
    hint: str | None = None
    fix: Fix | None = None


def advise(fault: Fault, value: Mapping[str, Any]) -> Advice:
    """What to do about a fault of the document."""
    if isinstance(fault.error, NotAllowedError):
        kind = value.get("kind")
        return Advice("kind-not-allowed", f"allow it: add {kind!r} to an entry of `catalog.rules` in the app-config")
    if isinstance(fault.error.cause, EntityRefError):
        return _on_reference(fault, value)
    if "ModelProcessor" in fault.message:
        return Advice("malformed-value")
    if fault.problem is not None:
        return _on_schema(fault, value)
    return _on_format(fault, value)


def advise_on_yaml(broken: Broken, line: str) -> Advice:
    """What to do about a document that cannot be read; `line` is the text of its line."""
    message = broken.message
    for part, code, hint in _YAML:
        if part in message:
            return Advice(code, hint)
    if broken.name == "Error":
        return Advice(
            "not-an-object", "a document of a catalog file is one entity: `apiVersion`, `kind`, `metadata`, `spec`"
        )
    if broken.name != "YAMLParseError":
        return Advice("yaml-limit" if broken.name == "RangeError" else "yaml-alias")
    if "\t" in line:
        return Advice("yaml-tab", "indent with spaces: YAML allows no tabs there")
    return Advice("yaml-syntax", "quote the templating" if "{{" in line else None)


def quotes_for(line: str, column: int) -> tuple[int, int, str] | None:
    """The value that begins at a column (from 0) of a line, up to its end, and how it reads in quotes."""
    ends = r"(?=[,}\]]|\s*$|\s+#)" if re.search(r"[{\[]", line[:column]) else r"(?=\s*$|\s+#)"
    found = re.compile(rf"[^\s\"'].*?{ends}").match(line, column)
    return None if found is None else (found.start(), found.end(), _quoted(found[0]))


_YAML = (
    ("Map keys must be unique", "yaml-duplicate-key", "keep one of the two, or join what they say"),
    ("Tabs are not allowed", "yaml-tab", "indent with spaces: YAML allows no tabs there"),
    ("cannot start with reserved character", "yaml-reserved-character", "put the value in quotes"),
    ("cannot start with directive indicator", "yaml-reserved-character", "put the value in quotes"),
    ("Nested mappings are not allowed", "yaml-colon", "put a value that holds `: ` in quotes"),
    ("Missing closing", "yaml-quote", "close the quote, or use the other kind of quote around it"),
    ("Invalid escape sequence", "yaml-escape", "use single quotes, in which a backslash is a backslash"),
    (
        "Unresolved alias",
        "yaml-alias",
        "a value that starts with `*` needs quotes, unless it repeats an `&anchor` above it",
    ),
    ("All mapping items must start at the same column", "yaml-indentation", "indent all keys of a mapping alike"),
    ("All sequence items must start at the same column", "yaml-indentation", "indent all items of a list alike"),
    (
        "Implicit keys need to be on a single line",
        "yaml-syntax",
        "is a colon missing after the key, or a quote around the text?",
    ),
    ("Implicit map keys need to be followed by map values", "yaml-syntax", "is a colon missing after the key?"),
)


_MISSING: Mapping[str, str] = {
    "apiVersion": "start with `apiVersion: backstage.io/v1alpha1`",
    "kind": f"say what it is: one of {', '.join(sorted({name for _, name in KINDS}))}",
    "metadata": "add `metadata:` with a `name` below it",
    "name": "add `name:` below `metadata:`",
    "spec": "add `spec:` with what the kind asks for below it",
    "owner": "say who owns it: `owner: group:NAME`, or a user's `owner: user:NAME`",
    "lifecycle": "say how far it is: `lifecycle: experimental`, `production` or `deprecated`",
    "type": "say of what type it is, such as `type: service`, `website`, `library`, `openapi`, `team`",
    "definition": "give the API's definition; `definition: {$text: ./openapi.yaml}` takes it from a file",
    "children": "a group without groups below it says `children: []`",
    "memberOf": "a user of no group says `memberOf: []`",
    "steps": "a template needs `steps:`, a list of actions",
    "action": "say which action the step runs: `action: fetch:template`",
    "url": "a link needs a `url:`",
}
_INSERTS = {"children": "children: []", "memberOf": "memberOf: []", "apiVersion": "apiVersion: backstage.io/v1alpha1"}


def _on_schema(fault: Fault, value: Mapping[str, Any]) -> Advice:
    problem = fault.problem
    params: Mapping[str, Any] = {} if problem is None else problem.params
    if fault.is_missing:
        return _on_missing(fault.path, value)
    if "additionalProperty" in params:
        return _on_unknown_field(fault.path, value)
    found = look_up(value, fault.path)
    if "type" in params:
        return _on_type(str(params["type"]), found, fault.path)
    if "allowedValues" in params:
        return _on_value(str(params["allowedValues"]).split(","), found, fault.path)
    if "limit" in params:
        return Advice("empty-value", "give it a value, or remove the line")
    return Advice("malformed-value")


def _on_missing(path: Path, value: Mapping[str, Any]) -> Advice:
    name, holder = str(path[-1]), look_up(value, path[:-1])
    siblings = list(holder) if isinstance(holder, dict) else []
    if (like := nearest(name, siblings)) is not None:
        return Advice(
            "missing-field", f"did you mean `{name}` by `{like}`?", Fix((*path[:-1], like), name, of_key=True)
        )
    fix = None
    if name in _INSERTS and siblings:
        fix = Fix((*path[:-1], siblings[0]), _INSERTS[name], insert=True)
    return Advice("missing-field", _MISSING.get(name, f"add `{name}:`"), fix)


def _on_unknown_field(path: Path, value: Mapping[str, Any]) -> Advice:
    name = str(path[-1])
    if path in (("relations",), ("status",)):
        return Advice("catalog-writes-this", f"remove `{name}`: the catalog writes it itself")
    if len(path) == 1:
        known = [field for field in ("apiVersion", "kind", "metadata", "spec") if field not in value]
        if (like := nearest(name, known)) is not None:
            return Advice("unknown-field", f"did you mean `{like}`?", Fix(path, like, of_key=True))
        return Advice("unknown-field", f"move `{name}` below `metadata` or `spec`: an entity has no other parts")
    return Advice("unknown-field", f"remove `{name}`")


def _on_type(wanted: str, found: object, path: Path) -> Advice:
    if found is None:
        hint = "give it a value, or remove the line"
        return Advice("wrong-type", hint, Fix(path, "[]") if wanted == "array" else None)
    if wanted == "string":
        if isinstance(found, bool | int | float):
            return Advice(
                "wrong-type", "put it in quotes: YAML reads it as something else than text", Fix(path, _quoted)
            )
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], str):
            return Advice("wrong-type", "one text is meant to be here, and no list")
        if isinstance(found, dict) and any("{" in str(key) for key in found):
            return Advice("wrong-type", "put the templating in quotes: YAML reads braces as a mapping")
        return Advice("wrong-type", "write a text here")
    if wanted == "array":
        fix = Fix(path, lambda text: f"[{text}]") if isinstance(found, str) and found else None
        return Advice("wrong-type", "write a list: `[a, b]`, or a line `- a` for each item", fix)
    if wanted == "object":
        return Advice("wrong-type", "write `key: value` lines below it")
    return Advice("wrong-type")


def _on_value(allowed: list[str], found: object, path: Path) -> Advice:
    like = nearest(found, allowed) if isinstance(found, str) else None
    if like is not None:
        return Advice("unknown-value", f"did you mean `{like}`?", Fix(path, like))
    return Advice("unknown-value", f"one of {', '.join(allowed)}")


def _on_reference(fault: Fault, value: Mapping[str, Any]) -> Advice:
    found = look_up(value, fault.path)
    if not isinstance(found, str) or not found:
        return Advice("malformed-reference", "write a reference, such as `group:default/team`")
    if "missing or empty kind" in fault.message:
        return Advice("reference-without-kind", f"say of what kind it is: `component:{found}` or `resource:{found}`")
    return Advice("malformed-reference", "write it as `[kind:][namespace/]name`, no part of it empty")


def _on_format(fault: Fault, value: Mapping[str, Any]) -> Advice:
    path, found = fault.path, look_up(value, fault.path)
    if path == ("kind",) and fault.error.cause is None:
        return _on_unknown_kind(value)
    if path == ("metadata", "annotations"):
        return Advice("wrong-type", "write `key: value` lines below it")
    if "${{" in str(found) or "{%" in str(found) or "${{" in str(path[-1]):
        return Advice(
            _FORMATS.get(path[:2], "malformed-value"), "the skeleton of a template is right only once it is rendered"
        )
    if path == ("apiVersion",):
        return Advice("malformed-api-version", "write `backstage.io/v1alpha1`", Fix(path, "backstage.io/v1alpha1"))
    if path == ("kind",):
        return Advice("malformed-kind", "a kind is letters and digits, such as `Component`")
    if path[:2] == ("metadata", "labels") and found and fault.message.endswith(_found(found)):
        return _respell("malformed-label-value", path, as_name(str(found)))
    if path[:2] in (("metadata", "labels"), ("metadata", "annotations")):
        advice = _respell(_FORMATS[path[:2]], path, as_key(str(path[-1])))
        return advice._replace(fix=advice.fix._replace(of_key=True) if advice.fix is not None else None)
    if path[:2] in _SPELLINGS:
        return _respell(_FORMATS[path[:2]], path, _SPELLINGS[path[:2]](str(found)))
    if path[:2] == ("metadata", "links"):
        return _on_link(path, found)
    return _on_unknown_field(path, value)


_FORMATS: Mapping[Path, str] = {
    ("metadata", "name"): "malformed-name",
    ("metadata", "namespace"): "malformed-namespace",
    ("metadata", "labels"): "malformed-label-key",
    ("metadata", "annotations"): "malformed-annotation-key",
    ("metadata", "tags"): "malformed-tag",
    ("metadata", "links"): "malformed-link",
    ("apiVersion",): "malformed-api-version",
    ("kind",): "malformed-kind",
}
_SPELLINGS: Mapping[Path, Callable[[str], str]] = {
    ("metadata", "name"): as_name,
    ("metadata", "namespace"): as_namespace,
    ("metadata", "tags"): as_tag,
}


def _found(value: object) -> str:
    """How a message about the value of a label says what it found, and not one about its key."""
    return f'found "{value}". {_LEARN_MORE}'


_LEARN_MORE = (
    "To learn more about catalog file format, visit: "
    "https://github.com/backstage/backstage/blob/master/docs/architecture-decisions/adr002-default-catalog-file-format.md"
)


def _respell(code: str, path: Path, text: str) -> Advice:
    return Advice(code, f"write `{text}`", Fix(path, plain(text))) if text else Advice(code)


def _on_link(path: Path, found: object) -> Advice:
    if path[-1] != "url":
        return Advice("malformed-link", "give it a text, or remove the line")
    text = str(found)
    if re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+([/:?#]|$)", text):
        return Advice("malformed-link", f"say how to get there: `https://{text}`", Fix(path, plain(f"https://{text}")))
    return Advice("malformed-link", "write a whole address, such as `https://example.com/page`")


def _on_unknown_kind(value: Mapping[str, Any]) -> Advice:
    kind, version = value.get("kind"), value.get("apiVersion")
    known = nearest_kind(value)
    if known is None:
        return Advice(
            "unknown-kind",
            f"known are {', '.join(sorted({name for _, name in KINDS}))}; others need a plugin (see --kind)",
        )
    if known[1] != kind:
        return Advice("unknown-kind", f"did you mean `{known[1]}`?", Fix(("kind",), known[1]))
    return Advice(
        "unknown-api-version", f"a {kind} has `apiVersion: {known[0]}`, not {version}", Fix(("apiVersion",), known[0])
    )


def plain(text: str) -> str:
    """A text as a YAML value."""
    safe = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*(:(//)?[A-Za-z0-9_./-]+)*", text) is not None
    return text if safe and text.lower() not in ("null", "true", "false") else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
