"""What the README has a newcomer type gives what it shows, on the demo as it is."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.conftest import DEMO, TOKEN
from tests.support.processes import PATIENCE, Process, command, environment, until

CHECKOUT = DEMO.parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
GREENROOM = shlex.join(command())
AUTHOR = {f"GIT_{role}_{what}": "someone" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
OTHER_EACH_TIME = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12}\b|\d+\.\d s\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|file:///\S*/"
)


def told(section: str) -> list[tuple[str, str]]:
    """The commands of a section, and what is shown of each: nothing, where that is left to the reader."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", blocks, re.MULTILINE)
    assert commands
    return commands


def plain(text: str) -> str:
    """Times, ids and folders are others each time; lines are broken where the page is narrow."""
    return " ".join(OTHER_EACH_TIME.sub("(other)", text).split())


def as_shown(said: str, shown: str) -> bool:
    """`…` stands for what is left out."""
    parts = [re.escape(part.strip()) for part in plain(shown).split("…")]
    return re.fullmatch(".*".join(parts), plain(said)) is not None


def tried(section: str, places: Mapping[str, str], **environ: str) -> None:
    """Type all of it into a terminal of the checkout, but for the places that are elsewhere here."""
    for line, shown in told(section):
        typed = re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], line)
        if "catalog get" in typed:
            until(partial(is_found, typed, environ))  # a reader is slower than a program
            continue
        done = run(typed, environ)
        said = done.stdout.replace(places["/tmp"], "/tmp")
        assert as_shown(said, shown) if shown else done.returncode == 0, f"$ {typed}\n{said}{done.stderr}"


def is_found(typed: str, environ: Mapping[str, str]) -> bool:
    return run(typed, environ).returncode == 0


def run(typed: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    bash, space = ["bash", "-c", typed], environment(**AUTHOR, **environ)
    return subprocess.run(bash, cwd=CHECKOUT, env=space, capture_output=True, text=True, timeout=PATIENCE, check=False)


def counted(server: Process) -> str:
    """The line of the summary that counts what is served."""
    kinds = Counter(entity["kind"].lower() for entity in server.get("/api/catalog/entities", TOKEN)[1])
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"Entities   {kinds.total()} served: {counts}\n"


@pytest.mark.parametrize("section", ["Write templates", "Check a file before it is committed"])
def test_what_needs_no_server_gives_what_is_shown(tmp_path: Path, section: str) -> None:
    tried(section, {".venv/bin/greenroom": GREENROOM, "/tmp": str(tmp_path)})


def test_the_demo_is_what_the_readme_shows_of_it(server: tuple[Process, Path], tmp_path: Path) -> None:
    process, repositories = server
    until(lambda: counted(process) in README)
    explained = "/api/greenroom/catalog/explain?ref=component:default/lost-luggage"
    until(lambda: "lifecycle" in str(process.get(explained, TOKEN)[1]))  # it has been looked at, and refused
    assert (len(list(repositories.glob("*.git"))), "in seven Git repositories" in README) == (7, True)
    places = {
        ".venv/bin/greenroom": GREENROOM,
        ".greenroom/demo/repositories": str(repositories),
        "http://localhost:7007": process.url,
        "/tmp": str(tmp_path),
    }
    environ = {"GREENROOM_SERVER": process.url, "GREENROOM_DEMO_URL": process.url, "GREENROOM_TOKEN": TOKEN}
    for section in ("Look at it", '"Why is my entity not there?"', "Make something new"):
        tried(section, places, **environ)
    until(lambda: process.get("/api/catalog/entities/by-name/component/default/lost-luggage", TOKEN)[0] == 200)
