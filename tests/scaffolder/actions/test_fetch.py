"""fetch:plain and fetch:template, with their `:file`s: trees and log lines as upstream makes them (recorded from it)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom.plugin import TemplateInfo
from greenroom.testing import FakeActionContext, FakeUrlReader
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.fetch import plain_actions, template_actions
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import beside, by_id, grown, plant, run, told

ROOT = "https://github.com/o/r/tree/main/skeleton"


def fetching(quota: Quota | None = None, documents: Mapping[str, bytes] | None = None, **more: Any) -> dict[str, Any]:
    quota = quota or Quota()
    sources = Sources(Urls([FakeUrlReader(documents or {})]), quota, **more)
    return by_id([*plain_actions(sources), *template_actions(sources, Engines(), quota)])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "ws"
    made.mkdir()
    return made


async def test_a_skeleton_is_filled_in_and_told_line_by_line(home: Path, workspace: Path) -> None:
    plant(
        home / "skeleton",
        {
            "a.txt": "hello ${{ values.name }}",
            "raw/${{ values.name }}.txt": "raw ${{ values.name }}",
            "b.bin": b"\0\1${{ values.name }}",
            "{{x}}/${{ values.n }}": "n",
        },
    )
    (home / "skeleton/a.txt").chmod(0o644)
    given = {
        "url": "./skeleton",
        "values": {"name": "x", "n": 3, "b": {"z": 1, "a": [1]}},
        "copyWithoutTemplating": ["raw/**"],
    }
    ctx, _ = await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert grown(workspace) == {
        "a.txt": b"hello x",
        "raw/x.txt": b"raw ${{ values.name }}",
        "b.bin": b"\0\1${{ values.name }}",
        "{{x}}/3": b"n",
    }
    assert told(ctx) == [
        "Fetching template content from remote URL",
        "Listing files and directories in template",
        'Processing 6 template files/directories with input values {"b":{"a":[1],"z":1},"n":3,"name":"x"}',
        "Writing file a.txt to template output path with mode 33188.",
        "Copying file binary or symbolic link at b.bin, to template output path.",
        "Writing directory raw/ to template output path.",
        "Writing directory {{x}}/ to template output path.",
        "Copying file/directory raw/${{ values.name }}.txt without processing.",
        "Writing file raw/${{ values.name }}.txt to template output path with mode 33188.",
        "Writing file {{x}}/${{ values.n }} to template output path with mode 33188.",
        f"Template result written to {workspace}",
    ]


async def test_modes_links_and_empty_folders_come_along(home: Path, workspace: Path) -> None:
    plant(home / "s", {"run.sh": "echo ${{ values.a }}", "bin/tool": b"\0\0\0"})
    (home / "s/empty").mkdir()
    (home / "s/run.sh").chmod(0o755)
    (home / "s/bin/tool").chmod(0o750)
    (home / "s/link").symlink_to("bin/tool")
    await run(fetching()["fetch:template"], {"url": "./s", "values": {"a": 1}}, workspace, template=beside(home))
    assert (workspace / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (workspace / "bin/tool").stat().st_mode & 0o777 == 0o750
    assert (workspace / "link").readlink() == Path("bin/tool")
    assert (workspace / "empty").is_dir()


async def test_what_is_there_stays_unless_it_is_to_be_replaced(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a.txt": "new", "b.txt": "new"})
    plant(workspace, {"a.txt": "old"})
    await run(fetching()["fetch:template"], {"url": "./s"}, workspace, template=beside(home))
    assert grown(workspace) == {"a.txt": b"old", "b.txt": b"new"}
    await run(fetching()["fetch:template"], {"url": "./s", "replace": True}, workspace, template=beside(home))
    assert grown(workspace) == {"a.txt": b"new", "b.txt": b"new"}


async def test_names_that_render_to_nothing_are_left_out(home: Path, workspace: Path) -> None:
    plant(home / "s", {"${{ values.no }}/a.txt": "", "d/${{ values.no }}/b.txt": "", "${{ values.not }}": "", "c": ""})
    await run(fetching()["fetch:template"], {"url": "./s", "values": {}}, workspace, template=beside(home))
    assert list(grown(workspace)) == ["c"]


async def test_of_two_files_that_render_to_one_name_the_first_counts(home: Path, workspace: Path) -> None:
    plant(home / "s", {"${{ values.a }}.txt": "first", "x.txt": "second"})
    given = {"url": "./s", "values": {"a": "x"}}
    await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert grown(workspace) == {"x.txt": b"first"}
    await run(fetching()["fetch:template"], {**given, "replace": True}, workspace, template=beside(home))
    assert grown(workspace) == {"x.txt": b"second"}


async def test_only_files_of_the_extension_are_templates_when_there_is_one(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a.txt.njk": "${{ values.a }}", "b.txt": "${{ values.a }}", "${{ values.a }}.c": ""})
    given = {"url": "./s", "values": {"a": 1}, "templateFileExtension": True}
    ctx, _ = await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert grown(workspace) == {"a.txt": b"1", "b.txt": b"${{ values.a }}", "1.c": b""}
    assert not [line for line in told(ctx) if line.endswith("without processing.")]


async def test_options_that_exclude_each_other_are_refused(home: Path, workspace: Path) -> None:
    given = {"url": "./s", "templateFileExtension": "tpl", "cookiecutterCompat": True}
    with pytest.raises(InputError, match="incompatible with copyWithoutTemplating and cookiecutterCompat"):
        await run(fetching()["fetch:template"], given, workspace, template=beside(home))


@pytest.mark.parametrize(("compat", "name", "text"), [(False, "values", "${{"), (True, "cookiecutter", "{{")])
async def test_values_that_are_not_given_are_not_there(
    home: Path, workspace: Path, compat: bool, name: str, text: str
) -> None:
    plant(home / "s", {"a": f"{text} {name} is defined }}}} [{text} {name} | dump }}}}]"})
    given = {"url": "./s", "cookiecutterCompat": compat}
    await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert grown(workspace) == {"a": b"false []"}


@pytest.mark.parametrize(
    ("message", "line"), [({"a": 1}, "[object Object]"), ([1, [2], None], "1,2,"), ([], ""), (1e21, "1e+21")]
)
async def test_a_value_called_message_is_told_as_upstreams_logger_tells_it(
    home: Path, workspace: Path, message: object, line: str
) -> None:
    plant(home / "s", {"a": "a"})
    given = {"url": "./s", "values": {"message": message, "b": 2}}
    ctx, _ = await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert told(ctx)[2] == f'Processing 1 template files/directories with input values {line} {{"b":2}}'


async def test_names_that_begin_with_two_dots_are_passed_over_at_the_top_alone(home: Path, workspace: Path) -> None:
    plant(home / "s", {"..a": "1", "..b/c": "2", "d/..e": "3"})
    ctx, _ = await run(fetching()["fetch:template"], {"url": "./s", "values": {}}, workspace, template=beside(home))
    assert grown(workspace) == {"d/..e": b"3"}
    assert told(ctx)[2].startswith("Processing 2 template files/directories")


@pytest.mark.parametrize("target", ["./", "o/..", ""])
async def test_what_cannot_be_written_is_named_as_upstream_names_it(home: Path, workspace: Path, target: str) -> None:
    plant(home / "s", {"x": "a"})
    plant(workspace, {"x/y": "1"})
    given = {"url": "./s", "values": {}, "replace": True, "targetPath": target}
    with pytest.raises(InputError, match=f"^EISDIR: illegal operation on a directory, open '{workspace}/x'$"):
        await run(fetching()["fetch:template"], given, workspace, template=beside(home))


async def test_cookiecutter_templates_see_their_values(home: Path, workspace: Path) -> None:
    plant(home / "s", {"{{cookiecutter.a}}.txt": "{{ cookiecutter.a }}"})
    given = {"url": "./s", "values": {"a": 1}, "cookiecutterCompat": True}
    await run(fetching()["fetch:template"], given, workspace, template=beside(home))
    assert grown(workspace) == {"1.txt": b"1"}


async def test_text_that_is_no_utf8_is_left_alone_unless_it_is_a_template(home: Path, workspace: Path) -> None:
    old = ("x" * 40 + "Gr\xfc\xdfe").encode("latin-1")
    plant(home / "s", {"a.txt": old, "b.txt": old + b"${{ values.a }}"})
    await run(fetching()["fetch:template"], {"url": "./s", "values": {"a": "1"}}, workspace, template=beside(home))
    assert grown(workspace) == {"a.txt": old, "b.txt": ("x" * 40 + "Gr\ufffd\ufffde1").encode()}


async def test_what_goes_wrong_in_a_file_names_it_after_the_lines_before(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a.txt": "fine", "b/c.txt": "one\ntwo ${{ values.a | nofilter }}"})
    action = fetching()["fetch:template"]
    with pytest.raises(GreenroomError, match=r'line 2, column 20: Unknown template filter "nofilter" \(in b/c\.txt\)'):
        await run(action, {"url": "./s"}, workspace, template=beside(home))
    assert grown(workspace) == {"a.txt": b"fine"}


async def test_a_comment_that_only_ends_is_a_mistake_of_the_file_as_upstream_has_it(
    home: Path, workspace: Path
) -> None:
    plant(home / "s", {"a.txt": "one #} two"})
    for compatible in (False, True):
        given = {"url": "./s", "cookiecutterCompat": compatible}
        with pytest.raises(GreenroomError, match=r"line 1, column 5: Unexpected end of comment \(in a\.txt\)"):
            await run(fetching()["fetch:template"], given, workspace, template=beside(home))


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "\0"])
async def test_a_name_that_leads_out_is_refused(home: Path, workspace: Path, name: str) -> None:
    plant(home / "s", {"x${{ values.a }}": "evil"})
    for given in ({"a": f"/../{name}"}, {"a": f"/{name}"}):
        with contextlib.suppress(GreenroomError):
            await run(fetching()["fetch:template"], {"url": "./s", "values": given}, workspace, template=beside(home))
    assert all(name.startswith("ws/") for name in grown(workspace.parent) if "out" in name)


async def test_a_link_out_of_the_skeleton_is_left_out(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a": "a"})
    plant(home, {"secret": "mine"})
    (home / "s/up").symlink_to("../secret")
    (home / "s/abs").symlink_to(home / "secret")
    await run(fetching()["fetch:template"], {"url": "./s"}, workspace, template=beside(home))
    await run(fetching()["fetch:plain"], {"url": "./s", "targetPath": "p"}, workspace, template=beside(home))
    assert list(grown(workspace)) == ["a", "p/a"]
    assert sorted(os.listdir(workspace)) == ["a", "p"]  # noqa: PTH208 - broken links would count


async def test_a_pipe_in_a_skeleton_does_not_hang_the_step(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a": "a"})
    os.mkfifo(home / "s/pipe")
    with pytest.raises(InputError, match="Cannot copy pipe"):
        await run(fetching()["fetch:template"], {"url": "./s"}, workspace, template=beside(home))


async def test_a_link_in_the_workspace_leads_no_file_out(home: Path, workspace: Path) -> None:
    plant(home / "s", {"d/a": "evil"})
    (workspace / "d").symlink_to(home)
    with pytest.raises(NotAllowedError):
        await run(fetching()["fetch:template"], {"url": "./s", "replace": True}, workspace, template=beside(home))
    assert not (home / "a").exists()


async def test_too_much_is_refused(home: Path, workspace: Path) -> None:
    plant(home / "s", {f"{n}.txt": "x" * 100 for n in range(20)})
    for quota in (Quota(max_files=10), Quota(max_bytes=500), Quota(max_file_bytes=99)):
        with pytest.raises(InputError):
            await run(fetching(quota)["fetch:template"], {"url": "./s"}, workspace, template=beside(home))


async def test_only_the_folder_of_the_template_can_be_read(home: Path, workspace: Path) -> None:
    plant(home / "t", {"template.yaml": ""})
    plant(home, {"secret/a": "mine"})
    (home / "t/link").symlink_to(home / "secret")
    for action in ("fetch:plain", "fetch:template"):
        for url in ("../secret", "/etc", "link"):
            with pytest.raises(NotAllowedError):
                await run(fetching()[action], {"url": url}, workspace, template=beside(home / "t"))
    for action in ("fetch:plain:file", "fetch:template:file"):
        given = {"url": "../secret/a", "targetPath": "x"}
        with pytest.raises(NotAllowedError):
            await run(fetching()[action], given, workspace, template=beside(home / "t"))
    with pytest.raises(NotAllowedError):
        await run(fetching()["fetch:plain"], {"url": f"file://{home}/secret"}, workspace, template=beside(home / "t"))


async def test_a_root_widens_what_can_be_read_and_bounds_it(home: Path, workspace: Path) -> None:
    plant(home, {"templates/t/template.yaml": "", "skeletons/s/a": "a"})
    plant(home.parent, {"private/b": "b"})
    template = TemplateInfo("template:default/test", f"file://{home}/templates/t/template.yaml", root=str(home))
    await run(fetching()["fetch:plain"], {"url": "../../skeletons/s"}, workspace, template=template)
    assert grown(workspace) == {"a": b"a"}
    for outside in ("../../../private", "/etc", str(home / "skeletons")):
        with pytest.raises(NotAllowedError):
            await run(fetching()["fetch:plain"], {"url": outside}, workspace, template=template)


async def test_a_missing_skeleton_is_told_as_node_tells_it(home: Path, workspace: Path) -> None:
    plant(home, {"template.yaml": ""})
    for action in ("fetch:plain", "fetch:template"):
        with pytest.raises(GreenroomError, match=f"^ENOENT: no such file or directory, lstat '{home}/nope'$"):
            await run(fetching()[action], {"url": "./nope"}, workspace, template=beside(home))


async def test_a_folder_is_taken_over_as_it_is(home: Path, workspace: Path) -> None:
    plant(home / "s", {"a ${{ values.x }}": "${{ values.x }}"})
    plant(workspace, {"p/q/a ${{ values.x }}": "old", "p/q/mine": "kept"})
    ctx, _ = await run(fetching()["fetch:plain"], {"url": "./s", "targetPath": "p/q"}, workspace, template=beside(home))
    assert grown(workspace) == {"p/q/a ${{ values.x }}": b"${{ values.x }}", "p/q/mine": b"kept"}
    assert told(ctx) == ["Fetching plain content from remote URL"]


async def test_files_behind_a_url_come_into_the_workspace(workspace: Path) -> None:
    actions = fetching(documents={f"{ROOT}/a.txt": b"hello ${{ values.a }}", f"{ROOT}/d/b": b"b"})
    template = TemplateInfo("template:default/test", "https://github.com/o/r/tree/main/template.yaml")
    await run(actions["fetch:plain"], {"url": "./skeleton", "targetPath": "plain"}, workspace, template=template)
    await run(actions["fetch:template"], {"url": ROOT, "values": {"a": 1}}, workspace, template=template)
    assert grown(workspace) == {
        "a.txt": b"hello 1",
        "d/b": b"b",
        "plain/a.txt": b"hello ${{ values.a }}",
        "plain/d/b": b"b",
    }


@pytest.mark.parametrize("folder", ["./", "p/q", "{workspace}/p"])
async def test_names_behind_a_url_may_begin_with_two_dots(workspace: Path, folder: str) -> None:
    reader = FakeUrlReader({f"{ROOT}/..data": b"1", f"{ROOT}/..d/..e": b"2"}, links={f"{ROOT}/..link": "..data"})
    fetch = by_id(plain_actions(Sources(Urls([reader]), Quota())))["fetch:plain"]
    target = folder.format(workspace=workspace)
    await run(fetch, {"url": ROOT, "targetPath": target}, workspace)
    assert grown(workspace / target) == {"..data": b"1", "..d/..e": b"2", "..link": b"1"}


@pytest.mark.parametrize("name", ["../mine.txt", "d/../../mine.txt", "link/mine.txt"])
async def test_no_name_behind_a_url_leads_out(workspace: Path, name: str) -> None:
    plant(workspace.parent, {"mine.txt": "mine"})
    (workspace / "link").symlink_to("..")
    fetch = fetching(documents={f"{ROOT}/{name}": b"theirs"})["fetch:plain"]
    with pytest.raises(NotAllowedError):
        await run(fetch, {"url": ROOT}, workspace)
    assert (workspace.parent / "mine.txt").read_text() == "mine"


async def test_a_template_in_a_repository_on_disk_is_read_by_the_plugin_that_knows_it(workspace: Path) -> None:
    root = "file:///srv/paths.git/-/blob/main"
    actions = fetching(documents={f"{root}/t/template.yaml": b"", f"{root}/t/skeleton/a": b"a", f"{root}/b": b"b"})
    template = TemplateInfo("template:default/test", f"{root}/t/template.yaml")
    await run(actions["fetch:template"], {"url": "./skeleton"}, workspace, template=template)
    await run(actions["fetch:plain:file"], {"url": "../b", "targetPath": "b"}, workspace, template=template)
    assert grown(workspace) == {"a": b"a", "b": b"b"}


async def test_a_url_needs_something_to_be_relative_to(workspace: Path) -> None:
    with pytest.raises(InputError, match="template location could not be determined and the fetch URL is relative"):
        await run(fetching()["fetch:plain"], {"url": "./s"}, workspace)
    template = TemplateInfo("template:default/test", "https://nowhere.example/t.yaml")
    with pytest.raises(InputError, match=r"No integration found for location https://nowhere\.example/t\.yaml"):
        await run(fetching()["fetch:plain"], {"url": "./s"}, workspace, template=template)


async def test_where_users_bring_their_tokens_a_step_without_one_is_refused(workspace: Path) -> None:
    actions = fetching(documents={f"{ROOT}/a": b"a"}, only_with_user_token=True)
    with pytest.raises(InputError, match=r"No user credentials provided for host github\.com"):
        await run(actions["fetch:plain"], {"url": ROOT}, workspace)
    await run(actions["fetch:plain"], {"url": ROOT, "token": "t"}, workspace)
    assert grown(workspace) == {"a": b"a"}


async def test_one_file_is_filled_in_once(home: Path, workspace: Path) -> None:
    plant(home, {"s.txt": "${{ values.a }}"})
    given = {"url": "./s.txt", "targetPath": "x/q.txt", "values": {"a": 1}}
    ctx, _ = await run(fetching()["fetch:template:file"], given, workspace, template=beside(home))
    assert grown(workspace) == {"x/q.txt": b"1"}
    assert told(ctx) == [
        "Fetching template file content from remote URL",
        'Processing template file with input values {"a":1}',
        f"Template file has been written to {workspace}/x/q.txt",
    ]
    ctx, _ = await run(
        fetching()["fetch:template:file"], {**given, "values": {"a": 2}}, workspace, template=beside(home)
    )
    assert told(ctx) == ["File x/q.txt already exists in workspace, not replacing."]
    await run(
        fetching()["fetch:template:file"],
        {**given, "values": {"a": 2}, "replace": True},
        workspace,
        template=beside(home),
    )
    assert grown(workspace) == {"x/q.txt": b"2"}


async def test_one_file_is_taken_over_as_it_is(home: Path, workspace: Path) -> None:
    plant(home, {"s.bin": b"\0\1"})
    await run(fetching()["fetch:plain:file"], {"url": "./s.bin", "targetPath": "x/y"}, workspace, template=beside(home))
    assert grown(workspace) == {"x/y": b"\0\1"}


async def test_a_program_stays_one_also_over_a_file_that_is_none(home: Path, workspace: Path) -> None:
    plant(home, {"gradlew": "#!"})
    (home / "gradlew").chmod(0o755)
    plant(workspace, {"old": "longer than that"})
    (workspace / "old").chmod(0o640)
    plain = fetching()["fetch:plain:file"]
    for target in ("old", "new"):
        await run(plain, {"url": "./gradlew", "targetPath": target}, workspace, template=beside(home))
        assert (workspace / target).read_text() == "#!"
        assert (workspace / target).stat().st_mode & 0o777 == 0o755


async def test_a_file_is_no_skeleton(home: Path, workspace: Path) -> None:
    plant(home, {"a.json": "{}"})
    with pytest.raises(InputError, match=r"^The `cwd` option must be a path to a directory$"):
        await run(fetching()["fetch:template"], {"url": "./a.json", "values": {}}, workspace, template=beside(home))


async def test_what_is_taken_over_turns_no_folder_into_a_file_and_no_file_into_a_folder(
    home: Path, workspace: Path
) -> None:
    plant(home, {"a.json": "{}", "s/b.txt": "b"})
    plant(workspace, {"there": "it"})
    plain = fetching()["fetch:plain"]
    with pytest.raises(
        InputError, match=f"^Cannot overwrite directory '{workspace}' with non-directory '{home}/a.json'"
    ):
        await run(plain, {"url": "./a.json"}, workspace, template=beside(home))
    with pytest.raises(
        InputError, match=f"^Cannot overwrite non-directory '{workspace}/there' with directory '{home}/s'"
    ):
        await run(plain, {"url": "./s", "targetPath": "there"}, workspace, template=beside(home))
    await run(plain, {"url": "./a.json", "targetPath": "there"}, workspace, template=beside(home))
    assert (workspace / "there").read_text() == "{}"


@pytest.mark.parametrize(
    ("source", "there", "problem"),
    [
        ("x", "x/y", "Cannot overwrite directory '{ws}/d/x' with non-directory '{home}/s/d/x'."),
        ("x/y", "x", "Cannot overwrite non-directory '{ws}/d/x' with directory '{home}/s/d/x'."),
        ("link", "link/y", "Cannot overwrite directory '{ws}/d/link' with non-directory '{home}/s/d/link'."),
        ("link", "link", "EEXIST: file already exists, symlink 'a' -> '{ws}/d/link'"),
    ],
)
async def test_nor_does_it_in_the_folders_below(
    home: Path, workspace: Path, source: str, there: str, problem: str
) -> None:
    plant(home / "s/d", {"a": "a"} if source == "link" else {"a": "a", source: "new"})
    if source == "link":
        (home / "s/d/link").symlink_to("a")
    plant(workspace / "d", {there: "old"})
    with pytest.raises(InputError) as caught:
        await run(fetching()["fetch:plain"], {"url": "./s"}, workspace, template=beside(home))
    assert caught.value.message == problem.format(ws=workspace, home=home)
    assert (workspace / "d" / there).read_text() == "old"


async def test_what_is_taken_over_takes_a_links_place_and_leaves_alone_what_it_led_to(
    home: Path, workspace: Path
) -> None:
    plant(home, {"s/a": "new", "s/b": "new"})
    plant(workspace, {"kept": "old", "d/kept": "old"})
    (workspace / "a").symlink_to("kept")
    (workspace / "b").symlink_to("d")
    await run(fetching()["fetch:plain"], {"url": "./s"}, workspace, template=beside(home))
    assert grown(workspace) == {"a": b"new", "b": b"new", "kept": b"old", "d/kept": b"old"}


async def test_a_file_that_cannot_be_taken_over_is_told_with_where_it_was_to_go(home: Path, workspace: Path) -> None:
    plant(home, {"a.json": "{}"})
    given = {"url": "./nope", "targetPath": "b.json"}
    told_so = f"^ENOENT: no such file or directory, copyfile '{home}/nope' -> '{workspace}/b.json'$"
    with pytest.raises(InputError, match=told_so):
        await run(fetching()["fetch:plain:file"], given, workspace, template=beside(home))
    given = {"url": "./a.json", "targetPath": ""}
    with pytest.raises(InputError, match=f"^EISDIR: .*, copyfile '{home}/a.json' -> '{workspace}'$"):
        await run(fetching()["fetch:plain:file"], given, workspace, template=beside(home))


async def test_a_skeleton_that_is_missing_is_not_said_to_be_listed(home: Path, workspace: Path) -> None:
    plant(home, {"a.json": "{}"})
    action = fetching()["fetch:template"]
    given = msgspec.convert({"url": "./s", "values": {}}, action.input)
    ctx: FakeActionContext[Any] = FakeActionContext(given, workspace, template=beside(home))
    with pytest.raises(InputError, match=r"^ENOENT: .*, lstat"):
        await action.run(ctx)
    assert told(ctx) == ["Fetching template content from remote URL"]
