"""Templates that mean harm: each is refused with a clear error, soon, and nothing of Python is within reach."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from greenroom_scaffolder.templating import UNDEFINED, Engine, Limits, TemplateError
from tests.support.waiting import slowness

CONTEXT: dict[str, Any] = {"s": "x" * 1000, "l": list(range(1000)), "o": {"a": 1}}
SMALL = Limits(steps=20_000, output=200_000, items=5_000, seconds=5.0, regex_seconds=0.2)


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """What is done within takes this thread no longer than that, on a machine like any other."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds * slowness()


@pytest.mark.parametrize(
    "template",
    [
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "${{ x }}",
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x + x %}" * 40 + "${{ x.length }}",
        "{% set x = [1, 2, 3] %}" + "{% set x = x.concat(x) %}" * 40 + "${{ x }}",
        "{% set x = [1] %}" + "{% set x = [x, x, x, x] %}" * 30 + "${{ x | dump }}",
        "{% set x = [1] %}" + "{% set x = [x, x, x, x] %}" * 30 + "${{ x }}",
        "{% set x = {a: 1} %}" + "{% set x = {a: x, b: x, c: x} %}" * 30 + "${{ x | dump }}",
        "{% set x = [l] %}" + "{% set x = [x, x, x, x] %}" * 12 + "${{ x.flat(99) }}",
        "{% set x = s %}" + "{% set x = x | replace('x', s) %}" * 4 + "${{ x | length }}",
        "{% set x = s %}" + "{% set x = x.replace('x', '$`$&$\\'$&') ~ x %}" * 30 + "${{ x | length }}",
        "{% set x = s %}" + "{% set x = x.split('').join(s) %}" * 4 + "${{ x | length }}",
        "{% set x = s %}" + "{% set x %}${{ x }}${{ x }}{% endset %}" * 40 + "${{ x | length }}",
        "${{ range(1000000000) }}",
        "${{ range(0, 1, 0.0000001) }}",
        "{% for a in l %}{% for b in l %}{% set q = 1 %}{% endfor %}{% endfor %}",
        "{% for a in l %}${{ s }}{% endfor %}",
        "{% for x in {length: 99999999999} %}{% endfor %}",
        "{% macro f() %}${{ f() }}{% endmacro %}${{ f() }}",
        "{% macro f(n) %}{% if n > 0 %}${{ f(n - 1) }}${{ f(n - 1) }}{% endif %}{% endmacro %}${{ f(60) }}",
        "{% macro f() %}{% call f() %}x{% endcall %}{% endmacro %}${{ f() }}",
        "${{ 'x' | center(10000000000) }}",
        "${{ 'a\nb' | indent(16000000) }}",
        "${{ l | batch(100000000, 1) }}",
        "${{ l | slice(1000000000) }}",
        "${{ {length: 99999999} | sort }}",
        "${{ {length: 99999999} | select }}",
        "${{ 5['1':] }}",
        "${{ o[:] }}",
        "{% set x = [] %}{% for i in l %}${{ x.push(x.concat(x)) }}{% endfor %}",
        "{% set x = [] %}${{ x.push(x) }}",
        "{% set x = [] %}{% for i in l %}{% set x = [x] %}{% endfor %}${{ x | dump }}",
    ],
)
def test_a_template_that_would_fill_memory_or_never_end_is_refused(template: str) -> None:
    with soon(4), pytest.raises(TemplateError):
        Engine(limits=SMALL).text(template, CONTEXT)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(4000) %}${{ text[5] }}{% endfor %}",
        "{% for i in range(4000) %}${{ text.length }}{% endfor %}",
        "{% for i in range(4000) %}{% if text.includes('zz') %}{% endif %}{% endfor %}",
        "{% for i in range(4000) %}{% if 'zz' in text %}{% endif %}{% endfor %}",
        "{% for i in range(4000) %}{% if text < text %}{% endif %}{% endfor %}",
        "{% for i in range(4000) %}${{ text | plugged }}{% endfor %}",
        "${{ [" + "text | upper, " * 2000 + "1] | length }}",
        "${{ [" + "text.trim(), " * 2000 + "1] | length }}",
        "${{ text[::] | length }}",
        "${{ text.split('é') | length }}",
        "${{ text | list | length }}",
        "{% for letter in text %}{% endfor %}",
        "{% for a, b in text %}{% endfor %}",
    ],
)
def test_a_long_text_costs_what_it_is_long_however_it_is_looked_at(template: str) -> None:
    with soon(4), pytest.raises(TemplateError, match=r"work unit limit|cannot exceed"):
        Engine({"plugged": lambda text: text[:1]}).text(template, {"text": "é" * 3_000_000})


