"""trees -> documents: what the text says, and what is wrong with it.

The last of three steps. A document keeps the first thing that is wrong with it, in the order in which npm yaml looks at things:
that is what upstream reports.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Series
from typing import Any, NamedTuple
from urllib.parse import unquote

from greenroom.javascript.json_text import json_text
from greenroom.javascript.values import kind_of
from greenroom_catalog.ingestion.documents import texts
from greenroom_catalog.ingestion.documents.grammar import Block, Collection, Item, Part, Root, Tree, Wrong
from greenroom_catalog.ingestion.documents.lexing import Token
from greenroom_catalog.ingestion.documents.nodes import Alias, Contents, Mapping, Node, Scalar, Sequence
from greenroom_catalog.ingestion.documents.properties import Place, Props, is_block, span
from greenroom_catalog.ingestion.scalars import TAG, Resolve, ScalarError, resolve, resolve_old, resolve_tagged

DEEPEST = 200
"""Levels of nesting that are read. Upstream ends at some thousands, with its stack."""

LONGEST_KEY = 1024
"""Characters between the start of a key without a question mark and its colon (YAML 1.2, implicit keys)."""

SAME_COLUMN = "All mapping items must start at the same column"
ONE_LINE = "Implicit keys need to be on a single line"
ONE_LINE_IN_LIST = "Implicit keys of flow sequence pairs need to be on a single line"
DUPLICATE = "Map keys must be unique"
NO_BLOCKS = "Block collections are not allowed within flow collections"


class Problem(NamedTuple):
    """What is wrong, from one offset to another."""

    message: str
    start: int
    end: int


class Composed:
    """A document: its contents, if it could be read at all, and the first thing wrong with it."""

    def __init__(self, contents: Contents, *, is_old: bool) -> None:
        self.contents = contents
        self.is_old = is_old
        self.problem: Problem | None = None


def documents_of(parts: Series[Part]) -> list[Composed]:
    """All documents of a stream, empty ones included. Raises RecursionError, texts.CodePointError."""
    stream = _Stream()
    for part in parts:
        stream.take(part)
    stream.close()
    return stream.found


class _Stream:
    """Holds what stands between documents, and which of them its errors belong to."""

    def __init__(self) -> None:
        self.found: list[Composed] = []
        self.problem: Problem | None = None
        self.has_directives = False
        self.directives = _Directives()

    def complain(self, place: Place, message: str) -> None:
        if self.problem is None:
            self.problem = Problem(message, *span(place))

    def take(self, part: Part) -> None:
        if isinstance(part, Token):
            self.directives.add(part, self)
            self.has_directives = True
        elif isinstance(part, Root):
            version, tags = self.directives.of_document()
            composed = _Composer(self, version, tags).document(part)
            if self.has_directives and not any(token.kind == "doc-start" for token in part.start):
                self.complain((part.offset, part.offset + 1), "Missing directives-end/doc-start indicator line")
            self._settle(composed)
            self.found.append(composed)
            self.has_directives = False
        elif isinstance(part, Wrong):
            self._misplaced(part)
        elif not self.found:
            self.complain(part, "Unexpected doc-end without preceding document")
        else:
            _check_end(part.end, part.offset + len(part.source), self, strict=True)
            self._settle(self.found[-1])

    def close(self) -> None:
        if self.found:
            self._settle(self.found[-1])

    def _misplaced(self, part: Wrong) -> None:
        message = f"{part.message}: {json_text(part.source)}" if part.source else part.message
        problem = Problem(message, *span(part))
        if self.has_directives or not self.found:
            self.problem = self.problem or problem
        else:
            self.found[-1].problem = self.found[-1].problem or problem

    def _settle(self, document: Composed) -> None:
        document.problem = document.problem or self.problem
        self.problem = None


class _Directives:
    """`%YAML` and `%TAG`, and for how long they hold."""

    def __init__(self) -> None:
        self.version = "1.2"
        self.is_explicit = False
        self.is_over = False
        self.tags = {"!!": TAG}

    def add(self, token: Token, stream: _Stream) -> None:
        if self.is_over:
            self.version, self.is_explicit, self.is_over = "1.1", False, False
            self.tags = {"!!": TAG}
        name, *parts = re.split("[ \t]+", token.source.strip())
        if name == "%TAG":
            if len(parts) != 2:
                stream.complain(token, "%TAG directive should contain exactly two parts")
            if len(parts) >= 2:
                self.tags[parts[0]] = parts[1]
        elif name == "%YAML":
            self.is_explicit = True
            if len(parts) != 1:
                stream.complain(token, "%YAML directive should contain exactly one part")
            elif parts[0] in ("1.1", "1.2"):
                self.version = parts[0]
            elif re.fullmatch(r"[0-9]+\.[0-9]+", parts[0]) is None:
                end = token.offset + len(token.source)
                stream.complain((token.offset + 6, end), f"Unsupported YAML version {parts[0]}")

    def of_document(self) -> tuple[str, dict[str, str]]:
        """What holds for the document that begins. Those of YAML 1.1 hold on, others do not."""
        version, tags = self.version if self.is_explicit else "1.2", dict(self.tags)
        if self.version == "1.1":
            self.is_over = True
        else:
            self.is_over = False
            self.is_explicit = False
            self.tags = {"!!": TAG}
        return version, tags


class _Composer:
    """Composes one document. Complaints go to the stream, which keeps the first."""

    def __init__(self, stream: _Stream, version: str, tags: dict[str, str]) -> None:
        self._complain = stream.complain
        self._stream = stream
        self._is_old = version == "1.1"
        self._resolve: Resolve = resolve_old if self._is_old else resolve
        self._tags = tags
        self._at_root = True
        self._depth = 0

    def document(self, root: Root) -> Composed:
        following = root.value or (root.end[0] if root.end else None)
        props = self._props(root.start, "doc-start", following, root.offset, 0)
        if props.found and isinstance(root.value, Collection) and root.value.begin is None and not props.has_newline:
            self._complain(props.end, "Block collection cannot start on same line with directives-end marker")
        contents = self._node(root.value, props, root.start)
        _check_end(root.end, contents.end, self._stream, strict=False)
        return Composed(contents, is_old=self._is_old)

    def _props(
        self,
        tokens: Series[Token],
        indicator: str,
        following: Tree | Token | None,
        offset: int,
        parent_indent: int,
        *,
        flow: str = "",
        on_newline: bool = True,
    ) -> Props:
        props = Props(indicator, flow, self._complain, on_newline=on_newline)
        props.take(tokens, following, offset, parent_indent)
        return props

    # --- nodes ---

    def _node(self, tree: Tree | None, props: Props, before: Series[Token] = (), offset: int | None = None) -> Contents:
        """The node that a tree stands for; None is an empty one, at `offset` or where its properties end."""
        if tree is None:
            return self._empty(props, before, props.end if offset is None else offset)
        node: Contents
        if isinstance(tree, Wrong):
            self._complain(tree, tree.message)
            return self._empty(props, (), tree.offset)
        if isinstance(tree, Collection):
            node = self._collection(tree, props)
        elif isinstance(tree, Token) and tree.kind == "alias":
            node = self._alias(tree)
            if props.anchor or props.tag:
                self._complain(tree, "An alias node must not specify any properties")
        else:
            node = self._scalar(tree, props.tag)
        return self._anchored(node, props)

    def _anchored(self, node: Contents, props: Props) -> Contents:
        if props.anchor is not None:
            node.anchor = props.anchor.source[1:]
            if not node.anchor:
                self._complain(props.anchor, "Anchor cannot be an empty string")
        return node

    def _empty(self, props: Props, before: Series[Token], offset: int) -> Contents:
        at = _place_of_empty(before, offset)
        node = self._tagged(at, at, "", props.tag, is_plain=True, place=(at, at))
        node.end = props.end if props.has_comment else at
        return self._anchored(node, props)

    def _alias(self, token: Token) -> Alias:
        name = token.source[1:]
        if not name:
            self._complain(token.offset, "Alias cannot be an empty string")
        end = token.offset + len(token.source)
        alias = Alias(token.offset, end, name)
        alias.end = _check_end(token.end, end, self._stream, strict=True)
        return alias

    def _scalar(self, tree: Token | Block, tag: Token | None) -> Scalar:
        if isinstance(tree, Block):
            text = texts.block(tree, self._complain, at_root=self._at_root)
            end = tree.offset + sum(len(part.source) for part in tree.props) + len(tree.source)
            return self._tagged(tree.offset, end, text, tag, is_plain=False, place=tree)
        if tree.kind == "scalar":
            text = texts.plain(tree.source, tree.offset, self._complain)
        elif tree.kind == "single-quoted-scalar":
            text = texts.single_quoted(tree.source, tree.offset, self._complain)
        else:
            text = texts.double_quoted(tree.source, tree.offset, self._complain)
        end = tree.offset + len(tree.source)
        after = _check_end(tree.end, end, self._stream, strict=True) if tree.end else end
        scalar = self._tagged(tree.offset, end, text, tag, is_plain=tree.kind == "scalar", place=tree)
        scalar.end = after
        scalar.quote = tree.source[0] if tree.kind != "scalar" else ""
        return scalar

    def _tagged(self, start: int, end: int, text: str, tag: Token | None, *, is_plain: bool, place: Place) -> Scalar:
        name = self._tag_name(tag) if tag is not None else None
        if name is None:
            return Scalar(start, end, self._resolve(text) if is_plain else text, text, is_plain=is_plain)
        try:
            value = resolve_tagged(name, text, self._resolve)
        except ScalarError as error:
            self._complain(tag or place, str(error))
            value = text
        return Scalar(start, end, value, text, is_plain=False)

    def _tag_name(self, tag: Token) -> str | None:
        """`!!int` -> `tag:yaml.org,2002:int`; None for a tag that cannot be resolved."""
        source = tag.source
        if source == "!":
            return source
        if source.startswith("!<"):
            name = source[2:-1]
            if name in ("!", "!!"):
                self._complain(tag, f"Verbatim tags aren't resolved, so {source} is invalid.")
                return None
            if source[-1] != ">":
                self._complain(tag, "Verbatim tags must end with a >")
            return name
        handle, _, suffix = source.rpartition("!")
        handle += "!"
        if not suffix:
            self._complain(tag, f"The {source} tag has no suffix")
        if (prefix := self._tags.get(handle)) is not None:
            try:
                return prefix + unquote(suffix, errors="strict")
            except UnicodeDecodeError:
                self._complain(tag, "URIError: URI malformed")
                return None
        if handle == "!":
            return source
        self._complain(tag, f"Could not resolve tag: {source}")
        return None

    def _collection(self, tree: Collection, props: Props) -> Mapping | Sequence:
        name = self._tag_name(props.tag) if props.tag is not None else None
        if tree.kind == "block-seq":
            self._check_list_props(props)
        self._depth += 1
        if self._depth > DEEPEST and self._stream.problem is None:
            raise RecursionError
        node: Mapping | Sequence
        if self._depth > DEEPEST:  # what is wrong with the document is known already
            node = Mapping(tree.offset)
        elif tree.kind == "block-map":
            node = self._block_map(tree)
        elif tree.kind == "block-seq":
            node = self._block_list(tree)
        else:
            node = self._flow(tree)
        self._depth -= 1
        if name is not None and name.startswith(TAG) and props.tag is not None:
            self._specialise(node, name.removeprefix(TAG), props.tag)
        return node

    def _check_list_props(self, props: Props) -> None:
        found = [token for token in (props.anchor, props.tag) if token is not None]
        last = max(found, key=lambda token: token.offset, default=None)
        if last is not None and (props.newline_after is None or props.newline_after.offset < last.offset):
            self._complain(last, "Missing newline after block sequence props")

    def _specialise(self, node: Mapping | Sequence, name: str, tag: Token) -> None:
        """Sets and ordered maps: JavaScript objects of which JSON shows nothing."""
        if name == "set" and isinstance(node, Mapping):
            if any(value is not None and getattr(value, "value", 0) is not None for _, value in node.pairs):
                self._complain(tag, "Set items must all have null values")
            else:
                node.is_hidden = True
        elif name in ("omap", "pairs") and isinstance(node, Sequence):
            for item in node.items:
                if isinstance(item, Mapping) and len(item.pairs) > 1:
                    self._complain(tag, "Each pair must have its own sequence indicator")
            node.is_hidden = name == "omap"

    # --- block collections ---

    def _block_map(self, tree: Collection) -> Mapping:
        self._at_root = False
        mapping = Mapping(tree.offset)
        keys = _Keys()
        offset, comment_end = tree.offset, -1
        for item in tree.items:
            following = item.key or (item.sep[0] if item.sep else None)
            props = self._props(item.start, "explicit-key-ind", following, offset, tree.indent)
            if props.found is None:
                self._check_implicit_key(tree, item, props, offset)
                if not props.anchor and not props.tag and item.sep is None:
                    comment_end = props.end
                    continue
            elif props.found.indent != tree.indent:
                self._complain(offset, SAME_COLUMN)
            offset = self._block_pair(tree, item, props, mapping, keys)
        if 0 < comment_end < offset:
            self._complain(comment_end, "Map comment with trailing content")
        mapping.stop = offset
        mapping.end = offset if comment_end < 0 else comment_end
        return mapping

    def _check_implicit_key(self, tree: Collection, item: Item, props: Props, offset: int) -> None:
        """A key without a question mark before it."""
        key = item.key
        if isinstance(key, Collection) and key.kind == "block-seq":
            self._complain(offset, "A block sequence may not be used as an implicit map key")
        elif key is not None and not isinstance(key, Wrong) and key.indent != tree.indent:
            self._complain(offset, SAME_COLUMN)
        is_key = props.anchor or props.tag or item.sep is not None
        if is_key and (props.newline_after or _has_newline(key)):
            self._complain(key or item.start[-1], ONE_LINE)

    def _block_pair(self, tree: Collection, item: Item, props: Props, mapping: Mapping, keys: _Keys) -> int:
        """Gives the offset after it."""
        key, sep, is_implicit = item.key, item.sep, props.found is None
        key_node = self._node(key, props, item.start)
        if keys.has(key_node):
            self._complain(props.end, DUPLICATE)
        starts_line = key is None or key.kind == "block-scalar"
        after = self._props(sep or (), "map-value-ind", item.value, key_node.end, tree.indent, on_newline=starts_line)
        if after.found is None:
            if is_implicit:
                self._complain(_range(key_node), "Implicit map keys need to be followed by map values")
            mapping.pairs.append((key_node, None))
            return after.end
        if is_implicit:
            if item.value is not None and item.value.kind == "block-map" and not after.has_newline:
                self._complain(after.end, "Nested mappings are not allowed in compact mappings")
            if props.start < after.found.offset - LONGEST_KEY:
                what = "The : indicator must be at most 1024 chars after the start of an implicit block mapping key"
                self._complain(_range(key_node), what)
        value = self._node(item.value, after, sep or ())
        mapping.pairs.append((key_node, value))
        return value.end

    def _block_list(self, tree: Collection) -> Sequence:
        self._at_root = False
        sequence = Sequence(tree.offset)
        offset, comment_end = tree.offset, -1
        for item in tree.items:
            props = self._props(item.start, "seq-item-ind", item.value, offset, tree.indent)
            if props.found is None:
                if not (props.anchor or props.tag or item.value is not None):
                    comment_end = props.end
                    continue
                if item.value is not None and item.value.kind == "block-seq":
                    self._complain(props.end, "All sequence items must start at the same column")
                else:
                    self._complain(offset, "Sequence item without - indicator")
            node = self._node(item.value, props, item.start)
            offset = node.end
            sequence.items.append(node)
        sequence.stop = offset
        sequence.end = offset if comment_end < 0 else comment_end
        return sequence

    # --- flow collections ---

    def _flow(self, tree: Collection) -> Mapping | Sequence:
        is_map = tree.begin is not None and tree.begin.source == "{"
        name = "flow map" if is_map else "flow sequence"
        at_root, self._at_root = self._at_root, False
        node: Mapping | Sequence = Mapping(tree.offset) if is_map else Sequence(tree.offset)
        keys = _Keys()
        offset = tree.offset + 1
        for index, item in enumerate(tree.items):
            offset = self._flow_item(tree, index, item, node, keys, offset, name)
        self._flow_end(tree, node, "}" if is_map else "]", offset, name, at_root=at_root)
        return node

    def _flow_item(
        self, tree: Collection, index: int, item: Item, node: Mapping | Sequence, keys: _Keys, offset: int, name: str
    ) -> int:
        key, sep, value = item.key, item.sep, item.value
        following = key or (sep[0] if sep else None)
        props = self._props(item.start, "explicit-key-ind", following, offset, tree.indent, flow=name, on_newline=False)
        is_map = isinstance(node, Mapping)
        if props.found is None:
            if not props.anchor and not props.tag and sep is None and value is None:
                if index == 0 and props.comma is not None:
                    self._complain(props.comma, f"Unexpected , in {name}")
                elif index < len(tree.items) - 1:
                    self._complain(props.start, f"Unexpected empty item in {name}")
                return props.end
            if not is_map and key is not None and _has_newline(key):
                self._complain(key, ONE_LINE_IN_LIST)
        if index == 0 and props.comma is not None:
            self._complain(props.comma, f"Unexpected , in {name}")
        elif index > 0 and props.comma is None:
            self._complain(props.start, f"Missing , between {name} items")
        if isinstance(node, Sequence) and sep is None and props.found is None:
            element = self._node(value, props)
            node.items.append(element)
            if is_block(value):
                self._complain(_range(element), NO_BLOCKS)
            return element.end
        return self._flow_pair(tree, item, node, keys, props, name)

    def _flow_pair(
        self, tree: Collection, item: Item, node: Mapping | Sequence, keys: _Keys, props: Props, name: str
    ) -> int:
        key, sep, value = item.key, item.sep, item.value
        key_node = self._node(key, props, item.start)
        if is_block(key):
            self._complain(_range(key_node), NO_BLOCKS)
        after = self._props(sep or (), "map-value-ind", value, key_node.end, tree.indent, flow=name, on_newline=False)
        if after.found is not None:
            if isinstance(node, Sequence) and props.found is None:
                self._check_key_in_list(sep or (), props, after.found)
        elif value is not None:
            if getattr(value, "source", "")[:1] == ":":
                self._complain(value, f"Missing space after : in {name}")
            else:
                self._complain(after.start, f"Missing , or : between {name} items")
        value_node: Contents | None = None
        if value is not None or after.found is not None:
            value_node = self._node(value, after, sep or ())
            if is_block(value):
                self._complain(_range(value_node), NO_BLOCKS)
        if isinstance(node, Mapping):
            if keys.has(key_node):
                self._complain(props.end, DUPLICATE)
            node.pairs.append((key_node, value_node))
        else:
            lone = Mapping(key_node.start)
            lone.pairs.append((key_node, value_node))
            lone.end = (value_node or key_node).end
            node.items.append(lone)
        return value_node.end if value_node is not None else after.end

    def _check_key_in_list(self, sep: Series[Token], props: Props, colon: Token) -> None:
        newline = next((token for token in sep if token.kind == "newline" or token is colon), colon)
        if newline is not colon:
            self._complain(newline, ONE_LINE_IN_LIST)
        if props.start < colon.offset - LONGEST_KEY:
            what = "The : indicator must be at most 1024 chars after the start of an implicit flow sequence key"
            self._complain(colon, what)

    def _flow_end(self, tree: Collection, node: Node, expected: str, offset: int, name: str, *, at_root: bool) -> None:
        closing, rest = (tree.end[0], tree.end[1:]) if tree.end else (None, [])
        if closing is not None and closing.source == expected:
            offset = closing.offset + 1
        else:
            how = f"must end with a {expected}"
            if not at_root:
                how = f"in block collection must be sufficiently indented and end with a {expected}"
            self._complain(offset, f"{name.capitalize()} {how}")
            if closing is not None and len(closing.source) != 1:
                rest = [closing, *rest]
        node.stop = offset
        node.end = _check_end(rest, offset, self._stream, strict=True)


class _Keys:
    """The keys of one mapping. Only scalars are ever equal, and only to those of their own type."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, Any]] = set()

    def has(self, node: Node) -> bool:
        """Whether the key was there before; from now on it is."""
        if not isinstance(node, Scalar) or isinstance(node.value, dict | list):
            return False
        key = (kind_of(node.value) if node.value is not None else "null", node.value)
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


