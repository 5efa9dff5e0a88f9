"""Make the demo's repositories: `setup.py FOLDER [--reset]`. Needs Python and git, nothing else.

Each folder of `repositories/` becomes a bare repository `FOLDER/<name>.git` with one commit. One that is there already is
left as it is, with all that has been pushed to it; `--reset` adds a commit that brings the sample back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Harbour Lights"), ("EMAIL", "hello@harbour-lights.example"))
}


def git(*arguments: str, **environ: str) -> str:
    """What git says, without the last line end. Stops the script where git fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command, environ = ["git", *arguments], {**kept, **IDENTITY, **environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def create(repository: Path) -> None:
    """An empty bare repository that announces every push to the server."""
    git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(repository))
    hook = repository / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!{sys.executable}\n{(HERE / 'post_receive.py').read_text(encoding='utf-8')}", encoding="utf-8")
    hook.chmod(0o755)


def commit(source: Path, repository: Path) -> None:
    """Commit the files of a folder to `main`, if they differ from what is there."""
    at = f"--git-dir={repository}"
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(at, f"--work-tree={source}", "add", "--all", ".", **index)
        tree = git(at, "write-tree", **index)
    parent = git(at, "for-each-ref", "--format=%(objectname)", "refs/heads/main")
    if parent and git(at, "rev-parse", f"{parent}^{{tree}}") == tree:
        return
    before = ["-p", parent] if parent else []
    git(at, "update-ref", "refs/heads/main", git(at, "commit-tree", tree, *before, "-m", "The sample organisation"))


def main(folder: Path, *, reset: bool) -> None:
    """Make what is missing. `folder` is made too."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted((HERE / "repositories").iterdir()):
        repository = folder / f"{source.name}.git"
        new = not (repository / "HEAD").exists()
        if new:
            create(repository)
        if new or reset or not git(f"--git-dir={repository}", "for-each-ref", "refs/heads/main"):
            commit(source, repository)


if __name__ == "__main__":
    places = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if len(places) != 1 or set(sys.argv[1:]) - {places[0], "--reset"}:
        sys.exit("usage: setup.py FOLDER [--reset]")
    main(Path(places[0]).resolve(), reset="--reset" in sys.argv)
