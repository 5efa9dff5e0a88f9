"""What stands before a node: an indicator, an anchor, a tag, a comma, comments; and what is wrong with that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from greenroom_catalog.ingestion.documents.grammar import Ended, Root, Tree
from greenroom_catalog.ingestion.documents.lexing import Token
from greenroom_catalog.ingestion.documents.texts import COMMENT_TOUCHES

TABS = "Tabs are not allowed as indentation"
TOUCHES = "Tags and anchors must be separated from the next token by white space"

Place: TypeAlias = int | tuple[int, int] | Token | Tree | Root | Ended
"""An offset, a range of offsets, or what stands there."""

Complain: TypeAlias = Callable[[Place, str], None]


class Props:
    """Takes the tokens before a node one by one, and complains in passing."""

    __slots__ = (
        "_at_newline",
        "_complain",
        "_flow",
        "_has_space",
        "_indicator",
        "_needs_space",
        "anchor",
        "comma",
        "end",
        "found",
        "has_comment",
        "has_newline",
        "newline_after",
        "start",
        "tag",
    )

    def __init__(self, indicator: str, flow: str, complain: Complain, *, on_newline: bool) -> None:
        """`indicator` is the kind of the sign that belongs before the node; `flow` names the flow collection around it."""
        self._indicator = indicator
        self._flow = flow
        self._complain = complain
        self._at_newline = self._has_space = on_newline
        self._needs_space = False
        self.anchor: Token | None = None
        self.tag: Token | None = None
        self.comma: Token | None = None
        self.found: Token | None = None
        self.newline_after: Token | None = None
        self.has_comment = self.has_newline = False
        self.start = -1
        self.end = 0

    def take(self, tokens: Sequence[Token], following: Tree | Token | None, offset: int, parent_indent: int) -> None:
        """All of them. `following` comes after them; `offset` is where they would be if there were any."""
        tab: Token | None = None
        indents = not self._flow and (self._indicator != "doc-start" or not _is_flow(following))
        for token in tokens:
            if self._needs_space:
                self._check_space(token)
            if tab is not None and self._at_newline and token.kind not in ("comment", "newline"):
                self._complain(tab, TABS)
            tab = token if token.kind == "space" and indents and "\t" in token.source else None
            self._take(token)
        self.end = tokens[-1].offset + len(tokens[-1].source) if tokens else offset
        self.start = self.end if self.start < 0 else self.start
        if self._needs_space and following is not None and _must_be_apart(following):
            self._complain(following.offset, TOUCHES)
        if tab is not None and ((self._at_newline and tab.indent <= parent_indent) or is_block(following)):
            self._complain(tab, TABS)

    def _check_space(self, token: Token) -> None:
        if token.kind not in ("space", "newline", "comma"):
            self._complain(token.offset, TOUCHES)
        self._needs_space = False

    def _take(self, token: Token) -> None:
        kind = token.kind
        if kind == "space":
            self._has_space = True
        elif kind == "newline":
            self._at_newline = self._has_space = self.has_newline = True
            if self.anchor or self.tag:
                self.newline_after = token
        elif kind == "comment":
            if not self._has_space:
                self._complain(token, COMMENT_TOUCHES)
            self.has_comment = True
            self._at_newline = False
        else:
            self._take_mark(token)
            self._has_space = False

    def _take_mark(self, token: Token) -> None:
        kind = token.kind
        self._at_newline = False
        if kind in ("anchor", "tag"):
            if getattr(self, kind) is not None:
                self._complain(token, f"A node can have at most one {kind}")
            setattr(self, kind, token)
            self.start = token.offset if self.start < 0 else self.start
            self._needs_space = True
        elif kind == self._indicator:
            if self.anchor or self.tag:
                self._complain(token, f"Anchors and tags must be after the {token.source} indicator")
            if self.found:
                self._complain(token, f"Unexpected {token.source} in {self._flow or 'collection'}")
            self.found = token
            self._at_newline = kind in ("seq-item-ind", "explicit-key-ind")
        elif kind == "comma" and self._flow:
            if self.comma:
                self._complain(token, f"Unexpected , in {self._flow}")
            self.comma = token
        else:
            self._complain(token, f"Unexpected {kind} token")


def span(place: Place) -> tuple[int, int]:
    """From which offset to which."""
    if isinstance(place, int):
        return place, place + 1
    if isinstance(place, tuple):
        return place
    source = getattr(place, "source", None)
    return place.offset, place.offset + (len(source) if source is not None else 1)


def is_block(tree: Tree | Token | None) -> bool:
    """Whether it is a mapping or list that lives by its indentation."""
    return tree is not None and tree.kind in ("block-map", "block-seq")


def _is_flow(tree: Tree | Token | None) -> bool:
    return tree is not None and tree.kind == "flow-collection"


def _must_be_apart(following: Tree | Token) -> bool:
    if following.kind in ("space", "newline", "comma"):
        return False
    return following.kind != "scalar" or getattr(following, "source", "") != ""