@pytest.mark.parametrize(
    "expression",
    [
        "texts | sort",
        "texts | sort(true, true)",
        "texts.sort()",
        "objects | sort(false, false, 'a')",
        "named | dictsort(false, 'value')",
        "texts | select('lower')",
        "texts | rejectattr('length')",
        "texts | groupby('length')",
        "texts | sum('length')",
        "texts | urlencode",
    ],
)
def test_a_list_of_long_texts_costs_what_they_are_long(expression: str) -> None:
    one, other = "é" * 100_000, "é" * 99_999 + "a"
    texts = [one, other] * 5000
    context = {
        "texts": texts,
        "objects": [{"a": text} for text in texts],
        "named": {str(at): text for at, text in enumerate(texts)},
    }
    with soon(4), pytest.raises(TemplateError, match="work unit limit"):
        Engine().text(f"${{{{ ({expression}) | length }}}}", context)


@pytest.mark.parametrize(
    "template",
    [
        "${{ other in texts }}",
        "${{ texts.includes(other) }}",
        "${{ texts.indexOf(other) }}",
        "${{ texts.lastIndexOf(other) }}",
        "${{ " + "one == other or " * 20_000 + "1 }}",
        "${{ " + "one === other or " * 20_000 + "1 }}",
        "${{ " + "one == 1 or " * 20_000 + "1 }}",
        "${{ " + "other < one or " * 20_000 + "1 }}",
        "{% switch other %}" + "{% case one %}x" * 20_000 + "{% endswitch %}",
    ],
)
def test_long_texts_that_are_alike_for_long_are_not_compared_for_free(template: str) -> None:
    one, other = "a" * 100_000 + "x", "a" * 100_000 + "y"
    with soon(4), pytest.raises(TemplateError, match="work unit limit"):
        Engine().text(template, {"texts": [one] * 20_000, "one": one, "other": other})


@pytest.mark.parametrize(
    "expression",
    [
        "'a'.replace('a', marks)",
        "'a'.replace(r/a/, marks)",
        "'a'.replace(r/(?<n>a)/, marks)",
        "(half ~ half ~ half).lastIndexOf('ab' ~ half)",
        "(digits ~ 'x') * 1",
        "digits ~ 'x' == 1",
        "range(20000).fill(range(20000)).includes(1)",
    ],
)
def test_a_text_made_to_be_looked_at_again_and_again_is_done_with_soon(expression: str) -> None:
    with soon(4):
        Engine().text(
            f"${{{{ {expression} }}}}", {"marks": "$<" * 150_000, "half": "a" * 300_000, "digits": "1" * 150_000}
        )


@pytest.mark.parametrize(
    "expression",
    [
        "long.replace(long, marks)",
        "long.replace(r/x+/, marks)",
        "long | replace(r/x+/, marks)",
        "amp | escape",
        "accents | urlencode",
        "words | wordcount",
        "words | urlize",
        "words | striptags",
        "blanks | title",
        "tags | striptags",
        "deep | dump(10)",
    ],
)
def test_what_is_too_long_is_refused_before_it_is_made(expression: str) -> None:
    context: dict[str, Any] = {"long": "x" * 100_000, "marks": "$&" * 250, "amp": "&" * 500_000}
    context |= {"accents": "é" * 250_000, "words": "āb " * 100_000, "blanks": " " * 500_000}
    context |= {"tags": "<b>ab" * 100_000, "deep": list(range(6_000))}
    for _ in range(200):
        context["deep"] = [context["deep"]]
    engine = Engine(limits=Limits(steps=60_000, output=1_000_000, seconds=60.0))
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError, match=r"(output|work unit) limit"):
            engine.text(f"${{{{ {expression} }}}}", context)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        f"a{' ' * 200_000}b",
        "<b" * 200_000,
        "<!--" * 200_000,
        "<b>" * 100_000 + "<c" * 100_000,
        "<" * 8 + "b>" * 8 + "<" * 200_000,
    ],
)
def test_markup_is_taken_out_of_a_text_that_would_keep_a_pattern_busy(text: str) -> None:
    with soon(2):
        Engine().text("${{ text | striptags(true) }}", {"text": text})


