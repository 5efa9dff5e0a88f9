"""moment -> text, as JavaScript writes times."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso"]


def iso(moment: datetime) -> str:
    """`2026-11-21T08:10:53.000Z`: in UTC, what is less than a millisecond cut off. The moment has to know its time zone."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
