"""What composing makes of a document: its values as they stand in the text, with anchors and aliases not yet resolved."""

from __future__ import annotations

from typing import Any, TypeAlias


class Node:
    """Something at a place: from the offset `start` to `stop`; with the comment and white space after it, to `end`."""

    __slots__ = ("anchor", "end", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = self.end = stop
        self.anchor: str | None = None


class Scalar(Node):
    """`value` is JSON; `is_plain` says that it was written without quotes and without a tag."""

    __slots__ = ("is_plain", "quote", "source", "value")

    def __init__(self, start: int, end: int, value: Any, source: str, *, is_plain: bool) -> None:
        super().__init__(start, end)
        self.value = value
        self.source = source
        self.is_plain = is_plain
        self.quote = ""


class Mapping(Node):
    """Keys with their values; None where a key has none, not even an empty one."""

    __slots__ = ("is_hidden", "pairs")

    def __init__(self, start: int) -> None:
        super().__init__(start, start)
        self.pairs: list[tuple[Node, Node | None]] = []
        self.is_hidden = False
        """Whether JavaScript holds something of which JSON shows nothing (`!!set`)."""


class Sequence(Node):
    """A list."""

    __slots__ = ("is_hidden", "items")

    def __init__(self, start: int) -> None:
        super().__init__(start, start)
        self.items: list[Node] = []
        self.is_hidden = False
        """As in Mapping (`!!omap`)."""


class Alias(Node):
    """A reference to the last node before it that has the anchor `name`."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: str) -> None:
        super().__init__(start, end)
        self.name = name


Contents: TypeAlias = Scalar | Mapping | Sequence | Alias
