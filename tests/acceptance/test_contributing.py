"""What the pages show a stranger of a distribution of his own is whole: written as it stands there, it is found and works."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.conftest import DEMO
from tests.support.installed import pretend_installed
from tests.support.processes import run

CHECKOUT = DEMO.parents[1]


def installed(folder: Path, page: str, section: str, module: str) -> str:
    """The path on which the distribution of a section is found."""
    text = (CHECKOUT / page).read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    code, project = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("python", "toml"))
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    points = tomllib.loads(project)["project"]["entry-points"]["greenroom.plugins"]
    return os.pathsep.join([str(pretend_installed(folder / "site", points, module)), str(folder)])


def test_the_action_that_contributing_shows_is_listed_and_does_what_it_says(tmp_path: Path) -> None:
    path = installed(tmp_path, "CONTRIBUTING.md", "Add an action", "acme_actions")
    listed = run("template", "actions", "acme:shout", PYTHONPATH=path)
    assert "action: acme:shout" in listed.out, listed.err
    step = "{id: a, name: A, action: 'acme:shout', input: {text: hello}}"
    spec = f"{{type: x, steps: [{step}], output: {{said: '${{{{ steps.a.output.text }}}}'}}}}"
    file = tmp_path / "template.yaml"
    file.write_text(
        f"{{apiVersion: scaffolder.backstage.io/v1beta3, kind: Template, metadata: {{name: t}}, spec: {spec}}}"
    )
    tried = run("template", "dry-run", file, PYTHONPATH=path)
    assert tried.out.endswith("said: HELLO\n"), tried.err


@pytest.mark.parametrize(
    ("page", "section", "module", "name"),
    [
        ("plugins/README.md", "Write one", "acme_teams", "acme-teams"),
        ("CONTRIBUTING.md", "Add an action", "acme_actions", "acme-actions"),
    ],
)
def test_the_plugins_that_pages_show_are_found(tmp_path: Path, page: str, section: str, module: str, name: str) -> None:
    told = run("plugins", PYTHONPATH=installed(tmp_path, page, section, module))
    assert f"\n{name} " in told.out, told.err
