"""What upstream's config-loader makes of these files was recorded by running it (1.11.3); here the same must come out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import AppConfig, default_paths, load


def read(folder: Path, files: Mapping[str, str] | str, environ: Mapping[str, str] | None = None) -> AppConfig:
    """Layers are the files called `app-config*`, in the order given."""
    named = {"app-config.yaml": files} if isinstance(files, str) else files
    for name, text in named.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return load([folder / name for name in named if name.startswith("app-config")], environ or {})


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            ["a: {x: 1, y: [1,2], z: {q: 1}}\nb: 1", "a: {x: 2, y: [3], z: {r: 2}}\nb: {c: 1}"],
            {"a": {"x": 2, "y": [3], "z": {"r": 2, "q": 1}}, "b": {"c": 1}},
        ),
        (["a: {x: 1, y: 2}", "a: {x: null}"], {"a": {"y": 2}}),
        (["a: {x: null, y: [null, 1]}\nb: null"], {"a": {"y": [None, 1]}}),
        (["a: {x: 1}\nb: 2", "a:"], {"b": 2}),
        (["a: {x: 1, y: 3}", "a: null", "a: {z: 1}"], {"a": {"z": 1}}),
        (["a: 1", "a: {x: 1}"], {"a": {"x": 1}}),
        (["a: {x: 1}", "a: 1", "a: {y: 1}"], {"a": {"y": 1}}),
        (["a: 1", "a: ${NO}"], {"a": 1}),
        (["a: {}\nb: {c: {d: null}}\ne: []\nf: ''"], {"a": {}, "b": {"c": {}}, "e": [], "f": ""}),
        (["a: [{x: null}]"], {"a": [{"x": None}]}),
        (["", "# only\n", "a: 1"], {"a": 1}),
    ],
)
def test_layers_merge_as_upstream(tmp_path: Path, layers: list[str], expected: dict[str, Any]) -> None:
    files = {f"app-config.{number}.yaml": text for number, text in enumerate(layers)}
    assert read(tmp_path, files).as_dict() == expected


def test_the_newer_layer_gives_the_order_of_keys(tmp_path: Path) -> None:
    config = read(tmp_path, {"app-config.yaml": "p: {a: 1, b: 2}", "app-config.local.yaml": "p: {c: 3, b: 4}"})
    assert list(config.get("p")) == ["c", "b", "a"]


ENVIRON = {"X": "ex", "Y": "wy", "EMPTY": "", "SP": "  pad ", "NUM": "12"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${X}", "ex"),
        ("pre-${X}-${Y}", "pre-ex-wy"),
        ("$${X}", "${X}"),
        ("$$${X}", "$${X}"),
        ("${NO:-dflt}", "dflt"),
        ("${X:-dflt}", "ex"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${ X }", "ex"),
        ("${NO:- sp ace }", "sp ace"),
        ("${NO:-http://x:-y}", "http://x:-y"),
        ("${X${Y}}", "${Xwy}"),
        ("${NO:-${X}}", "${NO:-ex}"),
        ("${SP}", "pad"),
        ("${NUM}", "12"),
        ("$X", "$X"),
        ("${NO}", None),
        ("${NO:-}", None),
        ("${EMPTY:-}", None),
        ("${}", None),
        ("a ${NO} b", None),
    ],
)
def test_variables_are_filled_in_as_upstream(tmp_path: Path, text: str, expected: str | None) -> None:
    config = read(tmp_path, f'a: "{text}"', ENVIRON)
    assert config.as_dict() == ({} if expected is None else {"a": expected})


def test_an_unset_variable_leaves_no_gap_in_a_list(tmp_path: Path) -> None:
    config = read(tmp_path, 'd: ["${NO}", "${X}", null, {k: "${NO}", l: "${Y}"}]', ENVIRON)
    assert config.get("d") == ["ex", None, {"l": "wy"}]
    assert config.origin("d[0]") == str(tmp_path / "app-config.yaml")


def test_variables_in_keys_stay_as_they_are(tmp_path: Path) -> None:
    assert read(tmp_path, "'${X}': k", ENVIRON).as_dict() == {"${X}": "k"}


FILES = {
    "s.txt": "secret ${X}\n\n",
    "d/t.txt": "  deep\n",
    "d/i.yaml": 'p: {q: {$file: t.txt}, s: "${X}"}\nn: null\no: {$env: X}',
    "d/j.yaml": "z: {$include: i.yaml}",
    "j.json": '{"a": 1, "b": "${X}"}',
    "root.yaml": "$include: j.json",
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{$file: s.txt}", "secret ${X}"),
        ('{$file: "./d/${F}"}', "  deep"),
        ("{$env: X}", "ex"),
        ("{$env: SP}", "pad"),
        ('{$env: "${N}"}', "ex"),
        ("{$env: NO}", None),
        ("{$include: d/i.yaml}", {"p": {"q": "  deep", "s": "ex"}, "o": "ex"}),
        ("{$include: d/j.yaml}", {"z": {"p": {"q": "  deep", "s": "ex"}, "o": "ex"}}),
        ('{$include: "d/i.yaml#p.s"}', "ex"),
        ('{$include: "d/i.yaml#p.zz"}', None),
        ("{$include: j.json}", {"a": 1, "b": "ex"}),
        ("[{$env: NO}, {$env: X}]", ["ex"]),
        # An inclusion that stands for itself alone in what is included is not followed by upstream.
        ('{$include: "d/i.yaml#p.q"}', {"$file": "t.txt"}),
        ("{$include: root.yaml}", {"$include": "j.json"}),
    ],
)
def test_files_and_variables_are_included_as_upstream(tmp_path: Path, value: str, expected: object) -> None:
    environ = {**ENVIRON, "F": "t.txt", "N": "X"}
    assert read(tmp_path, {**FILES, "app-config.yaml": f"a: {value}"}, environ).get("a") == expected


def test_an_inclusion_that_is_not_followed_is_told(tmp_path: Path) -> None:
    config = read(tmp_path, {**FILES, "app-config.yaml": "a: {$include: root.yaml}"})
    assert config.warnings == [f"{tmp_path}/app-config.yaml: a: root.yaml is an inclusion itself, and is not followed"]


def test_files_may_lie_anywhere(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("out")
    inner = tmp_path / "inner"
    text = f"a: {{$file: {tmp_path}/outside.txt}}\nb: {{$file: ../outside.txt}}"
    assert read(inner, {"app-config.yaml": text}).as_dict() == {"a": "out", "b": "out"}


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ("{b: {$file: x, k: 1}}", "a.b", "$file must stand alone in its object"),
        ("[{$file: 3}]", "a[0]", "$file wants a text"),
        ("{$file: nope.txt}", "a", "nope.txt: the file does not exist"),
        ("{$include: nope.yaml}", "a", "nope.yaml: the file does not exist"),
        ("{$include: s.txt}", "a", "cannot include s.txt"),
        ("{$include: bad.json}", "a", "the file is not JSON"),
        ('{$include: "j.json#a.b.c"}', "a", "a in"),
        ('{$file: "${NO}"}', "a", "$file uses a variable, but NO is not set"),
        ('{$file: "${YES}${NO}"}', "a", "$file uses a variable, but NO is not set"),
        ("{$include: self.yaml}", "a.x", "self.yaml includes itself"),
    ],
)
def test_a_wrong_inclusion_stops_the_start_with_its_place(tmp_path: Path, value: str, path: str, problem: str) -> None:
    files = {**FILES, "bad.json": "{x", "self.yaml": "x: {$include: self.yaml}", "app-config.yaml": f"\na: {value}"}
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, files, {"YES": "x"})
    if "bad.json" not in value:
        assert caught.value.path == path
        assert caught.value.file.startswith(str(tmp_path))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("x", "x"),
        ('"1"', "1"),
        ("[1,2]", [1, 2]),
        (" 7 ", 7),
        ("NaN", "NaN"),
        ("01", "01"),
        ("{x", "{x"),
        ("${X}", "${X}"),
        ("", {"z": 1}),
        ('{"q":null}', {"z": 1}),
        ('{"q":2}', {"q": 2, "z": 1}),
    ],
)
def test_the_environment_overrides_files_with_json_or_text(tmp_path: Path, text: str, expected: object) -> None:
    config = read(tmp_path, "a: {b: {z: 1}, c: 2}", {"APP_CONFIG_a_b": text, "X": "ex"})
    assert config.as_dict() == {"a": {"b": expected, "c": 2}}


def test_a_variable_is_named_as_the_origin_of_what_it_sets(tmp_path: Path) -> None:
    config = read(tmp_path, "a: {b: 1, c: 2}", {"APP_CONFIG_a_b": '{"x": 5}', "APP_CONFIG_a-b_c:d": "true"})
    assert config.origin("a.b.x") == "APP_CONFIG_a_b"
    assert config.origin("a.c") == str(tmp_path / "app-config.yaml")
    assert config.origin("a.nothing") == ""
    assert config.get("a-b.c:d") is True


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_CONFIG_a_b": "null"},
        {"APP_CONFIG_a__b": "1"},
        {"APP_CONFIG_": "1"},
        {"APP_CONFIG_1a": "1"},
        {"APP_CONFIG_a": "1", "APP_CONFIG_a_b": "2"},
        {"APP_CONFIG_a_b": "2", "APP_CONFIG_a": "1"},
        {"APP_CONFIG_a": "[1]", "APP_CONFIG_a_c": "2"},
    ],
)
def test_a_variable_that_upstream_refuses_stops_the_start(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="APP_CONFIG_"):
        read(tmp_path, "a: 1", environ)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"APP_CONFIG_a": '{"b":1}', "APP_CONFIG_a_c": "2"}, {"b": 1, "c": 2}),
        ({"APP_CONFIG_a": '{"b":null}', "APP_CONFIG_a_b_c": "2"}, {"b": {"c": 2}}),
    ],
)
def test_variables_may_add_to_each_other(tmp_path: Path, environ: dict[str, str], expected: object) -> None:
    assert read(tmp_path, "a: 1", environ).get("a") == expected


def test_overrides_win_over_all_and_may_have_dotted_keys(tmp_path: Path) -> None:
    (tmp_path / "app-config.yaml").write_text("backend: {listen: {port: 1, host: h}, x: 1}")
    overrides = {"backend.listen.port": 3, "backend": {"y": 2, "x": None}}
    config = load([tmp_path / "app-config.yaml"], {"APP_CONFIG_backend_listen_port": "2"}, overrides)
    assert config.as_dict() == {"backend": {"listen": {"port": 3, "host": "h"}, "y": 2}}
    assert config.origin("backend.listen.port") == "command line"


def test_the_default_files_are_those_of_upstream_that_exist(tmp_path: Path) -> None:
    assert default_paths(tmp_path, {}) == []
    for name in ("", ".local", ".dev", ".dev.local", ".other"):
        (tmp_path / f"app-config{name}.yaml").touch()
    names = [path.name for path in default_paths(tmp_path, {"BACKSTAGE_ENV": "dev, prod"})]
    assert names == ["app-config.yaml", "app-config.dev.yaml", "app-config.local.yaml", "app-config.dev.local.yaml"]


def test_what_is_handed_out_cannot_change_the_config(tmp_path: Path) -> None:
    config = read(tmp_path, "a: {b: [1]}")
    config.get("a")["b"].append(2)
    config.as_dict()["a"]["b"].append(2)
    assert config.get("a.b") == [1]


def test_paths_reach_into_lists(tmp_path: Path) -> None:
    config = read(tmp_path, "a: [{b: 1}, {b: 2}]")
    assert config.get("a[1].b") == config.get("a.1.b") == 2
    assert not config.has("a[2]")
    assert config.get("a.b.c", "none") == "none"
