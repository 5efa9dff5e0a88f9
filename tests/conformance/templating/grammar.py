"""Templates that nobody wrote: random ones, of everything that the language has, some of it broken."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from greenroom_scaffolder.templating.checks import TESTS
from greenroom_scaffolder.templating.filters import FILTERS
from greenroom_scaffolder.templating.members import COOKIECUTTER

__all__ = ["CONTEXT", "Writer", "case"]

CONTEXT: dict[str, Any] = {
    "s": "Hello World",
    "e": "",
    "n": 5,
    "f": 2.5,
    "z": 0,
    "neg": -3,
    "t": True,
    "fa": False,
    "nul": None,
    "big": 1e21,
    "tiny": 1.5e-7,
    "a": ["b", "a", "c"],
    "nums": [3, 10, 2, -1.5],
    "mixed": [1, "1", None, True, [2, "x"], {"k": "v"}],
    "o": {"x": 1, "y": {"z": "deep"}, "10": "ten", "2": "two"},
    "em": [],
    "eo": {},
    "like": {"length": 2, "0": "zero", "1": "one"},
    "users": [
        {"name": "bob", "age": 3, "on": True},
        {"name": "Al", "age": 10},
        {"name": "cy", "age": 3, "on": False, "d": {"e": 1}},
    ],
    "html": "<b>&\"'</b> <i>x</i>",
    "multi": "l1\n  l2\r\nl3",
    "emoji": "a😀b",
    "url": "github.com?owner=o&repo=r",
    "ref": "component:default/thing",
    "num": " 42.50px",
    "json": '{"a": [1]}',
    "key": "x",
    "values": {"name": "my-app", "list": ["x", "y"], "flag": False},
}
_NAMES = (*CONTEXT, "missing", "loop", "range", "joiner", "m", "v", "w", "caller")
_TEXTS = (
    "a",
    "",
    " ",
    "x",
    "name",
    "l",
    "-",
    "$&",
    "$1",
    "b-c",
    "10",
    "0x1f",
    "😀",
    "on",
    "length",
    "d.e",
    "key",
    "o",
    "é",
    "1e3",
)
_NUMBERS = ("0", "1", "2", "3", "10", "0.5", "2.50", "255", "100", "7")
_PATTERNS = (
    "l+",
    "(a)(b)?",
    "[A-Z]",
    "\\\\w+",
    "\\\\d",
    "^h",
    "o$",
    "(x)|(y)",
    "\\\\s",
    ".",
    "[^a-c]",
    "(?:lo|ld)",
    "\\\\b",
    "e|$",
)
_KEYS = ("a", "b", "'c'", '"10"', "x")
_BINARY = (
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "===",
    "!=",
    "!==",
    "<",
    "<=",
    ">",
    ">=",
    "and",
    "or",
    "in",
    "not in",
)
_METHODS = tuple(
    sorted(
        {name for table in COOKIECUTTER.values() for name in table} | {"map", "padStart", "replaceAll", "constructor"}
    )
)
_OUTSIDE = ("parseRepoUrl", "projectSlug", "parseEntityRef", "pick")
_FILTERS = tuple(name for name in (*FILTERS, *_OUTSIDE, "jsonify", "uper") if name != "random")
_LINES = (
    "key: @",
    'key: "@"',
    '"key": @,',
    "- @",
    "  - name: x-@-y  # why",
    "",
    "  ",
    "text, 100% {of} ${it} $@$ {{ '{{' }} }}",
    "<a href='@'>&amp;</a>",
    "{# @ #}",
    "a {#- c -#} b@",
    "{% raw %}@{% endraw %}",
    "😀 é @ ß",
    "@@",
    "{%- if t %}@{% endif -%} x",
    "\\@\\n",
    "${it} $(it) #{it} %{it} {it}",
)
_SENSIBLE = (
    "values.name",
    "values['name'].split('-')",
    "s.length + n",
    "multi",
    "emoji",
    "html",
    "users[1].name",
    "users | groupby('age')",
    "users | sort(true, false, 'name')",
    "a.concat(nums)",
    "'a' if t and not fa else 'b'",
    "o.y.z ~ '-' ~ n / 2",
    "n in nums or 'b' in a",
    "o",
    "nul",
    "missing.deep",
    "url | parseRepoUrl",
    "ref | parseEntityRef | pick('name')",
    "num | int + 1",
    "f * 3 // 2",
    "'${{ x }}'",
    "'%}' + \"}}\"",
    "{a: {b: [n, t]}}",
    "r/(\\w)o/g",
    "s.replace(r/o(.)?/g, '<$1>')",
    "[n, f, neg, big, tiny]",
    "loop.index",
    "v",
    "w",
)
_FITTING = (
    "dump",
    "dump(2)",
    "string",
    "default('d', true)",
    "list",
    "length",
    "first",
    "e",
    "safe",
    "upper",
    "indent(3)",
    "trim",
    "join('+')",
    "reverse",
    "truncate(4)",
    "title",
    "urlencode",
    "striptags",
    "nl2br",
    "replace('e', '\n')",
)
_BLOCKS = (
    ("if @", "elif @", "endif"),
    ("if @", "else", "endif"),
    ("for v in users", "else", "endfor"),
    ("for v, w in o", "", "endfor"),
    ("for v in @", "", "endfor"),
    ("set v", "", "endset"),
    ("filter indent(2)", "", "endfilter"),
    ("filter upper", "", "endfilter"),
    ("macro m(v, w=@)", "", "endmacro"),
    ("raw", "", "endraw"),
    ("block b7", "", "endblock"),
)
_OPTIONS: tuple[dict[str, bool], ...] = (
    {},
    {},
    {},
    {"trimBlocks": True},
    {"lstripBlocks": True},
    {"trimBlocks": True, "lstripBlocks": True},
    {"cookiecutterCompat": True},
)


def case(seed: int) -> dict[str, Any]:
    """The template of this number, with the context that all share."""
    chance = random.Random(seed)
    options = chance.choice(_OPTIONS)
    writer = Writer(chance, "{{" if options.get("cookiecutterCompat") else "${{")
    template = chance.choice((writer.output, writer.output, lambda: writer.body(3), writer.file))()
    if chance.random() < 0.06:
        template = _broken(template, chance)
    return {"template": template, "context": CONTEXT, "options": options}


def _broken(template: str, chance: random.Random) -> str:
    at = chance.randrange(len(template) + 1)
    return chance.choice(
        (
            template[:at],
            template[:at] + template[at + 1 :],
            template[:at]
            + chance.choice(("}", "{", "%", "'", '"', "(", "]", "#}", "{#", "!", "&", "?", "-"))
            + template[at:],
        )
    )


class Writer:
    """Writes expressions and statements."""

    def __init__(self, chance: random.Random, opening: str) -> None:
        self.chance, self.opening = chance, opening

    def pick(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def maybe(self, text: str, likely: float = 0.5) -> str:
        return text if self.chance.random() < likely else ""

    def output(self) -> str:
        dash = self.maybe("-", 0.08)
        return f"{self.opening}{dash} {self.expression(self.chance.choice((1, 2, 2, 3)))} {self.maybe('-', 0.08)}}}}}"

    def expression(self, depth: int) -> str:
        return self.weighed(_EXPRESSIONS)(self, depth - 1) if depth > 0 else self.atom()

    def weighed(self, makers: dict[Callable[[Writer, int], str], int]) -> Callable[[Writer, int], str]:
        return self.chance.choices(list(makers), list(makers.values()))[0]

    def binary(self, depth: int) -> str:
        return f"{self.expression(depth)} {self.pick(*_BINARY)} {self.expression(depth)}"

    def filtered(self, depth: int) -> str:
        return f"{self.expression(depth)} | {self.filter(depth)}"

    def called(self, depth: int) -> str:
        return f"{self.postfix(depth)}.{self.pick(*_METHODS)}({self.arguments(depth)})"

    def tested(self, depth: int) -> str:
        return f"{self.expression(depth)} is {self.maybe('not ', 0.3)}{self.test(depth)}"

    def choice(self, depth: int) -> str:
        otherwise = self.maybe(f" else {self.expression(depth)}", 0.7)
        return f"{self.expression(depth)} if {self.expression(depth)}{otherwise}"

    def unary(self, depth: int) -> str:
        return f"{self.pick('not ', '-', '+', 'not ')}{self.expression(depth)}"

    def subscripted(self, depth: int) -> str:
        return f"{self.postfix(depth)}[{self.subscript(depth)}]"

    def grouped(self, depth: int) -> str:
        return f"({self.expression(depth)})"

    def member(self, depth: int) -> str:
        return f"{self.postfix(depth)}.{self.pick(*_METHODS, 'name', 'd.e', 'x')}"

    def over_lines(self, depth: int) -> str:
        return self.expression(depth).replace(" ", self.pick("\n  ", "\r\n", "\t", " \n"))

    def postfix(self, depth: int) -> str:
        return self.chance.choice(
            (self.pick(*_NAMES), self.pick(*_NAMES), f"({self.expression(depth)})", self.text(), self.regex())
        )

    def atom(self) -> str:
        kind = self.chance.random()
        if kind < 0.55:
            return self.pick(*_NAMES) + self.maybe(
                "." + self.pick("length", "x", "y.z", "name", "val", "0", "list", "10"), 0.2
            )
        if kind < 0.75:
            return self.text()
        if kind < 0.9:
            return self.pick(*_NUMBERS)
        return self.pick("true", "false", "none", "null", "undefined", "[]", "{}", "True", "None", self.regex())

    def text(self) -> str:
        quote = self.pick("'", '"')
        return f"{quote}{self.pick(*_TEXTS)}{quote}"

    def regex(self) -> str:
        return f"r/{self.pick(*_PATTERNS).replace(chr(92) * 2, chr(92))}/{self.pick('', 'g', 'i', 'gi', 'm', 'y')}"

    def filter(self, depth: int) -> str:
        name = self.pick(*_FILTERS)
        if self.chance.random() < 0.4:
            return name
        named = self.maybe(f", {self.pick('attribute', 'default', 'reverse', 'boolean', 'base')}={self.atom()}", 0.08)
        return f"{name}({self.arguments(depth)}{named})".replace("(, ", "(")

    def arguments(self, depth: int) -> str:
        return ", ".join(self.expression(min(depth, 1)) for _ in range(self.chance.choice((0, 0, 1, 1, 1, 2, 2, 3))))

    def test(self, depth: int) -> str:
        name = self.pick(*TESTS, "none", "odder")
        takes = TESTS.get(name, (0,))[0]
        return f"{name}({self.expression(depth)})" if takes or self.chance.random() < 0.05 else name

    def subscript(self, depth: int) -> str:
        if self.chance.random() < 0.5:
            return self.expression(depth)
        numbers = [self.pick("", "", "0", "1", "-1", "2", "n", "'1'") for _ in range(3)]
        return f"{numbers[0]}:{numbers[1]}{self.maybe(':' + self.pick('1', '2', '-1', '0', ''), 0.4)}"

    def container(self, depth: int) -> str:
        items = [self.expression(depth) for _ in range(self.chance.randrange(4))]
        if self.chance.random() < 0.5:
            return f"[{', '.join(items)}]"
        members = [f"{self.pick(*_KEYS)}: {item}" for item in items]
        return f"{{{', '.join(members)}}}"

    def body(self, depth: int) -> str:
        return "".join(self.statement(depth) for _ in range(self.chance.choice((1, 2, 2, 3))))

    def file(self) -> str:
        """What looks like a file of a skeleton: lines, some of them in blocks of their own lines."""
        return self.pick("\n", "\n", "\r\n").join(self.lines(2, "")) + self.pick("", "\n")

    def lines(self, depth: int, indent: str) -> list[str]:
        found: list[str] = []
        for _ in range(self.chance.choice((1, 2, 3))):
            if depth and self.chance.random() < 0.4:
                found += self.block(depth - 1, indent)
            else:
                found.append(indent + self.pick(*_LINES).replace("@", self.sensible(), 1))
        return found

    def sensible(self) -> str:
        """An expression of which most come to something: else the first that fails hides all behind it."""
        if self.chance.random() < 0.1:
            return self.output()
        expression = self.pick(*_SENSIBLE)
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            expression += f" | {self.pick(*_FITTING)}"
        dash, end = self.maybe("-", 0.08), self.maybe("-", 0.08)
        return f"{self.opening}{dash} {expression} {end}}}}}"

    def block(self, depth: int, indent: str) -> list[str]:
        head, middle, end = self.chance.choice(_BLOCKS)
        head = head.replace("@", self.pick(*_SENSIBLE) if self.chance.random() < 0.8 else self.expression(1), 1)
        inner = self.lines(depth, indent + self.pick("", "  ", "\t"))
        if middle and self.chance.random() < 0.5:
            inner += [indent + self.tag(middle.replace("@", self.pick(*_SENSIBLE), 1)), *self.lines(depth, indent)]
        shown = self.maybe(f"{self.opening} m('x') }}}}", 0.8) if "macro" in head else ""
        return [f"{indent}{self.tag(head)}", *inner, f"{indent}{self.tag(end)}{shown}"]

    def statement(self, depth: int) -> str:
        kind = self.chance.random()
        if depth <= 0 or kind < 0.4:
            return self.output() + self.pick("", " ", "\n", "x\n  ")
        if kind < 0.5:
            return self.pick(
                " text ", "\n  ", "a\r\n", "{# c #}", "{#- c -#}  ", "{% raw %} ${{ x }} {% endraw %}", "$", "{ {"
            )
        inner = self.body(depth - 1)
        end = self.pick("", "\n")
        write = self.chance.choice((self._if, self._for, self._for, self._set, self._macro, self._others))
        return write(inner, depth) + end

    def tag(self, text: str) -> str:
        return f"{{%{self.maybe('-', 0.1)} {text} {self.maybe('-', 0.1)}%}}"

    def _if(self, inner: str, depth: int) -> str:
        other = self.maybe(f"{self.tag(f'elif {self.expression(1)}')}{self.body(depth - 1)}", 0.3)
        other += self.maybe(f"{self.tag('else')}{self.body(depth - 1)}", 0.4)
        return f"{self.tag(f'if {self.expression(1)}')}{inner}{other}{self.tag('endif')}"

    def _for(self, inner: str, depth: int) -> str:
        targets = self.pick("v", "v", "v, w", "k, v", "a", "v, w, m", "n")
        source = self.pick(*CONTEXT, "missing", "range(3)", "[[1, 2], [3, 4]]", "o | dictsort", "values.list", "'ab'")
        shown = f"{self.opening} {self.pick('v', 'w', 'loop.index', 'loop.last', 'loop.revindex0', 'loop', 'k')} }}}}"
        other = self.maybe(f"{self.tag('else')}{self.body(depth - 1)}", 0.25)
        return f"{self.tag(f'for {targets} in {source}')}{shown}{inner}{other}{self.tag('endfor')}"

    def _set(self, inner: str, depth: int) -> str:
        name = self.pick("v", "w", "n", "m", "v, w", "s", "loop")
        if self.chance.random() < 0.7:
            return f"{self.tag(f'set {name} = {self.expression(1)}')}{inner}"
        return f"{self.tag(f'set {name}')}{inner}{self.tag('endset')}{self.opening} {name.split(',')[0]} }}}}"

    def _macro(self, inner: str, depth: int) -> str:
        takes = self.pick("", "v", "v, w=n", "v, w", "w='d', caller", "v=w, w=v", "caller")
        given = self.pick("", "1", "1, 2", "w=3", "'x', w=s", "v=1, w=2", "1, 2, 3")
        called = f"{self.opening} m({given}) }}}}"
        if self.chance.random() < 0.4:
            head = f"call{self.pick('', '(v)', '(w=1)')} m({given})"
            called = f"{self.tag(head)}{self.body(depth - 1)}{self.tag('endcall')}"
            inner += f"{self.opening} caller({self.pick('', '9')}) }}}}"
        return f"{self.tag(f'macro m({takes})')}{inner}{self.tag('endmacro')}{called}"

    def _others(self, inner: str, depth: int) -> str:
        if self.chance.random() < 0.4:
            return f"{self.tag(f'filter {self.filter(1)}')}{inner}{self.tag('endfilter')}"
        if self.chance.random() < 0.4:
            head = f"block {self.pick('b1', 'b2', 'b3', 'b4')}"
            return f"{self.tag(head)}{inner}{self.tag('endblock')}"
        case = f"{self.tag(f'case {self.atom()}')}{self.maybe(inner, 0.7)}"
        default = self.maybe(f"{self.tag('default')}{self.body(depth - 1)}", 0.6)
        return f"{self.tag(f'switch {self.atom()}')}{case}{case}{default}{self.tag('endswitch')}"


_EXPRESSIONS: dict[Callable[[Writer, int], str], int] = {
    Writer.binary: 24,
    Writer.filtered: 24,
    Writer.called: 16,
    Writer.tested: 6,
    Writer.choice: 6,
    Writer.unary: 6,
    Writer.subscripted: 6,
    Writer.grouped: 4,
    Writer.container: 6,
    Writer.member: 2,
    Writer.over_lines: 2,
}
"""Kinds of expressions, and how often each is written."""
