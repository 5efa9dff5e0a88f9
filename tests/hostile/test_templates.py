"""Templates made to break out, to blow up, or to hold everybody up: refused in words, and others' tasks are done meanwhile."""

from __future__ import annotations

import asyncio
import io
import json
import os
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from greenroom_scaffolder.tasks import runner
from greenroom_scaffolder.tasks.expressions import Renderer
from tests.hostile.conftest import memory_of, refused
from tests.hostile.workshop import Steps, Workshop, workshop
from tests.support.asgi import TOKEN

__all__ = ["workshop"]

LONG = int(os.environ.get("HOSTILE_EXAMPLES", "5")) > 5
"""What takes its ten seconds (`make hostile`)."""
INSIDES = ("<class", "<function", "<bound method", "<built-in", "subclasses", "mappingproxy", "root:x:", "native code")
"""What nobody sees who did not get out."""


def said(template: Any) -> Steps:
    return [{"action": "debug:log", "input": {"message": template}}]


def shown(reply: Any) -> str:
    """What a dry run tells, but for what it was given."""
    answer = reply.json
    return json.dumps([answer.get("log"), answer.get("output"), answer.get("error")])


ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "''['__class__']",
    "''|attr('__class__')",
    "''[['__cla','ss__']|join]",
    "[].__class__.__base__",
    "{}.__init__.__globals__",
    "range.__globals__",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "lipsum.__globals__['os'].popen('id').read()",
    "joiner.__init__.__globals__",
    "self._TemplateReference__context",
    "config.items()",
    "request.application.__globals__",
    "'{0.__class__}'.format(1)",
    "'{0.__class__.__mro__}'.format_map({})",
    "'%s' % ''.__class__",
    "('%c'|format(1)).__doc__",
    "parameters.__class__",
    "parameters|map(attribute='__class__')|list",
    "[1]|groupby('__class__')|dump",
    "[1]|sort(attribute='__class__')|dump",
    "[1]|selectattr('__class__')|dump",
    "always.__code__",
    "always.__self__",
    "always.constructor('return process')()",
    "range.constructor('return 1')()",
    "''.constructor.constructor('return 1')()",
    "[].map.constructor('return 1')()",
    "({}).__proto__",
    "parameters.__proto__.polluted",
    "parameters['constructor']['prototype']",
    "r/a/.constructor",
    "parseEntityRef.__globals__",
    "secrets.__class__",
    "user|dump|attr('encode')",
]


@pytest.mark.parametrize("expression", ESCAPES)
async def test_no_expression_gets_out_of_the_language(workshop: Workshop, expression: str) -> None:
    """Wherever one is rendered: in inputs, conditions, rounds, outputs, names and contents of files."""
    whole = f"${{{{ {expression} }}}}"
    steps = [
        *said(f"> {whole}"),
        {"action": "debug:log", "if": whole, "input": {"message": "held"}},
        {"action": "roadiehq:utils:serialize:json", "input": {"data": {"x": whole}}},
    ]
    reply = await workshop.try_out(steps, output={"x": whole})
    assert reply.status in (200, 400), reply.text[:500]
    assert not [word for word in INSIDES if word in shown(reply).replace(json.dumps(expression)[1:-1], "")]
    files = {"s/f.txt": f"{whole}", "s/c.txt": f"{{{{ {expression} }}}}"}
    for compat in (False, True):
        fill = {"action": "fetch:template", "input": {"url": "./s", "values": {"a": 1}, "cookiecutterCompat": compat}}
        reply = await workshop.try_out([fill], files=files)
        assert reply.status in (200, 400), reply.text[:500]
        assert not [word for word in INSIDES if word in shown(reply)]


async def test_nobody_changes_what_others_see(workshop: Workshop) -> None:
    """As by a prototype, or by a value that all have in common."""
    first = (
        "{% set parameters.a = 1 %}{% set x = parameters %}{% set __proto__ = {polluted: 'yes'} %}{% set range = 1 %}"
    )
    steps = [*said(first), *said("seen:${{ {}.polluted }}:${{ range(2) }}:${{ polluted }}:")]
    reply = await workshop.try_out(steps, values={"a": "old"})
    assert "seen::0,1::" in shown(reply)