def _range(node: Node) -> tuple[int, int]:
    return node.start, node.stop


def _has_newline(key: Tree | None) -> bool:
    """Whether a key goes over more than one line."""
    if key is None:
        return False
    if isinstance(key, Token):
        return "\n" in key.source or any(token.kind == "newline" for token in key.end or ())
    if isinstance(key, Collection) and key.begin is not None:
        return any(
            any(token.kind == "newline" for token in (*item.start, *(item.sep or ())))
            or _has_newline(item.key)
            or _has_newline(item.value)
            for item in key.items
        )
    return True


def _place_of_empty(before: Series[Token], offset: int) -> int:
    """An empty scalar stands after the last thing before it, and the spaces that follow that."""
    index = len(before) - 1
    while index >= 0 and before[index].kind in ("space", "comment", "newline"):
        offset -= len(before[index].source)
        index -= 1
    if index < 0:
        return offset
    for token in before[index + 1 :]:
        if token.kind != "space":
            break
        offset += len(token.source)
    return offset


def _check_end(end: Series[Token] | None, offset: int, stream: _Stream, *, strict: bool) -> int:
    """What follows a node on its line may be a comment, and nothing else. Gives the offset after it."""
    has_space = False
    for token in end or ():
        if token.kind in ("space", "newline"):
            has_space = True
        elif token.kind == "comment":
            if strict and not has_space:
                stream.complain(token, texts.COMMENT_TOUCHES)
        else:
            stream.complain(token, f"Unexpected {token.kind} at node end")
        offset += len(token.source)
    return offset
