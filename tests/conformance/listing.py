"""request lists -> the table of data sets in the README: what each is about, and how many requests it has.

python -m tests.conformance.listing     write it anew, as recording does
"""

from __future__ import annotations

from pathlib import Path

from tests.conformance.script import HERE, load, names

README = HERE / "README.md"
BEGIN, END = "<!-- sets: written by listing.py -->\n", "<!-- end of sets -->\n"


def listing() -> str:
    """The number of requests and sets, and a row for each set: its name, its requests, the comment that its list begins with."""
    counted = {name: len(load(name).requests) for name in names()}
    rows = [f"| `{name}` | {count} | {_about(name)} |\n" for name, count in counted.items()]
    total = f"**{sum(counted.values()):,}** requests about **{len(counted)}** data sets:\n\n"
    return f"{total}| set | requests | what is asked |\n|---|---|---|\n{''.join(rows)}"


def _about(name: str) -> str:
    first = (HERE / "requests" / f"{name}.yaml").read_text().partition("\n")[0]
    if not first.startswith("# "):
        raise ValueError(f"requests/{name}.yaml does not begin with a comment that says what it is about")
    return first.removeprefix("# ")


def told(page: Path = README) -> str:
    """What the README says now. Raises ValueError where it has no place for it."""
    return _parts(page.read_text())[1]


def write(page: Path = README) -> None:
    before, _, after = _parts(page.read_text())
    page.write_text(before + listing() + after)


def _parts(text: str) -> tuple[str, str, str]:
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:start], text[start:end], text[end:]


if __name__ == "__main__":
    write()
