"""condition -> SQL over `search s`: the only place where statements are put together, and only from fixed pieces.

What a request says goes into numbered arguments, or into tokens: 64-bit hashes, which stand in the text as numbers. Numbers
in the text let the planner use its statistics of array elements for each filter, also after a statement has become a
prepared one: a plan for "any tokens" would read most of the table for the common ones. Kinds, namespaces, types and lifecycles
stand in the text for the same reason, if they are plain words (_PLAIN): of an argument Postgres thinks that it is as common as any,
finds that it knows better each time that it sees it, and so plans each time, which takes longer than the page.
"""

# ruff: noqa: S608 - pieces are fixed or made here: columns from COLUMNS, hashes, `$n`, and words of letters, digits, `.-_`

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from greenroom.errors import InputError
from greenroom_catalog.query.conditions import All, AnyOf, Condition, Equals, Has, Not, StartsWith
from greenroom_catalog.query.differences import Counting
from greenroom_catalog.stitching.tokens import COLUMNS, SINGLE, TAGS, UID, pair, shortened, token, usual

MOST_PARTS = 2000
"""Parts of a condition that could not be merged, and arguments, in one statement. Upstream has no bound."""

MOST_ROWS = 2**62
"""A limit that limits nothing."""

_LOOKUP = 50
"""For how many parts a look into `search_values` counts, which is that much slower."""

_BY_COLUMN = frozenset({"spec.type", "spec.lifecycle"})
"""Keys that may have many values, but mostly have one that many entities share: comparing it beats looking into tokens."""

_FEW = frozenset({"kind", "metadata.namespace"}) | _BY_COLUMN
"""Keys of which there are few values, each of which may have a plan of its own."""

