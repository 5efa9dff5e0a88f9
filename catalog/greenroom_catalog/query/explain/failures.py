"""error -> class: every way in which an entity comes to be missing, stale or refused, each with a name and a hint.

A class is known by a stable slug. Its texts are templates: `{target}`, `{host}`, `{provider}` and others are filled in by
whoever found it; what upstream's users would look for on the web, the message, is told beside it as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

Stage: TypeAlias = Literal["provider", "location", "read", "parse", "rule", "process", "stitch", "serve"]
"""In the order in which an entity passes them."""


class Failure(NamedTuple):
    """One class: the stage at which it happens, what to say of the entity, what to do, and the commands that do it."""

    stage: Stage
    summary: str
    hint: str
    commands: tuple[str, ...] = ()


_REFRESH = "greenroom catalog refresh {parent}"
_TRIGGER = "greenroom catalog providers run {provider}"
_TRY = "greenroom locations add --dry-run {target}"
_VALIDATE = "greenroom catalog validate {local}"

FAILURES: Mapping[str, Failure] = {
    # --- the provider ---------------------------------------------------------------------------------------------
    "provider-failed": Failure(
        "provider",
        "the provider {provider} failed in its last run",
        "mend what the error says; {good}",
        ("greenroom catalog providers show {provider}", _TRIGGER),
    ),
    "provider-part-failed": Failure(
        "provider",
        "the provider {provider} could not read {part}",
        "mend what the error says, then have the provider run again",
        ("greenroom catalog providers show {provider}", _TRIGGER),
    ),
    "provider-paused": Failure(
        "provider",
        "the provider {provider} was paused {since}",
        "resume it: until then it neither adds nor removes anything",
        ("greenroom catalog providers resume {provider}",),
    ),
    "provider-never-run": Failure(
        "provider",
        "the provider {provider} has not finished a first run",
        "wait for it, or trigger it; it is run by a process of the role `worker`",
        (_TRIGGER,),
    ),
    "provider-running": Failure(
        "provider",
        "the provider {provider} is just running for the first time",
        "wait for the end of the run: what it brings is there then",
        ("greenroom catalog providers show {provider}",),
    ),
    "provider-found-nothing": Failure(
        "provider",
        "the last run of the provider {provider} found nothing at all",
        "look at what it is configured to look for (`catalog.providers`), and at what its token may see",
        ("greenroom catalog providers show {provider}",),
    ),
    "provider-item-failed": Failure(
        "provider",
        "the provider {provider} met it, and could not make an entity of it",
        "mend it at its source, then trigger the provider",
        ("greenroom catalog providers show {provider}", _TRIGGER),
    ),
    "provider-disabled": Failure(
        "provider",
        "the provider {provider} is disabled by the config",
        "take `disabled: true` out of `catalog.providerOptions.{provider}`",
        ("greenroom config print",),
    ),
    "provider-not-installed": Failure(
        "provider",
        "it came from the provider {provider}, which is not installed or not configured here",
        "install the plugin and configure it under `catalog.providers`; with `catalog.orphanProviderStrategy: delete` its "
        "entities go at the next start",
        ("greenroom plugins",),
    ),
    # --- the location ---------------------------------------------------------------------------------------------
    "location-not-registered": Failure(
        "location",
        "the file is fine and has it, but nobody has registered the file",
        "register it, or add it to `catalog.locations`",
        ("greenroom locations add {target}",),
    ),
    "location-pending": Failure(
        "location",
        "its location is known, and has not been read yet",
        "it is read as soon as a worker gets to it",
        ("greenroom status",),
    ),
    "location-behind": Failure(
        "location",
        "its location is known, and has been waiting to be read for {waited}: no worker runs, or the workers cannot keep up",
        "start a worker (`greenroom serve` without --api-only, or `greenroom worker`), and look at its log",
        ("greenroom status", "greenroom worker"),
    ),
    "location-unregistered": Failure(
        "location",
        "no registered or configured location has this name any more",
        "it was unregistered, or taken out of `catalog.locations`; register its file again",
        ("greenroom locations list",),
    ),
    "location-moved": Failure(
        "location",
        "its location was registered for another file, and points at {target} now",
        "what only the former file had went with the change",
        ("greenroom locations list",),
    ),
    "location-optional-absent": Failure(
        "read",
        "the optional location {target} points at nothing",
        "add the file; with `presence: optional` its absence is no error",
        (_TRY,),
    ),
    "location-type-not-allowed": Failure(
        "location",
        "its location has a type that is only allowed in the config",
        "use a `url` target; `file` targets are for `catalog.locations` alone",
    ),
    "location-type-unknown": Failure(
        "location",
        "nothing here reads locations of its type",
        "spec.type of {parent} must be `url`, or `file` in the config",
    ),
    "target-is-folder": Failure(
        "location",
        "its location ends with a slash, and so names a folder",
        "name the file, or use a pattern such as `**/catalog-info.yaml`",
    ),
    "target-escapes": Failure(
        "location",
        "a relative target leads out of its repository",
        "write a target below the repository's root in {parent}",
    ),
    # --- reading --------------------------------------------------------------------------------------------------
    "reading-not-allowed": Failure(
        "read",
        "the server may not read from {host}",
        "add `- host: {host}` to `backend.reading.allow` in the app-config, or an entry for the host under `integrations`",
        ("greenroom config print",),
    ),
    "redirect-not-allowed": Failure(
        "read",
        "it is redirected to {host}, from where the server may not read",
        "add `- host: {host}` to `backend.reading.allow` in the app-config, or register an address that does not redirect",
        ("greenroom config print",),
    ),
    "address-not-allowed": Failure(
        "read",
        "{host} stands for an address that the server does not go to",
        "if that is meant, write the address itself, and not a name for it, in the URL and in `backend.reading.allow`",
        ("greenroom config print",),
    ),
    "file-not-found": Failure(
        "read",
        "the file {target} is not there (or not for us)",
        "look whether the file was moved or its branch renamed; private hosts answer 404 where the token is missing: "
        "`integrations`",
        (_TRY, "greenroom locations list"),
    ),
    "path-not-found": Failure(
        "read",
        "there is no file {target} on the server",
        "a relative target of `catalog.locations` counts from the folder in which the server was started; in a container, "
        "look at what is mounted",
        ("greenroom config print",),
    ),
    "glob-without-hits": Failure(
        "read",
        "the pattern {target} matches no file",
        "look at the pattern: `**` stands for any number of folders, `*` for a part of one name",
    ),
    "glob-unsupported": Failure(
        "read",
        "{host} cannot list files, so {target} cannot have a pattern",
        "name the file itself, or configure the host under `integrations`",
    ),
    "host-unauthorized": Failure(
        "read",
        "{host} wants a token, or does not accept ours (401)",
        "set or renew the `token` of {host} under `integrations` in the app-config",
    ),
    "host-forbidden": Failure(
        "read",
        "{host} does not let us read the file (403)",
        "give the token of {host} under `integrations` the right to read this repository",
    ),
    "host-rate-limited": Failure(
        "read",
        "{host} has had too many requests from us (429)",
        "raise `catalog.processingInterval`, or use a token under `integrations`: those have higher limits",
    ),
    "host-failing": Failure(
        "read", "{host} answered with an error of its own", "try again when the host is well", (_REFRESH,)
    ),
    "host-timeout": Failure(
        "read",
        "{host} did not answer in time",
        "look whether the server reaches the host: a proxy or firewall may swallow the request",
        (_REFRESH,),
    ),
    "host-unreachable": Failure(
        "read",
        "{host} cannot be reached",
        "look at the spelling of the host, and at DNS, proxy and firewall between the server and it",
        (_REFRESH,),
    ),
    "host-untrusted": Failure(
        "read",
        "the certificate of {host} is not trusted",
        "have the server trust who signed it (`SSL_CERT_FILE=/path/to/ca.pem` in its environment), or mend the certificate",
        (_REFRESH,),
    ),
    "invalid-url": Failure(
        "read",
        "{target} is no URL",
        "write a whole URL, such as https://{host}/org/repo/blob/main/catalog-info.yaml, or a relative target that "
        "begins with `./`",
    ),
    "file-too-large": Failure("read", "the file {target} is too large to be read", "split it into several files"),
    "too-many-redirects": Failure(
        "read", "{host} redirects again and again", "register the address at which the redirects end"
    ),
    "file-unreadable": Failure(
        "read",
        "the file {target} is there and cannot be opened",
        "look at its owner and mode: the user of the server must be able to read it; a folder is no file",
    ),
    "reading-failed": Failure("read", "the file {target} could not be read", "see the message", (_REFRESH,)),
    # --- parsing --------------------------------------------------------------------------------------------------
    "yaml-broken": Failure(
        "parse",
        "the file is not valid YAML",
        "mend the line; nothing of the file is taken until all of it can be read",
        (_VALIDATE,),
    ),
    "web-page": Failure(
        "parse",
        "{host} answers with a web page in place of the file",
        "it may want a login: set a `token` for {host} under `integrations`; or register the address of the file itself",
        (_TRY,),
    ),
    "yaml-limit": Failure(
        "parse",
        "the file has more aliases, or deeper nesting, than is read",
        "write the values out instead of repeating them by `*alias`",
        (_VALIDATE,),
    ),
    "not-an-object": Failure(
        "parse",
        "a document of the file is a list or a text, not an entity",
        "separate entities by a line `---` instead of writing a list of them",
        (_VALIDATE,),
    ),
    "envelope-invalid": Failure(
        "parse",
        "a document of the file lacks what every entity has: apiVersion, kind and metadata.name",
        "add the missing field; nothing of the file is taken until then",
        (_VALIDATE,),
    ),
    "duplicate-in-file": Failure(
        "parse",
        "the file defines it more than once",
        "keep one of the documents: only the last of them is taken",
        (_VALIDATE,),
    ),
    "neighbour-refused": Failure(
        "parse",
        "it is fine itself, but another document behind the same location is refused, and so all of them are",
        "give the other document a file and a location of its own",
        (_VALIDATE,),
    ),
    "neighbour-unreadable": Failure(
        "read",
        "it is fine itself, but another target of its location cannot be read, and so all of them stay as they were",
        "take {target} out of the targets of {parent}, or put the file back",
        ("greenroom catalog explain {parent}",),
    ),
    "not-in-file": Failure(
        "parse",
        "the file {target} does not have it",
        "look at kind, namespace and name in the file: the file has {near}",
    ),
    # --- rules ----------------------------------------------------------------------------------------------------
    "kind-not-allowed": Failure(
        "rule",
        "entities of the kind {kind} may not come from there",
        "add it to the `allow` of `catalog.rules`, or of the `rules` of the location in `catalog.locations`",
        ("greenroom config print",),
    ),
    "conflict": Failure(
        "rule",
        "another location holds its name: {holder}",
        "rename one of the two, or remove it from {holder}: the first to come keeps a name",
        ("greenroom locations list",),
    ),
    "contested": Failure(
        "rule",
        "{wanted} claims it too, and is turned away",
        "rename one of the two, or remove it from one of the files: the first to come keeps a name",
        ("greenroom locations list",),
    ),
    # --- processing -----------------------------------------------------------------------------------------------
    "fields-invalid": Failure("process", "its {field} is not as it must be", "mend the field", (_VALIDATE,)),
    "kind-unknown": Failure(
        "process",
        "nobody here knows its kind and apiVersion",
        "look at the spelling of `kind` and `apiVersion`; a kind of your own needs a plugin",
        (_VALIDATE, "greenroom plugins"),
    ),
    "spec-invalid": Failure("process", "its spec is not what its kind asks for", "mend the field", (_VALIDATE,)),
    "reference-invalid": Failure(
        "process",
        "its spec refers to another entity in a way that cannot be read",
        "write references as [<kind>:][<namespace>/]<name>",
        (_VALIDATE,),
    ),
    "placeholder-unreadable": Failure(
        "process",
        "a file that one of its placeholders names cannot be read",
        "look at the path beside `$text`, `$json`, `$yaml` or `$openapi`: it counts from the entity's file",
    ),
    "placeholder-invalid": Failure(
        "process",
        "one of its placeholders cannot be resolved",
        "a placeholder is an object with one key, such as `$text: ./file`, whose value is a path or URL",
    ),
    "annotation-missing": Failure(
        "process",
        "its provider did not say where it comes from",
        "the provider {provider} must set backstage.io/managed-by-location and backstage.io/managed-by-origin-location",
    ),
    "annotation-malformed": Failure(
        "process",
        "the annotation that says where it comes from cannot be read",
        "write it as `<type>:<target>`, such as `url:https://host/path`",
    ),
    "processor-failed": Failure(
        "process",
        "the processor {processor} failed on it",
        "look at the plugin that brings it, and at the server's log; `catalog.processorOptions.{processor}.disabled: true` goes "
        "without it",
        ("greenroom plugins",),
    ),
    "processor-renamed": Failure(
        "process",
        "a processor made another entity of it",
        "a plugin's `before` and `after` must leave kind, namespace and name as they are: look at the last that was installed",
        ("greenroom plugins",),
    ),
    "processor-hung": Failure(
        "process",
        "the processor {processor} did not come back from it in time",
        "look at what the plugin waits for; `catalog.processorOptions.{processor}.timeout` gives it longer, `.disabled: true` goes "
        "without it",
        ("greenroom plugins",),
    ),
    "not-storable": Failure(
        "process", "the database cannot hold it", "shorten the text, or take out the NUL character"
    ),
    "server-fault": Failure(
        "process",
        "the server failed in a way it should not",
        "look for the stack trace in the server's log, and report it",
    ),
    "processing-failed": Failure("process", "processing it failed", "see the message", (_REFRESH,)),
    "pending": Failure(
        "process", "it was found, and has not been processed yet", "wait a moment", ("greenroom status",)
    ),
    "database-read-only": Failure(
        "process",
        "the database takes no writes: it is a standby, or was made read-only",
        "point `backend.database` at the primary; until then all is served as it last was",
        ("greenroom status",),
    ),
    "worker-behind": Failure(
        "process",
        "it has been due for {waited}: no worker runs, or the workers cannot keep up",
        "start a worker (`greenroom serve` without --api-only, or `greenroom worker`), and look at its log",
        ("greenroom status", "greenroom worker"),
    ),
    "refresh-disabled": Failure(
        "process",
        "nothing is read again by itself",
        "`catalog.processingInterval` is false: refresh by hand or by events, or set a duration such as {{ minutes: 30 }}",
        ("greenroom catalog refresh {ref}",),
    ),
    "changed-at-source": Failure(
        "process",
        "its file has changed since it was last read",
        "it is read again {next}; to have it now, refresh it",
        ("greenroom catalog refresh {ref}",),
    ),
    "not-read-yet": Failure(
        "process",
        "the file has it now, and did not when it was last read",
        "it is read again {next}; to have it now, refresh its location",
        (_REFRESH,),
    ),
    "leaving": Failure(
        "process",
        "its file does not have it any more",
        "it goes when the file is read again, {next}",
        ("greenroom catalog refresh {ref}",),
    ),
    "orphaned": Failure(
        "process",
        "nothing emits it any more, and `catalog.orphanStrategy: keep` keeps it",
        "delete it, or put it back where it was; with `catalog.orphanStrategy: delete` orphans go by themselves",
        ("greenroom catalog get {ref}",),
    ),
    "orphan-leaving": Failure(
        "process",
        "nothing emits it any more",
        "it goes within half a minute: `catalog.orphanStrategy` is `delete`",
    ),
    # --- stitching and serving ------------------------------------------------------------------------------------
    "waiting-for-stitch": Failure(
        "stitch",
        "it is processed, and waits to be put together with its relations",
        "wait a moment",
        ("greenroom status",),
    ),
    "stitcher-behind": Failure(
        "stitch",
        "it has been waiting to be stitched for {waited}: no worker runs, or the workers cannot keep up",
        "start a worker (`greenroom serve` without --api-only, or `greenroom worker`), and look at its log",
        ("greenroom status", "greenroom worker"),
    ),
    "keys-differ-in-case": Failure(
        "stitch",
        "two of its keys differ only in upper and lower case, so it cannot be searched for",
        "rename one of the two keys",
    ),
    "not-indexable": Failure("stitch", "it cannot be indexed", "shorten or mend what the message names"),
    "dangling-relation": Failure(
        "serve",
        "it relates to entities that are not there: {near}",
        "add them, or mend the references; the entity is served all the same",
    ),
    "not-permitted": Failure(
        "serve",
        "it is there, and you may not read it",
        "the permission catalog.entity.read is denied: ask whoever writes the permission policy",
    ),
    # --- nothing known --------------------------------------------------------------------------------------------
    "other-kind": Failure(
        "serve",
        "there is nothing of that kind, but {near} has its name",
        "ask for that, or look at the kind",
        ("greenroom catalog explain {first}",),
    ),
    "other-namespace": Failure(
        "serve",
        "it is not in that namespace, but there is {near}",
        "give the namespace in the reference: `kind:namespace/name`",
        ("greenroom catalog explain {first}",),
    ),
    "misspelt": Failure(
        "serve",
        "nothing has that name, but there is {near}",
        "look at the spelling",
        ("greenroom catalog explain {first}",),
    ),
    "unknown": Failure(
        "serve",
        "nothing here knows of it",
        "it never was here, or its file or location let it go; if there is a file, ask again with the URL of the file{elsewhere}",
        ("greenroom catalog explain {ref} --at URL", "greenroom status"),
    ),
}
"""Slug -> class. Every one has a test that makes it happen (tests/catalog/explain)."""


_PATTERNS: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (slug, re.compile(pattern, re.DOTALL))
    for slug, pattern in (
        # of an entity
        ("annotation-missing", r"does not have the annotation backstage\.io/managed-by"),
        ("annotation-malformed", r"^(?:Unable to parse|Invalid) location ref"),
        ("placeholder-unreadable", r"Placeholder \$\S+ could not read location"),
        ("placeholder-invalid", r"Placeholder \$|\d placeholders, more than"),
        ("not-storable", r"cannot be stored:"),
        ("server-fault", r"^Processing failed unexpectedly"),
        ("processor-hung", r"It did not return "),
        ("kind-not-allowed", r"is not of an allowed kind for that location$"),
        ("reference-invalid", r"caused by \w+: Entity reference "),
        ("fields-invalid", r"^Policy check failed for |metadata\.annotations must be a valid object"),
        ("kind-unknown", r"^No processor recognized the entity"),
        ("spec-invalid", r"^Processor \S+ threw an error while validating the entity"),
        ("processor-renamed", r"changed during processing"),
        ("processor-failed", r"^Processor \S+ threw"),
        ("envelope-invalid", r"^(?:/metadata|<root>|/kind|/apiVersion)\S* must |envelope failed validation"),
        # of a location
        ("location-type-not-allowed", r"^Registered locations must be of an allowed type"),
        ("location-type-unknown", r"^No processor was able to handle reading of"),
        ("target-is-folder", r"ends with a path separator"),
        ("yaml-limit", r"^Failed to parse YAML|Excessive alias count|Converting circular structure"),
        ("yaml-broken", r"^YAML error at|YAMLParseError|Unresolved alias"),
        ("not-an-object", r"^Expected object at root"),
        ("target-escapes", r"path traversal"),
        ("redirect-not-allowed", r"URL not allowed by backend\.reading\.allow"),
        ("address-not-allowed", r"Reading from '[^']*' is not allowed, it (?:is|means)"),
        ("reading-not-allowed", r"Reading from '.*' is not allowed"),
        ("too-many-redirects", r"Too many redirects"),
        ("invalid-url", r"Invalid URL|Incorrect URL|only http and https URLs"),
        ("glob-unsupported", r"Unsupported search pattern"),
        ("glob-without-hits", r"(?:no matching files found for|^file) \S*\*"),
        ("file-too-large", r"is larger than \d+ bytes"),
        ("host-timeout", r"no complete answer within"),
        ("host-untrusted", r"\[SSL|CertificateError|certificate verify failed"),
        ("host-rate-limited", r"(?:, |with )429\b|rate limit exceeded"),
        ("host-unauthorized", r"(?:, |with )401\b"),
        ("host-forbidden", r"(?:, |with )403\b"),
        ("path-not-found", r"^file .* does not exist"),
        ("file-not-found", r"no matching files found|(?:, |with )404\b"),
        ("host-failing", r"(?:, |with )5\d\d\b"),
        ("host-unreachable", r"Cannot connect to host|Connection|disconnected|Name or service not known|DNS"),
        ("file-unreadable", r"^file .* could not be read"),
        ("reading-failed", r"^Unable to read"),
    )
)


@lru_cache(maxsize=1000)
def classify(message: str) -> str:
    """The class of an error, by the words that upstream uses for it."""
    return next((slug for slug, pattern in _PATTERNS if pattern.search(message)), "processing-failed")