@pytest.mark.parametrize(
    "template",
    [
        "${{ r/" + "\\a" * 1_000_000 + "/ }}",
        "${{ " + "1+" * 1_500_000 + "1 }}",
        "${{ '" * 300_000,
        "{% for " + "in" * 500_000 + " %}",
    ],
)
def test_a_long_tag_is_read_or_refused_soon(template: str) -> None:
    with soon(6), pytest.raises(TemplateError):
        Engine().text(template, {})


def test_a_line_of_very_many_tags_is_read_soon() -> None:
    with soon(6):
        template = "{% set a = 1 %}" * 60_000
        assert Engine(lstrip_blocks=True).text(f"{template}${{{{ a }}}}", {}) == "1"


@pytest.mark.parametrize("nested", [10, 3000])
def test_a_context_too_large_to_be_copied_is_an_error_of_the_template(nested: int) -> None:
    deep: Any = {str(number): list(range(1000)) for number in range(1100)}
    for _ in range(nested):
        deep = [deep]
    with pytest.raises(TemplateError, match=r"exceeded the (work unit|nesting depth) limit"):
        Engine().text("${{ changed.push(1) }}", {"changed": [], "deep": deep})


@pytest.mark.parametrize(
    "expression",
    ["r/(a|aa)+$/.test('" + "a" * 60 + "b')", "('x' ~ s) | replace(r/(x+x+)+y/g, '')", "s.split(r/(x+)+$y/) | length"],
)
def test_a_regular_expression_that_backtracks_for_ever_is_stopped(expression: str) -> None:
    with pytest.raises(TemplateError, match="seconds in regular expressions"):
        Engine(limits=SMALL).text(f"${{{{ {expression} }}}}", CONTEXT)


def test_many_slow_regular_expressions_share_one_limit() -> None:
    template = "{% for i in range(100) %}{% if r/(a|aa)+$/.test('" + "a" * 24 + "b') %}{% endif %}{% endfor %}"
    with soon(4), pytest.raises(TemplateError, match="seconds in regular expressions"):
        Engine(limits=SMALL).text(template, CONTEXT)


@pytest.mark.parametrize(
    "pattern", ["((a{1000}){1000}){1000}", "(?:(?:a{99}){99}){99}", "a{99999999}", "(" * 5000 + ")" * 5000]
)
def test_a_regular_expression_that_would_fill_memory_is_refused(pattern: str) -> None:
    with pytest.raises(TemplateError, match="Invalid regular-expression literal"):
        Engine().text(f"${{{{ r/{pattern}/.test('a') }}}}", CONTEXT)


@pytest.mark.parametrize(
    "template",
    [
        "${{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "${{ " + "[" * 5000 + "]" * 5000 + " }}",
        "${{ " + "-+" * 5000 + "1 }}",
        "${{ " + "not " * 5000 + "1 }}",
        "${{ 'a' " + "| upper " * 20000 + "}}",
        "${{ s" + ".trim()" * 20000 + " }}",
        "${{ o" + "['a' + '']" * 5000 + " }}",
        "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
        "${{ " + "(1 if 0 else " * 300 + "1" + ")" * 300 + " }}",
        "{% for a in l %}" * 3000,
        "${{ " + "{a:" * 3000 + "1" + "} " * 3000 + " }}",
    ],
)
def test_endless_nesting_is_an_error_of_the_template_and_no_crash(template: str) -> None:
    with pytest.raises(TemplateError):
        Engine().text(template, CONTEXT)