BOMBS: dict[str, Any] = {
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "a text that doubles": "{% set x = 'a' %}" + "{% set x = x + x %}" * 64 + "${{ x }}",
    "macros that call themselves": "{% macro f() %}${{ f() }}${{ f() }}{% endmacro %}${{ f() }}",
    "a list of a billion": "${{ range(1000000000)|join }}",
    "10,000 brackets": "${{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
    "10,000 lists": "${{ " + "[" * 10_000 + "]" * 10_000 + " }}",
    "5 MB of tags": "${{ x }}" * 600_000,
    "5 MB of openings": "{% " * 1_600_000,
    "100,000 conditions": "{% if x %}" * 100_000,
    "a pattern that takes for ever": "${{ r/^(a|a)*$/.test('" + "a" * 60 + "!') }}",
    "replacements that grow": "{% set x = 'aaaaaaaa' %}" + "{% set x = x|replace('a', x) %}" * 12 + "${{ x|length }}",
    "spaces without end": "${{ 'a'|center(1000000000) }}${{ 'a\nb'|indent(1000000000) }}",
    "columns without end": "${{ range(9)|batch(1000000000, 'x')|dump }}",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_an_expression_that_blows_up_stays_as_it_is_written(workshop: Workshop, bomb: str) -> None:
    """As all that cannot be rendered, in upstream too."""
    async with workshop.works_for_others(), asyncio.timeout(60):
        reply = await workshop.try_out(said(BOMBS[bomb]))
    assert reply.status in (200, 400)
    assert len(reply.raw) < 20_000_000


SLOW = "{% for a in range(1000) %}{% for b in range(900) %}{% endfor %}{% endfor %}"
MANY: dict[str, tuple[Steps, str]] = {
    "1,000 slow texts": ([{"action": "debug:log", "input": {"x": [SLOW] * 1_000}}], "seconds together"),
    "100,000 slow rounds": (
        [{"action": "debug:log", "each": "${{ range(100000) }}", "input": {"message": SLOW}}],
        "seconds together",
    ),
    "a million items": (
        [{"action": "debug:log", "each": "${{ range(1000000) }}", "input": {}}],
        "must resolve to an array or object",
    ),
    "a million values": ([{"action": "debug:log", "input": {"x": ["a"] * 1_000_000}}], "additional property"),
}


if not LONG:
    del MANY["1,000 slow texts"]


@pytest.mark.parametrize("what", MANY)
async def test_what_is_too_much_together_is_refused_and_others_work(
    workshop: Workshop, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, words = MANY[what]
    if not LONG and words == "seconds together":
        monkeypatch.setattr(runner, "Renderer", partial(Renderer, seconds=2.0))
    async with workshop.works_for_others(), asyncio.timeout(120):
        reply = await workshop.try_out(steps)
    assert words in refused(reply)


async def test_a_patterned_bomb_in_files_is_refused(workshop: Workshop) -> None:
    files = {"s/a.txt": "a" * 60 + "!"}
    fetch = {"action": "fetch:plain", "input": {"url": "./s"}}
    bombs = [
        ("roadiehq:utils:fs:replace", {"files": [_replacing("((a{1000}){1000}){1000}")]}, "too large"),
        ("fs:delete", {"files": ["{a,b}" * 40]}, "alternatives"),
        ("fs:delete", {"files": ["{1..1000000000}"]}, "alternatives"),
        ("fs:delete", {"files": ["+(" * 80 + "a" + ")" * 80]}, "within each other"),
    ]
    async with workshop.works_for_others():
        for action, given, words in bombs:
            reply = await workshop.try_out([fetch, {"action": action, "input": given}], files=files)
            assert words in refused(reply)


def _replacing(pattern: str) -> dict[str, Any]:
    return {"file": "a.txt", "find": pattern, "replaceWith": "b", "matchRegex": True}


async def test_yaml_and_jsonata_bombs_are_refused(workshop: Workshop) -> None:
    aliases = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    files = {"s/a.yaml": aliases, "s/d.yaml": "[" * 50_000}
    fetch = {"action": "fetch:plain", "input": {"url": "./s"}}
    async with workshop.works_for_others():
        for name in ("a.yaml", "d.yaml"):
            parse = {"action": "roadiehq:utils:fs:parse", "input": {"path": name, "parser": "yaml"}}
            refused(await workshop.try_out([fetch, parse], files=files))
        for expression in (
            () if not LONG else ("($f := function($x) {$f($x) + $f($x)}; $f(1))", "$join([1..9999999].$string($))")
        ):
            step = {"action": "roadiehq:utils:jsonata", "input": {"data": {}, "expression": expression}}
            assert (await workshop.try_out([step])).status >= 400


COOKIES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ cookiecutter|attr('__class__') }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ self._TemplateReference__context }}",
    "{% include '../../../../../etc/passwd' %}",
    "{% include '/etc/passwd' %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 99999 }}{% endfor %}{% endfor %}",
    "{{ 'a' * 9999999999 }}",
    "{{ range(999999999)|list }}",
]


