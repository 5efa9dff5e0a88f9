"""Plugins that look installed: a distribution's metadata in a folder on the path, as pip would leave it there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def pretend_installed(folder: Path, entry_points: Mapping[str, str], name: str = "acme") -> Path:
    """Make `folder` hold the metadata of a distribution with these entry points, `{"acme": "acme:acme"}`. Returns it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[greenroom.plugins]", *lines, ""]))
    return folder