_PLAIN = re.compile(r"(?!null$)[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
"""What may stand in the text as it is: between quotes and within an array, such a word can mean nothing else."""

_NAMED = 20
"""Values that are named in the text; of more, Postgres need not know each."""

Direction = Literal["asc", "desc"]


class Order(msgspec.Struct, frozen=True):
    """Sort by the lower-cased values of a search key, which is lower-cased too."""

    key: str
    direction: Direction = "asc"


class After(msgspec.Struct, frozen=True):
    """Where a page starts: past the row of this value (None without an order) and id."""

    value: str | None
    id: int

    @property
    def values(self) -> tuple[str | int, ...]:
        """As arguments."""
        return (self.id,) if self.value is None else (self.value, self.id)


class Statement:
    """SQL in the making, with its arguments."""

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self._parts = 0
        self._compiled: tuple[Condition, str] | None = None
        self._reads_values = False
        self.lasting = True
        """It looks at nothing but what the log of changes tells of (`differences`)."""

    def argument(self, value: object) -> str:
        """Hold a value; returns the `$n` that stands for it."""
        self.arguments.append(value)
        self._count()
        return f"${len(self.arguments)}"

    def _count(self, parts: int = 1) -> None:
        self._parts += parts
        if self._parts > MOST_PARTS:
            raise InputError(f"Invalid query: more than {MOST_PARTS} conditions that cannot be combined")

    def _matches(self, condition: Condition) -> str:
        """The boolean expression of a condition, made once for all the places of the statement where it stands."""
        if self._compiled is None or self._compiled[0] is not condition:
            self._compiled = condition, self.where(condition)
        return self._compiled[1]

    # --- conditions -----------------------------------------------------------------------------------------------

    def where(self, condition: Condition) -> str:
        """A boolean expression over `s`, which may be null for "no" (as in a WHERE)."""
        self._count()
        if isinstance(condition, All):
            return self._all(condition)
        if isinstance(condition, AnyOf):
            return self._any(condition)
        if isinstance(condition, Not):
            return f"({self.where(condition.part)}) is not true"
        if isinstance(condition, Equals | Has) and "\0" in condition.key:
            return "false"
        if isinstance(condition, Equals):
            return self._equals(condition)
        if isinstance(condition, Has):
            return "true" if condition.key in SINGLE else _known(condition.key)
        if isinstance(condition, StartsWith):
            return self._values_match((condition.key,), f"{_escaped(condition.prefix)}%")
        return self._values_match(condition.keys, condition.pattern)

    def _all(self, condition: All) -> str:
        needed: list[str] = []
        fragments: list[str] = []
        for part in _flat(All, condition.parts):
            if isinstance(part, Has | Equals) and _by_tokens(part.key) and len(_texts(part)) == 1:
                needed += _texts(part)
            else:
                fragments.append(self.where(part))
        if needed:
            fragments.append(f"s.tok @> {_tokens(*needed)}")
        return " and ".join(f"({fragment})" for fragment in fragments) or "true"

    def _any(self, condition: AnyOf) -> str:
        wanted: list[str] = []
        fragments: list[str] = []
        for part in _merged(_flat(AnyOf, condition.parts)):
            if isinstance(part, Has | Equals) and _by_tokens(part.key):
                wanted += _texts(part)
            else:
                fragments.append(self.where(part))
        if wanted:
            fragments.append(f"s.tok && {_tokens(*wanted)}")
        return " or ".join(f"({fragment})" for fragment in fragments) or "false"

    def _equals(self, condition: Equals) -> str:
        key, values = condition.key, [value for value in condition.values if storable(value)]
        if not values:
            return "false"
        any_token = f"s.tok {'@>' if len(values) == 1 else '&&'} {_tokens(*(pair(key, value) for value in values))}"
        if key not in SINGLE | _BY_COLUMN:
            return any_token
        column, value = f"s.{COLUMNS[key]}", self._constant(key, values)
        same = f"{column} = {value}" if len(values) == 1 else f"{column} = any({value}::text[])"
        return same if key in SINGLE else f"{same} or ({column} is null and {any_token})"

    def _constant(self, key: str, values: Sequence[str]) -> str:
        """An expression for a value, or for several as an array."""
        if key in _FEW and len(values) <= _NAMED and all(_PLAIN.fullmatch(value) for value in values):
            self._count()
            return f"'{values[0]}'" if len(values) == 1 else "'{" + ",".join(values) + "}'"
        return self.argument(values[0] if len(values) == 1 else tuple(values))

    def _values_match(self, keys: Sequence[str], pattern: str) -> str:
        """Some value of some of the keys is LIKE the pattern."""
        if not keys or not storable(pattern):
            return "false"
        argument = self.argument(pattern)
        return " or ".join(f"({self._value_matches(key, argument)})" for key in dict.fromkeys(keys))

    def _value_matches(self, key: str, argument: str) -> str:
        if key in SINGLE:
            return f"s.{COLUMNS[key]} like {argument}"
        self._count(_LOOKUP if key not in COLUMNS else 1)
        found = f"exists (select from ({self._values(key)}) v(value) where v.value like {argument})"
        if key in COLUMNS:
            column = f"s.{COLUMNS[key]}"
            return f"{column} like {argument} or ({column} is null and {_known(key)} and {found})"
        return found if key == UID else f"{_known(key)} and {found}"

    # --- values ---------------------------------------------------------------------------------------------------

    def _values(self, key: str) -> str:
        """A query for the lower-cased values of a key of the entity `s`, one a row; null for one that cannot be compared."""
        if key in SINGLE:
            return f"select s.{COLUMNS[key]}"
        if key == TAGS:
            return "select lower(t) from unnest(s.tags) t"
        if key == UID:
            self.lasting = False
            return "select r.entity_id::text from refresh_state r where r.id = s.id"
        elsewhere = f"select {_LOWER} from {self._held(key)} where f.id = s.id"
        column = COLUMNS.get(key)
        if column is None:
            return elsewhere
        return f"select s.{column} where s.{column} is not null union all {elsewhere} and s.{column} is null"

    def _held(self, key: str) -> str:
        return f"final_entities f cross join lateral ({_elements(self._json(key))}) v(e)"

    def _json(self, key: str) -> str:
        """JSON as text, which is grouped by in half the time."""
        self._reads_values = True
        if not storable(key):
            return "null::text"
        unsaid = f"case when s.tok @> {_tokens(pair(key, usual(key)))} then '\"{usual(key)}\"' end"
        return f"coalesce((f.search_values -> {self.argument(shortened(key))})::text, {unsaid})"

    def has_value(self, key: str) -> str:
        """The entity `s` has a value for the key which can be sorted by."""
        if key in SINGLE or key == UID:
            return "true"
        known = _known(key)
        if key == TAGS:
            return f"{known} and s.tags <> '{{}}'"
        found = f"{known} and exists (select from ({self._values(key)}) v(value) where v.value is not null)"
        return f"s.{COLUMNS[key]} is not null or ({found})" if key in COLUMNS else found

    # --- statements -----------------------------------------------------------------------------------------------

    def rows(
        self,
        condition: Condition,
        order: Order | None,
        after: After | None = None,
        like: str | None = None,
        *,
        backwards: bool = False,
    ) -> tuple[str, str]:
        """A query for `id, value` of the matching rows past a point, and its ORDER BY, as by-query sorts.

        An entity with several values of the key is there once for each, if it is LIKE `like`; one without any is not
        there. Ids go the way of the values, so that one index serves both directions."""
        down = backwards is not (order is not None and order.direction == "desc")
        turn, past = (" desc", "<") if down else ("", ">")
        where = self._matches(condition)
        if order is None:
            start = f" and s.id {past} {self.argument(after.id)}" if after else ""
            return f"select s.id, null::text as value from search s where ({where}){start}", f"id{turn}"
        value, source = self._sorted(order.key, where)
        if like is not None:
            source += f" and {value} like {self.argument(like)}" if storable(like) else " and false"
        if after:
            source += (
                f" and ({value}, s.id) {past} ({self.argument(after.value)}::text, {self.argument(after.id)}::bigint)"
            )
        return source, f"value{turn}, id{turn}"

    def _sorted(self, key: str, where: str) -> tuple[str, str]:
        """(the sorted expression, a query for `id, value` to which conditions may be added)."""
        if key in SINGLE:
            return f"s.{COLUMNS[key]}", f"select s.id, s.{COLUMNS[key]} as value from search s where ({where})"
        known = "" if key == UID else f" and ({self._known(key)})"
        values = f"search s cross join lateral ({self._values(key)}) v(value)"
        return "v.value", f"select s.id, v.value from {values} where ({where}){known} and v.value is not null"

    def _known(self, key: str) -> str:
        """There is something of the key. The column comes first: to look through the tokens takes several times as long."""
        return f"s.{COLUMNS[key]} is not null or {_known(key)}" if key in COLUMNS else _known(key)

    def window(self, limit: int, offset: int) -> str:
        """LIMIT and OFFSET. The limit stands in the text, for a plan that has to serve any limit would be made each time."""
        return f"limit {limit:d}" + (f" offset {self.argument(offset)}::bigint" if offset else "")

    def page(self, rows: str, ordering: str, window: str, told: str | None = None, *, documents: bool = True) -> str:
        """A query for `id, value, final_entity` of some of the rows, and what else is told: in one round trip."""
        document, join = (", f.final_entity", " join final_entities f on f.id = p.id") if documents else ("", "")
        also = f", {told} as told" if told else ""
        return (
            f"select p.id, p.value{document}{also}"
            f" from ({rows} order by {ordering} {window}) p{join} order by {ordering}"
        )

    def runs(self, rows: str, ordering: str, each: int, most: int) -> str:
        """A query for `ids, value, id` of some of the rows, `each` of them together: their ids with commas between them, and value
        and id of the last."""
        placed = f"select id, value, row_number() over (order by {ordering}) as place from ({rows}) r"
        return (
            "select string_agg(id::text, ',' order by place) as ids, (array_agg(value order by place desc))[1] as value,"
            " (array_agg(id order by place desc))[1] as id"
            f" from ({placed} order by {ordering} limit {each * most:d}) p"
            f" group by (place - 1) / {each:d} order by min(place)"
        )

    def listed(self, condition: Condition, orders: Sequence[Order], limit: int | None, offset: int) -> str:
        """A query for `id` as paged `GET /entities` sorts: entities without a value come last, not never.

        An entity with several values is there once for each, by more than one key also for the null among them."""
        where = self._matches(condition)
        joins, columns = "", ""
        shown = "o{}.value is not null" if len(orders) == 1 else "true"
        for number, order in enumerate(orders):
            values = self._values(order.key) if order.key == order.key.lower() else "select null::text"
            joins += f" left join lateral ({values}) o{number}(value) on {shown.format(number)}"
            columns += f"o{number}.value {order.direction} nulls last, "
        window = (
            "" if limit is None and not offset else f" {self.window(MOST_ROWS if limit is None else limit, offset)}"
        )
        source = f"search s join final_entities f on f.id = s.id{joins}"
        return f"select s.id from {source} where ({where}) order by {columns or 'f.entity_ref, '}s.id{window}"

    def among(self, refs: Sequence[str], condition: Condition) -> str:
        """A query for `entity_ref, final_entity` of those of some refs that match."""
        where, named = self._matches(condition), self.argument(list(refs))
        source = "final_entities f join search s on s.id = f.id"
        return (
            f"select f.entity_ref, f.final_entity from {source} where f.entity_ref = any({named}::text[]) and ({where})"
        )

    def counted(self, condition: Condition, order: Order | None) -> Counting:
        """A query for the number of matching entities; with an order, of those that have a value to sort by.

        To be made before anything else of the statement, whose arguments it shares."""
        sortable = f" and ({self.has_value(order.key)})" if order and order.key not in SINGLE else ""
        return self._counting(f"select count(*) from search s where ({self._matches(condition)}){sortable}")

    def facets(self, names: Sequence[str], condition: Condition) -> Counting:
        """A query for `number of the facet, value, count` of some keys, values in original spelling."""
        return self._counting(
            " union all ".join(
                f"select {number} as facet, value, sum(count)::bigint as count from ({self._facet(name, condition)}) q"
                " where value is not null group by value"
                for number, name in enumerate(names)
            )
        )

    def _counting(self, sql: str) -> Counting:
        return Counting(sql, tuple(self.arguments), self._reads_values, self.lasting)

    def _facet(self, name: str, condition: Condition) -> str:
        """A query for `value, count`, where a value may come twice: from the column and from elsewhere."""
        where = self._matches(condition)
        if name == TAGS:
            tags = f"select unnest(s.tags) as value from search s where ({where})"  # twice as fast as joining unnest(…)
            return f"select value, count(*) as count from ({tags}) t group by 1"
        if name == UID:
            self.lasting = False
            source = "search s join refresh_state r on r.id = s.id"
            return f"select r.entity_id::text as value, count(*) as count from {source} where ({where}) group by 1"
        column = COLUMNS.get(name)
        if column is None:
            return self._facet_elsewhere(name, where)
        by_column = (
            f"select coalesce(s.facet_{column}, s.{column}) as value, count(*) as count"
            f" from search s where ({where}) and s.{column} is not null group by s.{column}, s.facet_{column}"
        )
        if name in SINGLE:
            return by_column
        return f"{by_column} union all {self._facet_elsewhere(name, f'({where}) and s.{column} is null')}"

    def _facet_elsewhere(self, name: str, where: str) -> str:
        """Counted before they are looked into, for most entities have the same few."""
        held = (
            f"select {self._json(name)} as held, count(*) as count from search s join final_entities f on f.id = s.id"
            f" where ({where}) and {_known(name)} group by 1"
        )
        return f"select {_ORIGINAL} as value, count from ({held}) h cross join lateral ({_elements('held')}) v(e)"


_LOWER = "case jsonb_typeof(e) when 'array' then e ->> 0 else e #>> '{}' end"
_ORIGINAL = "case jsonb_typeof(e) when 'array' then e ->> 1 else e #>> '{}' end"


def _elements(held: str) -> str:
    """A query for what stands in `search_values` for a key, one a row: a value alone, or a list."""
    one = "case jsonb_typeof(h.held) when 'array' then h.held else jsonb_build_array(h.held) end"
    return f"select jsonb_array_elements({one}) from (select ({held})::jsonb) h(held) where h.held is not null"


def _known(key: str) -> str:
    """The entity `s` has the key. One whose only value is the usual one has the token of the two alone."""
    return f"s.tok && {_tokens(key, pair(key, usual(key)))}"


def _tokens(*texts: str) -> str:
    return "'{" + ",".join(str(token(text)) for text in dict.fromkeys(texts)) + "}'::bigint[]"


def _by_tokens(key: str) -> bool:
    """Whether tokens alone say what of the key there is. Of one with NUL there is nothing."""
    return key not in SINGLE | _BY_COLUMN and "\0" not in key


def _texts(part: Has | Equals) -> list[str]:
    if isinstance(part, Has):
        return [part.key, pair(part.key, usual(part.key))]
    return [pair(part.key, value) for value in part.values]


def _flat(kind: type[All | AnyOf], parts: Sequence[Condition]) -> list[Condition]:
    flat: list[Condition] = []
    for part in parts:
        flat += _flat(kind, part.parts) if isinstance(part, kind) else [part]
    return flat


def _merged(parts: Sequence[Condition]) -> list[Condition]:
    """Alternatives of one key become one alternative with many values."""
    values: dict[str, dict[str, None]] = {}
    others: list[Condition] = []
    for part in parts:
        if isinstance(part, Equals):
            values.setdefault(part.key, {}).update(dict.fromkeys(part.values))
        else:
            others.append(part)
    return [Equals(key, tuple(held)) for key, held in values.items()] + others


def storable(text: str) -> bool:
    """Whether Postgres can hold the text at all: no NUL, no lone surrogate. If not, nothing in it can be equal."""
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