@pytest.mark.parametrize("cookie", COOKIES)
async def test_no_cookiecutter_skeleton_gets_out_of_its_sandbox(workshop: Workshop, cookie: str) -> None:
    cookies = '{"_extensions": ["os.path"]}'
    hook = "import pathlib; pathlib.Path('/tmp/greenroom-was-here').touch()"
    folder = workshop.folder / "skeletons" / str(COOKIES.index(cookie))
    for name, content in {"cookiecutter.json": cookies, "f.txt": cookie, "hooks/pre_gen_project.py": hook}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    async with workshop.works_for_others(), asyncio.timeout(120):
        reply = await workshop.try_out(
            [
                {"action": "fetch:plain", "input": {"url": "./s"}},
                {"action": "fetch:cookiecutter", "input": {"url": "./s", "values": {}}},
            ],
            files={f"s/{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*") if path.is_file()},
        )
    assert not [word for word in INSIDES if word in shown(reply)]
    assert not os.path.exists("/tmp/greenroom-was-here")  # noqa: ASYNC240, PTH110 - a glance


OUT = ["../x", "../../x", "/etc/x", "a/../../x", "./../x", "x/../../../etc/passwd", "..\\x/../../x"]


@pytest.mark.parametrize("path", OUT)
async def test_no_path_leads_out_of_the_workspace(workshop: Workshop, path: str) -> None:
    given: list[tuple[str, dict[str, Any]]] = [
        ("roadiehq:utils:fs:write", {"path": path, "content": "x"}),
        ("roadiehq:utils:fs:append", {"path": path, "content": "x"}),
        ("roadiehq:utils:fs:parse", {"path": path}),
        ("roadiehq:utils:zip", {"path": path, "outputPath": "a.zip"}),
        ("roadiehq:utils:zip", {"path": ".", "outputPath": path}),
        ("fetch:plain", {"url": "./s", "targetPath": path}),
        ("fetch:plain", {"url": path}),
        ("fetch:template", {"url": "./s", "targetPath": path}),
        ("fetch:plain:file", {"url": "./s/a", "targetPath": path}),
        ("fs:delete", {"files": [path]}),
        ("fs:rename", {"files": [{"from": path, "to": "a"}]}),
        ("fs:rename", {"files": [{"from": "s", "to": path}]}),
        ("fs:readdir", {"paths": [path]}),
        ("catalog:write", {"filePath": path, "entity": {"metadata": {}}}),
    ]
    for action, inputs in given:
        reply = await workshop.try_out([{"action": action, "input": inputs}], files={"s/a": "x"})
        refused(reply, 400, 403, 404, 500)
        assert reply.json["error"]["name"] in ("NotAllowedError", "InputError", "Error", "NotFoundError"), (
            action,
            reply.text,
        )
    refused(await workshop.try_out([], files={path: "x"}), 400, 403)
    assert not os.path.exists("/etc/x")  # noqa: ASYNC240, PTH110 - a glance
    assert not list(workshop.workspaces.parent.glob("x"))
    assert not list(workshop.workspaces.glob("x"))


@pytest.mark.parametrize("name", ["a\0b", "n" * 5000, "/".join(["d"] * 3000), "\ud800", "a\nb", "-rf", "con:"])
async def test_odd_names_of_files_are_written_or_refused_in_words(workshop: Workshop, name: str) -> None:
    step = {"action": "roadiehq:utils:fs:write", "input": {"path": name, "content": "x"}}
    for reply in (await workshop.try_out([step]), await workshop.try_out([], files={name: "x"})):
        assert reply.status in (200, 400, 403), reply.text[:500]
    async with asyncio.timeout(60):
        while list(workshop.workspaces.iterdir()):
            await asyncio.sleep(0.02)