def test_long_chains_that_are_not_nested_are_fine() -> None:
    engine = Engine()
    assert engine.text("${{ " + "1 + " * 5000 + "1 }}", CONTEXT) == "5001"
    assert engine.text("${{ o" + ".a" * 5000 + " }}", CONTEXT) == ""
    assert engine.text("${{ " + "1 and " * 5000 + "7 }}", CONTEXT) == "7"
    assert engine.text("{% if 0 %}" + "{% elif 0 %}" * 2000 + "{% else %}x{% endif %}", CONTEXT) == "x"
    assert engine.text("${{ " + "(" * 80 + "1" + ")" * 80 + " }}", CONTEXT) == "1"


def test_a_template_of_five_megabytes_is_refused_at_once() -> None:
    with pytest.raises(TemplateError, match="source code unit limit"):
        Engine().text("x" * 5_000_000 + "${{ 1 }}", CONTEXT)


def test_a_million_tags_are_refused() -> None:
    with pytest.raises(TemplateError, match="AST node limit"):
        Engine(limits=Limits(nodes=1000)).text("${{ 1 }}" * 1001, CONTEXT)


def test_the_clock_stops_a_template_whatever_its_steps() -> None:
    with pytest.raises(TemplateError, match=r"0\.05 seconds"):
        Engine(limits=Limits(seconds=0.05, steps=10**12)).text(
            "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}", CONTEXT
        )


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__[1].__subclasses__()",
        "''['__cl' + 'ass__']",
        "s.__class__.__init__.__globals__",
        "o.__getattribute__('a')",
        "range.__globals__",
        "range.func_globals",
        "cycler.__init__.__globals__.os.popen('id').read()",
        "joiner().invoke",
        "f.__code__",
        "f.function",
        "loop.__class__",
        "l.__reduce__()",
        "l.__len__",
        "o.get",
        "o.items",
        "(s | safe).text",
        "(s | safe).__slots__",
        "r/a/.source",
        "r/a/.last_index",
        "'{0.__class__}'.format",
        "s.encode",
        "n.real",
        "n.to_bytes",
        "t.numerator",
        "o.__dict__",
        "lipsum",
        "self",
        "config",
        "request",
        "global",
        "process",
        "require",
    ],
)
def test_nothing_of_python_is_within_reach(expression: str) -> None:
    engine = Engine(globals={"f": lambda: 1})
    context = {**CONTEXT, "n": 1, "t": True}
    for template in (f"${{{{ {expression} }}}}", f"{{% for x in l %}}${{{{ {expression} }}}}{{% endfor %}}"):
        try:
            value = engine.value(template, context)
        except TemplateError:
            continue
        assert value is UNDEFINED or value == ""


@pytest.mark.parametrize(
    "expression",
    [
        "s.constructor",
        "s['constructor']",
        "o.__proto__",
        "range.constructor('return process')()",
        "prototype",
        "{constructor: 1}",
        "x | constructor",
        "f(constructor=1)",
        "s.constructor.constructor('return 1')()",
    ],
)
def test_the_names_that_lead_out_of_javascript_data_are_reserved(expression: str) -> None:
    with pytest.raises(TemplateError, match="reserved"):
        Engine().value(f"${{{{ {expression} }}}}", CONTEXT)


def test_reserved_names_are_not_read_by_a_computed_key_either() -> None:
    context = {"o": {"constructor": "secret", "__proto__": "secret"}}
    for key in ("'con' ~ 'structor'", "'__pro' ~ 'to__'"):
        assert Engine().value(f"${{{{ o[{key}] }}}}", context) is UNDEFINED
        assert Engine(cookiecutter_compat=True).text(f"{{{{ o.get({key}, 'd') }}}}", context) == "d"


def test_an_engine_goes_on_after_every_refusal() -> None:
    engine = Engine(limits=SMALL)
    for template in (
        "{% macro f() %}${{ f() }}{% endmacro %}${{ f() }}",
        "${{ range(10000000) }}",
        "${{ " + "(" * 5000,
    ):
        with pytest.raises(TemplateError):
            engine.text(template, CONTEXT)
        assert engine.text("${{ s | length }}", CONTEXT) == "1000"
