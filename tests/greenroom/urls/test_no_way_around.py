"""What comes from outside comes through the guard: no other part of the server connects to anything."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULES = {
    "urllib.request",
    "urllib3",
    "http.client",
    "requests",
    "httpx",
    "ftplib",
    "smtplib",
    "telnetlib",
    "xmlrpc.client",
}
CALLS = {
    "ClientSession",
    "open_connection",
    "create_connection",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "Popen",
    "system",
}
ALLOWED = {
    "greenroom/urls/outgoing.py": "the guard itself",
    "greenroom/testing.py": "fakes, which run in the tests of plugin authors only",
    "greenroom/app.py": "the session that plugins are lent for addresses of their own config",
    "greenroom/cli/client.py": "a person's command, to the server that they name",
    "catalog/greenroom_catalog/commands/live.py": "a person's command, to the server that they name",
    "greenroom/embedded/supervisor.py": "the embedded Postgres",
    "scaffolder/greenroom_scaffolder/tasks/programs.py": "programs of actions, in the workspace, without the server's environment",
    "plugins/greenroom_plugins/git/command.py": "git, with repositories of the config only, and one protocol",
}


def ways_out(file: Path) -> set[str]:
    """Names in a module by which something could be connected to."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= MODULES & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            found |= (MODULES & names) | (CALLS & {alias.name for alias in node.names})
        elif isinstance(node, ast.Call):
            called = node.func
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            found |= CALLS & {name}
    return found


def test_nothing_is_read_past_the_guard() -> None:
    files = [
        file for folder in ("greenroom", "catalog", "scaffolder", "plugins") for file in (ROOT / folder).rglob("*.py")
    ]
    found = {str(file.relative_to(ROOT)): ways for file in files if (ways := ways_out(file))}
    assert set(found) == set(ALLOWED), found