async def test_a_link_that_a_skeleton_plants_is_not_written_through(workshop: Workshop, tmp_path: Path) -> None:
    """Neither when it is fetched, nor by a program's hand."""
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        packed.writestr(link, str(outside))
    url = workshop.world.host.write("links.zip", archive.getvalue())
    steps = [
        {"action": "fetch:plain:file", "input": {"url": url, "targetPath": "l.zip"}},
        {"action": "roadiehq:utils:fs:write", "input": {"path": "link/x", "content": "written"}},
    ]
    await workshop.try_out(steps)
    assert outside.read_text() == "untouched"
    assert os.listdir(tmp_path) == ["outside"]  # noqa: PTH208 - a glance


REACHED = [
    ("fetch:plain", {"url": "http://169.254.169.254/latest/meta-data"}),
    ("fetch:plain:file", {"url": "http://169.254.169.254/latest/meta-data", "targetPath": "a"}),
    ("fetch:plain:file", {"url": "file:///etc/passwd", "targetPath": "a"}),
    ("fetch:template:file", {"url": "file:///etc/passwd", "targetPath": "a"}),
    ("fetch:cookiecutter", {"url": "file:///etc", "values": {}}),
    ("publish:git", {"remoteUrl": "file:///tmp/x.git"}),
    ("publish:git", {"remoteUrl": "ext::sh -c id% >&2"}),
    ("publish:git", {"remoteUrl": "ssh://-oProxyCommand=id/x.git"}),
    ("publish:git", {"remoteUrl": "-oProxyCommand=id:x.git"}),
    ("publish:git", {"remoteUrl": "--upload-pack=id"}),
    ("publish:git", {"remoteUrl": "https://127.0.0.1/x.git"}),
    ("publish:git", {"remoteUrl": "https://169.254.169.254/x.git", "token": "t"}),
    ("publish:git", {"repoUrl": "169.254.169.254?owner=a&repo=b"}),
    ("catalog:register", {"catalogInfoUrl": "http://169.254.169.254/x"}),
    ("catalog:register", {"catalogInfoUrl": "file:///etc/passwd"}),
]


async def test_no_step_reaches_what_the_config_does_not_name(workshop: Workshop) -> None:
    steps: list[dict[str, Any]] = [
        {"action": action, "if": "${{ always() }}", "input": given, "id": f"s{number}"}
        for number, (action, given) in enumerate(REACHED)
    ]
    async with workshop.works_for_others():
        ended = await workshop.run(steps)
    failed = [one["body"]["stepId"] for one in ended.events if one["body"].get("status") == "failed"]
    assert sorted(set(failed)) == sorted(step["id"] for step in steps), ended.text
    assert "root:x:" not in ended.text


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_tasks_by_the_hundred_do_not_keep_others_waiting(workshop: Workshop) -> None:
    """2,000 at once were taken within 1.3 s and done within 2.3 s (2026-11-22, two cores), and 45 MB."""
    ref = await workshop.template(said("one of many"))
    async with workshop.works_for_others():
        with memory_of(100 * 1024**2):
            ids = await asyncio.gather(*(workshop.start(ref) for _ in range(200)))
    ended = await asyncio.gather(*(workshop.ended(id_) for id_ in ids))
    assert {one.status for one in ended} == {"completed"}


async def test_streams_that_nobody_reads_take_no_memory(workshop: Workshop) -> None:
    """Of 500 on a task of 20,000 lines each took 40 kB, and others were answered."""
    chatty = {"action": "debug:log", "each": "${{ range(2000) }}", "input": {"message": "x" * 2_000}}
    id_ = await workshop.start(await workshop.template([chatty]))
    host, _, port = workshop.world.address.removeprefix("http://").partition(":")
    ask = f"GET /api/scaffolder/v2/tasks/{id_}/eventstream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    opened = []
    async with workshop.works_for_others():
        with memory_of(100 * 1024**2):
            for _ in range(100):
                _, writer = await asyncio.open_connection(host, int(port))
                cast(asyncio.Transport, writer.transport).pause_reading()
                writer.write(ask.encode())
                opened.append(writer)
            await workshop.post(f"tasks/{id_}/cancel", {})
            await workshop.ended(id_)
    for writer in opened:
        writer.close()
