"""fetch:cookiecutter: what cookiecutter makes of a skeleton, without it; and templates that would do harm."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import GreenroomError, InputError
from greenroom.testing import FakeActionContext
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions import cookiecutter
from greenroom_scaffolder.actions.cookiecutter import cookiecutter_actions
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import beside, grown, plant, run


async def baked(tmp_path: Path, files: Mapping[str, str | bytes], quota: Quota | None = None, **given: Any) -> Path:
    workspace = tmp_path / "ws"
    workspace.mkdir(exist_ok=True)
    plant(tmp_path / "home/s", files)
    quota = quota or Quota(max_bytes=10_000_000)
    [bake] = cookiecutter_actions(Sources(Urls(), quota), quota)
    await run(bake, {"url": "./s", "values": {}, **given}, workspace, template=beside(tmp_path / "home"))
    return workspace


async def test_a_skeleton_is_filled_in_with_values_over_its_own(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "cookiecutter.json": '{"name": "none", "slug": "{{ cookiecutter.name|lower }}", "kind": ["lib", "app"], "on": true}',
        "{{cookiecutter.slug}}/a.txt": "{{ cookiecutter.name }} {{ cookiecutter.kind }} {{ cookiecutter.on }} "
        "{{ cookiecutter.port }}\n",
        "dos.txt": "{{ cookiecutter.name }}\r\nb\r\n",
        "{% if cookiecutter.no %}no.txt{% endif %}": "",
        "raw/a.html": "{{ raw }}",
        "logo.png": b"\x89PNG\0{{ broken",
        "inc.txt": "{% include 'part.txt' %}",
        "part.txt": "[{{ cookiecutter.slug }}]",
    }
    workspace = await baked(
        tmp_path,
        files,
        values={"name": "Depot", "port": 80, "no": False},
        copyWithoutRender=["*.html"],
        targetPath="out",
    )
    found = grown(workspace / "out")
    assert found.pop("cookiecutter.json").startswith(b'{"name": "none", "slug": "depot"')
    assert found == {
        "depot/a.txt": b"Depot lib True 80\n",
        "dos.txt": b"Depot\r\nb\r\n",
        "raw/a.html": b"{{ raw }}",
        "logo.png": b"\x89PNG\0{{ broken",
        "inc.txt": b"[depot]",
        "part.txt": b"[depot]",
    }


async def test_extensions_of_cookiecutter_are_there(tmp_path: Path) -> None:
    text = "{{ 'Über Depot' | slugify }} {{ {'b': 1} | jsonify(0) }} {{ random_ascii_string(5) | length }} {% now 'utc', 'Y' %}"
    workspace = await baked(tmp_path, {"a": text}, extensions=["jinja2_time.TimeExtension"])
    assert grown(workspace)["a"] == b'uber-depot {\n"b": 1\n} 5 Y'


async def test_what_a_skeleton_says_of_the_language_itself_counts(tmp_path: Path) -> None:
    own = '{"_extensions": ["jinja2.ext.do", "local.Thing"], "_jinja2_env_vars": {"trim_blocks": true, "lstrip_blocks": true}}'
    text = "{% set found = [] %}\n  {% for one in [2, 1] %}\n{% do found.append(one) %}\n  {% endfor %}\n{{ found }}\n"
    made = grown(await baked(tmp_path, {"cookiecutter.json": own, "a": text, "b": "{{ cookiecutter._template }}"}))
    assert (made["a"], made["b"]) == (b"[2, 1]\n", b"/input")


async def test_no_module_of_this_machine_is_loaded_as_an_extension(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The jinja2 extension os\.path is not among those"):
        await baked(tmp_path, {"a": ""}, extensions=["os.path"])


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ cookiecutter.nope }}", r"has no attribute 'nope' \(in a\)"),
        ("x\n{{ cookiecutter.", r"\(in a, line 2\)"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "unsafe"),
        ("{{ '{0.__class__.__init__.__globals__}'.format(cookiecutter) }}", "unsafe"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{% include '../../../etc/passwd' %}", "outside"),
        ("{% include '/etc/passwd' %}", "outside"),
        ("{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "memory"),
        ("{{ 'x' * 10**10 }}", "memory"),
        ("{{ '%010000000000d' % 1 }}", "memory"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
        ("{{ 'x' * 20000000 }}", "workspace"),
    ],
)
async def test_a_template_that_would_do_harm_is_refused(tmp_path: Path, template: str, problem: str) -> None:
    with pytest.raises(GreenroomError, match=problem):
        await baked(tmp_path, {"a": template})


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("{", "^cookiecutter.json is not valid JSON: "),
        (b"\xff", "^cookiecutter.json is not valid JSON: "),
        ('{"slug": "{{ cookiecutter.nme }}"}', r"has no attribute 'nme' \(in the variable slug\)$"),
        ('{"slug": "{{ cookiecutter."}', r"\(in the variable slug, line 1\)$"),
        ('{"a": {"{{ 1 / 0 }}": 1}}', r"^division by zero \(in the variable a\)$"),
        ('{"_copy_without_render": 5}', "^_copy_without_render of cookiecutter.json is not a list of patterns$"),
        ('{"_copy_without_render": [5]}', "^_copy_without_render of cookiecutter.json is not a list of patterns$"),
    ],
)
async def test_a_mistake_in_cookiecutter_json_is_told_as_what_it_is(
    tmp_path: Path, own: str | bytes, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        await baked(tmp_path, {"cookiecutter.json": own, "a": ""})


async def test_errors_name_no_folder_of_the_server(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^EEXIST: file already exists, mkdir '/output/a'$"):
        await baked(tmp_path, {"a": "", "{{ 'a' }}/b": ""})


async def test_odd_things_in_cookiecutter_json_hurt_nobody(tmp_path: Path) -> None:
    own = '{"_extensions": [["a"]], "_copy_without_render": null, "half": "\\ud83d"}'
    made = grown(await baked(tmp_path, {"cookiecutter.json": own, "a": "{{ cookiecutter.half }}"}))
    assert made["a"] == "\ufffd".encode()


async def test_a_template_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookiecutter, "SECONDS", 1)
    began = time.monotonic()
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(InputError, match="took more time or memory"):
        await baked(tmp_path, {"a": loops})
    assert time.monotonic() - began < 60


async def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(GreenroomError):
        await baked(tmp_path, {"x{{ cookiecutter.n }}": "evil"}, values={"n": "/../../out"})
    assert "out" not in " ".join(grown(tmp_path))


async def test_the_process_gets_nothing_but_its_job(tmp_path: Path) -> None:
    plant(tmp_path / "home", {"s/a": "a"})
    [bake] = cookiecutter_actions(Sources(Urls(), Quota()), Quota())
    ctx: FakeActionContext[Any] = FakeActionContext(
        cookiecutter.Baking("./s", {}), tmp_path, template=beside(tmp_path / "home")
    )
    await bake.run(ctx)
    assert ctx.commands[0][1:] == ("-I", "-m", "greenroom_scaffolder.actions.cookies")
