"""tokens -> trees: which token belongs to which collection, by the indentation of lines.

The second of three steps. Nothing is judged here: what stands in the wrong place is kept where it is, for `composing` to complain
about. The rules of who takes what are npm yaml's, since they decide what is wrong with a text that is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from greenroom_catalog.ingestion.documents.lexing import DOCUMENT, FLOW_BROKEN, NO_TOKEN, Token

DEEPEST = 1000
"""Nodes within nodes, beyond which a text is given up."""

_SCALARS = frozenset({"alias", "scalar", "single-quoted-scalar", "double-quoted-scalar"})
_EMPTY = frozenset({"space", "comment", "newline"})
_ENDS = frozenset({"comma", "doc-start", "doc-end", "flow-seq-end", "flow-map-end", "map-value-ind"})
_BEFORE_KEY = frozenset({"doc-start", "explicit-key-ind", "map-value-ind", "seq-item-ind", "newline"})


class Wrong:
    """Text that has no place in the tree."""

    __slots__ = ("message", "offset", "source")
    kind = "error"

    def __init__(self, offset: int, message: str, source: str) -> None:
        self.offset = offset
        self.message = message
        self.source = source


class Block:
    """A block scalar: its header with what follows on that line, and its lines."""

    __slots__ = ("indent", "offset", "props", "source")
    kind = "block-scalar"

    def __init__(self, header: Token) -> None:
        self.offset = header.offset
        self.indent = header.indent
        self.props: list[Token | Wrong] = [header]
        self.source = ""


class Item:
    """A part of a collection. `start` stands before the key (or the value of a list), `sep` between key and value."""

    __slots__ = ("explicit", "key", "sep", "start", "value")

    def __init__(
        self,
        start: list[Token],
        *,
        key: Tree | None = None,
        sep: list[Token] | None = None,
        value: Tree | None = None,
        explicit: bool = False,
    ) -> None:
        self.start = start
        self.key = key
        self.sep = sep
        self.value = value
        self.explicit = explicit


class Collection:
    """A mapping or list. `begin` is the bracket of one in flow style, `end` its closing and what follows on the line."""

    __slots__ = ("begin", "end", "indent", "items", "kind", "offset")

    def __init__(self, kind: str, offset: int, indent: int, items: list[Item], begin: Token | None = None) -> None:
        self.kind = kind
        self.offset = offset
        self.indent = indent
        self.items = items
        self.begin = begin
        self.end: list[Token] = []

    @property
    def last(self) -> Item | None:
        return self.items[-1] if self.items else None


class Root:
    """A document."""

    __slots__ = ("end", "offset", "start", "value")
    kind = "document"

    def __init__(self, offset: int, start: list[Token]) -> None:
        self.offset = offset
        self.start = start
        self.value: Tree | None = None
        self.end: list[Token] | None = None


class Ended:
    """`...`, and the rest of its line."""

    __slots__ = ("end", "offset", "source")
    kind = "doc-end"

    def __init__(self, token: Token) -> None:
        self.offset = token.offset
        self.source = token.source
        self.end: list[Token] = []


Tree: TypeAlias = Token | Block | Collection | Wrong
Part: TypeAlias = Root | Ended | Wrong | Token
"""What a stream consists of. Of tokens only directives matter."""


def parts_of(tokens: Sequence[Token]) -> tuple[list[Part], list[int]]:
    """The parts of a stream, and the offsets at which its lines begin. Raises RecursionError."""
    builder = _Builder()
    for token in tokens:
        builder.take(token)
    while builder.stack:
        builder.pop()
    return builder.found, builder.lines


class _Builder:
    """Keeps the open nodes on a stack, the innermost last, and gives each token to the first that wants it."""

    def __init__(self) -> None:
        self.found: list[Part] = []
        self.lines = [0]
        self.stack: list[Root | Ended | Tree] = []
        self.at_line_start = True
        self.indent = 0
        self.on_key_line = False

    def take(self, token: Token) -> None:
        kind = token.kind
        token.indent = self.indent
        if kind == NO_TOKEN:
            self.attach(Wrong(token.offset, f"Not a YAML token: {token.source}", token.source))
            return
        if kind == "scalar":
            self.at_line_start = False
        self.step(token)
        if kind == "newline":
            self.at_line_start, self.indent = True, 0
            self.lines.append(token.offset + len(token.source))
        elif kind == "space":
            if self.at_line_start and token.source[0] == " ":
                self.indent += len(token.source)
        elif kind in ("explicit-key-ind", "map-value-ind", "seq-item-ind"):
            if self.at_line_start:
                self.indent += len(token.source)
        elif kind not in (DOCUMENT, FLOW_BROKEN, "scalar"):
            self.at_line_start = False

    def step(self, token: Token) -> None:
        if len(self.stack) > DEEPEST:
            raise RecursionError
        top = self.stack[-1] if self.stack else None
        if token.kind == "doc-end" and not isinstance(top, Ended):
            while self.stack:
                self.pop()
            self.stack.append(Ended(token))
        elif top is None:
            self._in_stream(token)
        elif isinstance(top, Root):
            self._in_document(top, token)
        elif isinstance(top, Collection):
            {"block-map": self._in_map, "block-seq": self._in_list}.get(top.kind, self._in_flow)(top, token)
        elif isinstance(top, Block):
            self._in_block_scalar(top, token)
        elif isinstance(top, Ended):
            self._after_end(top, token)
        else:
            self._after_scalar(top, token)

    def _pass_on(self, token: Token) -> None:
        """The innermost node is complete: what it does not want is for the one around it."""
        self.pop()
        self.step(token)

    # --- completing nodes ---

    def pop(self) -> None:
        self.attach(self.stack.pop())

    def attach(self, node: Root | Ended | Tree) -> None:
        """Give a complete node to the one around it."""
        if isinstance(node, Root | Ended) or not self.stack:
            self.found.append(node)  # type: ignore[arg-type]  # only parts of a stream stand at its top
            return
        top = self.stack[-1]
        if isinstance(node, Block):
            node.indent = getattr(top, "indent", 0)
        elif isinstance(node, Collection) and node.begin is not None:
            node.indent = 0 if isinstance(top, Root) else node.indent
            _join_lone_keys(node)
        if isinstance(top, Root):
            top.value = node
        elif isinstance(top, Block):
            if isinstance(node, Wrong):
                top.props.append(node)
        elif isinstance(top, Collection):
            if not self._attach_to(top, node):
                return
        else:
            self.pop()
            self.attach(node)
            return
        _give_back_ends(top, node)

    def _attach_to(self, top: Collection, node: Tree) -> bool:
        """Whether the node became a value, and not a key."""
        item = top.last
        if item is None or item.value is not None:
            if top.kind == "block-seq":
                top.items.append(Item([], value=node))
                return True
            top.items.append(Item([], key=node, sep=[]))
            self.on_key_line = self.on_key_line or top.kind == "block-map"
            return False
        if top.kind == "block-seq" or item.sep is not None:
            item.value = node
            return top.kind != "flow-collection"
        item.key, item.sep = node, []
        if top.kind == "block-map":
            self.on_key_line = not item.explicit
        return False

    # --- who takes what ---

    def _in_stream(self, token: Token) -> None:
        if token.kind == "directive-line":
            self.found.append(token)
        elif token.kind in (DOCUMENT, "doc-start"):
            self.stack.append(Root(token.offset, [token] if token.kind == "doc-start" else []))
        elif token.kind not in _EMPTY and token.kind != "byte-order-mark":
            self.found.append(Wrong(token.offset, f"Unexpected {token.kind} token in YAML stream", token.source))

    def _in_document(self, root: Root, token: Token) -> None:
        if root.value is not None:
            self._after_value(root, token)
        elif token.kind == "doc-start" and any(before.kind not in _EMPTY for before in root.start):
            self._pass_on(token)
        elif token.kind in _EMPTY or token.kind in ("anchor", "tag", "doc-start"):
            root.start.append(token)
        elif (value := self._begun(root, token)) is not None:
            self.stack.append(value)
        else:
            self.found.append(Wrong(token.offset, f"Unexpected {token.kind} token in YAML document", token.source))

    def _after_scalar(self, scalar: Tree, token: Token) -> None:
        """A colon after a scalar makes it the first key of a mapping."""
        if token.kind != "map-value-ind" or not isinstance(scalar, Token):
            self._after_value(scalar, token)
            return
        start = _taken_key_start(self._start_of(self.stack[-2]))
        sep, scalar.end = [*(scalar.end or ()), token], None
        self.on_key_line = True
        self.stack[-1] = Collection("block-map", scalar.offset, scalar.indent, [Item(start, key=scalar, sep=sep)])

    def _after_value(self, node: Root | Tree, token: Token) -> None:
        if token.kind in _ENDS:
            self._pass_on(token)
            return
        if token.kind == "newline":
            self.on_key_line = False
        if isinstance(node, Token | Root | Collection):
            if node.end is None:
                node.end = [token]
            else:
                node.end.append(token)
        if token.kind == "newline":
            self.pop()

    def _in_block_scalar(self, scalar: Block, token: Token) -> None:
        if token.kind in _EMPTY:
            scalar.props.append(token)
        elif token.kind == "scalar":
            scalar.source = token.source
            self.at_line_start, self.indent = True, 0
            self._note_lines(token)
            self.pop()
        else:
            self._pass_on(token)

    def _after_end(self, ended: Ended, token: Token) -> None:
        if token.kind != DOCUMENT:
            ended.end.append(token)
            if token.kind == "newline":
                self.pop()

    def _in_map(self, mapping: Collection, token: Token) -> None:
        item = mapping.items[-1]
        if token.kind in _EMPTY:
            self.on_key_line = self.on_key_line and token.kind != "newline"
            self._space_in_block(mapping, item, token)
            return
        if self.indent < mapping.indent or not self._content_in_map(mapping, item, token):
            self._pass_on(token)

    def _space_in_block(self, block: Collection, item: Item, token: Token) -> None:
        if item.value is not None:
            end = _end_of(item.value)
            if token.kind == "newline" and end and end[-1].kind == "comment":
                end.append(token)
            else:
                block.items.append(Item([token]))
        elif item.sep is not None:
            item.sep.append(token)
        elif (end := self._end_before_comment(block, item, token)) is not None:
            end += [*item.start, token]
            block.items.pop()
        else:
            item.start.append(token)

    def _end_before_comment(self, block: Collection, item: Item, token: Token) -> list[Token] | None:
        """An indented comment on a line of its own belongs to the value before it, if that can take one."""
        if token.kind != "comment" or self.indent <= block.indent or len(block.items) < 2:
            return None
        if any(before.kind not in ("newline", "space") for before in item.start):
            return None
        return _end_of(block.items[-2].value)

    def _content_in_map(self, mapping: Collection, item: Item, token: Token) -> bool:
        at_indent = not self.on_key_line and self.indent == mapping.indent
        is_next = at_indent and (item.sep is not None or item.explicit) and token.kind != "seq-item-ind"
        start: list[Token] = []
        if is_next and item.sep is not None and item.value is None:
            start = _cut_at_second_line(item.sep, mapping.indent)
        if token.kind in ("anchor", "tag"):
            self._property_in_map(mapping, item, token, start, is_next=is_next)
        elif token.kind == "explicit-key-ind":
            self._question_in_map(mapping, item, token, start, is_next=is_next)
        elif token.kind == "map-value-ind":
            if item.explicit:
                self._colon_after_question(mapping, item, token, start)
            else:
                self._colon_in_map(mapping, item, token, start, is_next=is_next)
            self.on_key_line = True
        elif token.kind in _SCALARS:
            self._scalar_in_map(mapping, item, token, start, is_next=is_next)
        else:
            return self._block_in_map(mapping, item, token, start, at_indent=at_indent)
        return True

    def _property_in_map(
        self, mapping: Collection, item: Item, token: Token, start: list[Token], *, is_next: bool
    ) -> None:
        if is_next or item.value is not None:
            mapping.items.append(Item([*start, token]))
            self.on_key_line = True
        elif item.sep is not None:
            item.sep.append(token)
        else:
            item.start.append(token)

    def _question_in_map(
        self, mapping: Collection, item: Item, token: Token, start: list[Token], *, is_next: bool
    ) -> None:
        if item.sep is None and not item.explicit:
            item.start.append(token)
            item.explicit = True
        elif is_next or item.value is not None:
            mapping.items.append(Item([*start, token], explicit=True))
        else:
            self.stack.append(Collection("block-map", token.offset, self.indent, [Item([token], explicit=True)]))
        self.on_key_line = True

    def _colon_after_question(self, mapping: Collection, item: Item, token: Token, start: list[Token]) -> None:
        if item.sep is None:
            if _has(item.start, "newline"):
                item.key, item.sep = None, [token]
            else:
                self._push_map(token, Item(_taken_key_start(item.start), sep=[token]))
        elif item.value is not None:
            mapping.items.append(Item([], sep=[token]))
        elif _has(item.sep, "map-value-ind"):
            self._push_map(token, Item(start, sep=[token]))
        elif _is_flow(item.key) and not _has(item.sep, "newline"):
            inner = Item(_taken_key_start(item.start), key=item.key, sep=[*item.sep, token])
            item.key = item.sep = None
            self._push_map(token, inner)
        else:
            item.sep += [*start, token]

    def _colon_in_map(
        self, mapping: Collection, item: Item, token: Token, start: list[Token], *, is_next: bool
    ) -> None:
        if item.sep is None:
            item.key, item.sep = None, [token]
        elif item.value is not None or is_next:
            mapping.items.append(Item(start, sep=[token]))
        elif _has(item.sep, "map-value-ind"):
            self._push_map(token, Item([], sep=[token]))
        else:
            item.sep.append(token)

    def _push_map(self, token: Token, item: Item) -> None:
        self.stack.append(Collection("block-map", token.offset, self.indent, [item]))

    def _scalar_in_map(
        self, mapping: Collection, item: Item, token: Token, start: list[Token], *, is_next: bool
    ) -> None:
        self._note_lines(token)
        if is_next or item.value is not None:
            mapping.items.append(Item(start, key=token, sep=[]))
            self.on_key_line = True
        elif item.sep is not None:
            self.stack.append(token)
        else:
            item.key, item.sep = token, []
            self.on_key_line = True

    def _block_in_map(
        self, mapping: Collection, item: Item, token: Token, start: list[Token], *, at_indent: bool
    ) -> bool:
        block = self._begun(mapping, token)
        if block is None:
            return False
        if block.kind == "block-seq":
            if not item.explicit and item.sep is not None and not _has(item.sep, "newline"):
                message = "Unexpected block-seq-ind on same line with key"
                self.attach(Wrong(token.offset, message, token.source))
                return True
        elif at_indent:
            mapping.items.append(Item(start))
        self.stack.append(block)
        return True

    def _in_list(self, sequence: Collection, token: Token) -> None:
        item = sequence.items[-1]
        kind = token.kind
        if kind in _EMPTY:
            self._space_in_block(sequence, item, token)
        elif kind in ("anchor", "tag") and item.value is None and self.indent > sequence.indent:
            item.start.append(token)
        elif kind == "seq-item-ind" and self.indent == sequence.indent:
            if item.value is not None or _has(item.start, "seq-item-ind"):
                sequence.items.append(Item([token]))
            else:
                item.start.append(token)
        elif (
            kind not in ("anchor", "tag")
            and self.indent > sequence.indent
            and (value := self._begun(sequence, token)) is not None
        ):
            self.stack.append(value)
        else:
            self._pass_on(token)

    def _in_flow(self, flow: Collection, token: Token) -> None:
        if token.kind == FLOW_BROKEN:
            while self.stack and isinstance(top := self.stack[-1], Collection) and top.begin is not None:
                self.pop()
        elif flow.end:
            self._after_flow(flow, token)
        elif token.kind in ("flow-map-end", "flow-seq-end"):
            flow.end.append(token)
        elif token.kind in _EMPTY or token.kind in ("comma", "explicit-key-ind", "map-value-ind", "anchor", "tag"):
            self._mark_in_flow(flow, token)
        elif token.kind in _SCALARS:
            self._scalar_in_flow(flow, token)
        elif (value := self._begun(flow, token)) is not None:
            self.stack.append(value)
        else:
            self._pass_on(token)

    def _mark_in_flow(self, flow: Collection, token: Token) -> None:
        item, kind = flow.last, token.kind
        if kind in ("comma", "explicit-key-ind"):
            if item is None or item.sep is not None:
                flow.items.append(Item([token]))
            else:
                item.start.append(token)
        elif kind == "map-value-ind":
            if item is None or item.value is not None:
                flow.items.append(Item([], sep=[token]))
            elif item.sep is not None:
                item.sep.append(token)
            else:
                item.key, item.sep = None, [token]
        elif item is None or item.value is not None:
            flow.items.append(Item([token]))
        elif item.sep is not None:
            item.sep.append(token)
        else:
            item.start.append(token)

    def _scalar_in_flow(self, flow: Collection, token: Token) -> None:
        self._note_lines(token)
        item = flow.last
        if item is None or item.value is not None:
            flow.items.append(Item([], key=token, sep=[]))
        elif item.sep is not None:
            self.stack.append(token)
        else:
            item.key, item.sep = token, []

    def _after_flow(self, flow: Collection, token: Token) -> None:
        """After the closing bracket, on the same line. A colon makes the collection a key."""
        around = self.stack[-2]
        is_colon = token.kind == "map-value-ind"
        if isinstance(around, Collection) and around.kind == "block-map":
            is_key_alone = token.kind == "newline" and around.items[-1].sep is None
            if is_key_alone or (is_colon and around.indent == flow.indent):
                self._pass_on(token)
                return
        if not is_colon or (isinstance(around, Collection) and around.begin is not None):
            self._after_value(flow, token)
            return
        start = _taken_key_start(self._start_of(around))
        _join_lone_keys(flow)
        sep = [*flow.end[1:], token]
        del flow.end[1:]
        self.on_key_line = True
        self.stack[-1] = Collection("block-map", flow.offset, flow.indent, [Item(start, key=flow, sep=sep)])

    def _begun(self, around: Root | Collection, token: Token) -> Tree | None:
        """The node that begins with the token, or None when none does."""
        kind = token.kind
        if kind in _SCALARS:
            self._note_lines(token)
            return token
        if kind == "block-scalar-header":
            return Block(token)
        if kind in ("flow-map-start", "flow-seq-start"):
            return Collection("flow-collection", token.offset, self.indent, [], token)
        if kind == "seq-item-ind":
            return Collection("block-seq", token.offset, self.indent, [Item([token])])
        if kind in ("explicit-key-ind", "map-value-ind"):
            self.on_key_line = True
            start = _taken_key_start(self._start_of(around))
            item = Item([*start, token], explicit=True) if kind == "explicit-key-ind" else Item(start, sep=[token])
            return Collection("block-map", token.offset, self.indent, [item])
        return None

    def _start_of(self, around: Root | Ended | Tree) -> list[Token]:
        """What was read just before the node that is about to begin, and may belong to it."""
        if isinstance(around, Root):
            return around.start
        if isinstance(around, Collection) and around.begin is None:
            item = around.items[-1]
            return item.start if item.sep is None or around.kind == "block-seq" else item.sep
        return []

    def _note_lines(self, token: Token) -> None:
        newline = token.source.find("\n")
        while newline >= 0:
            self.lines.append(token.offset + newline + 1)
            newline = token.source.find("\n", newline + 1)


def _end_of(node: Tree | None) -> list[Token] | None:
    """What follows a node on its line, if it is one that anything can follow, and anything does."""
    if isinstance(node, Token) or (isinstance(node, Collection) and node.begin is not None):
        return node.end
    return None


def _has(tokens: Sequence[Token], kind: str) -> bool:
    return any(token.kind == kind for token in tokens)


def _is_flow(node: Tree | None) -> bool:
    return node is not None and (node.kind in _SCALARS or node.kind == "flow-collection")


def _taken_key_start(before: list[Token]) -> list[Token]:
    """Take from the end of a list what belongs to a key that begins after it: properties and comments of its line."""
    if not before:
        return []
    at = len(before) - 1
    while at >= 0 and before[at].kind not in _BEFORE_KEY:
        at -= 1
    at += 1
    while at < len(before) and before[at].kind == "space":
        at += 1
    taken = before[at:]
    del before[at:]
    return taken


def _cut_at_second_line(sep: list[Token], indent: int) -> list[Token]:
    """Blank lines after a key without a value belong to the next key: take them from the second line break on."""
    newlines: list[int] = []
    for index, token in enumerate(sep):
        if token.kind == "newline":
            newlines.append(index)
        elif token.kind != "space" and (token.kind != "comment" or token.indent > indent):
            newlines.clear()
    if len(newlines) < 2:
        return []
    start = sep[newlines[1] :]
    del sep[newlines[1] :]
    return start


def _join_lone_keys(flow: Collection) -> None:
    """In `[a, b]` what was held for a key is a value."""
    if flow.begin is None or flow.begin.kind != "flow-seq-start":
        return
    for item in flow.items:
        if (
            item.sep is None
            or item.value is not None
            or _has(item.start, "explicit-key-ind")
            or _has(item.sep, "map-value-ind")
        ):
            continue
        if item.key is not None:
            item.value, item.key = item.key, None
        value = item.value
        if isinstance(value, Collection) and value.begin is not None:
            value.end += item.sep
        elif isinstance(value, Token):
            value.end = [*(value.end or ()), *item.sep]
        else:
            item.start += item.sep
        item.sep = None


def _give_back_ends(top: Root | Tree, node: Tree) -> None:
    """White space and comments after the last item of a block collection belong to what is around it, if less indented."""
    if not isinstance(node, Collection) or node.begin is not None:
        return
    if not isinstance(top, Root) and not (isinstance(top, Collection) and top.begin is None):
        return
    last = node.last
    if last is None or last.sep is not None or last.value is not None or not last.start:
        return
    if any(token.kind not in _EMPTY for token in last.start):
        return
    if node.indent != 0 and any(token.kind == "comment" and token.indent >= node.indent for token in last.start):
        return
    node.items.pop()
    if isinstance(top, Root):
        top.end = last.start
    elif isinstance(top, Collection):
        top.items.append(Item(last.start))
