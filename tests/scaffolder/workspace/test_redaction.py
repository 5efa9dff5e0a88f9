"""Nothing of a secret leaves a task, in whatever form, and what is no secret is left as it is."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from greenroom_scaffolder.workspace.redaction import MOST_SECRETS, Redactor, Stream
from greenroom_scaffolder.workspace.variants import SHORTEST, dropped, folded, squeezed
from tests.support.waiting import slowness

TOKEN = "ghp_x7Kd+92/fq"

secrets = (
    st.text(min_size=6, max_size=40)
    .map(str.strip)
    .filter(lambda text: len(squeezed(text)) >= SHORTEST and "*" not in text)
)
"""Any Unicode at all, but what the mask is made of."""
tokens = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=_-.~", min_size=6, max_size=40)
around = st.text(max_size=12)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def b64_url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def one_line(text: str) -> str:
    """What a URL has of it."""
    return re.sub(r"[\t\n\r]", "", text)


FORMS: dict[str, Callable[[str], str]] = {
    "plain": "{}".format,
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "swapped": str.swapcase,
    "reversed": lambda text: text[::-1],
    "upper reversed": lambda text: text.upper()[::-1],
    "upper in json": lambda text: json.dumps(text.upper(), ensure_ascii=False),
    "reversed in json": lambda text: json.dumps(text[::-1]),
    "base64": b64,
    "base64url": b64_url,
    "base64 of upper": lambda text: b64(text.upper()),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "url": lambda text: quote(text, safe=""),
    "url path": quote,
    "url form": quote_plus,
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "query of a URL": lambda text: quote(one_line(text), safe="!$%&()*+,-./:;=?@[\\]^_`{|}~"),
    "path of a URL": lambda text: quote(one_line(text), safe="!$%&'()*+,-./:;=@[\\]|~_"),
    "fragment of a URL": lambda text: quote(one_line(text), safe="!#$%&'()*+,-./:;=?@[\\]^_{|}~"),
    "user of a URL": lambda text: quote(one_line(text), safe="!$%&'()*+,-.~_"),
    "json": json.dumps,
    "json unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "html": html.escape,
    "repr": repr,
    "shell": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "regex": re.escape,
    "percent all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "spaced": " ".join,
}


def core(form: str) -> str:
    """What must not survive: the form but for its first and last character, which an encoding shares with what is around."""
    return squeezed(form)[2:-3]


@pytest.mark.parametrize("name", FORMS)
@given(secret=st.one_of(secrets, tokens), before=around, after=around)
@settings(max_examples=60)
def test_no_form_of_a_secret_survives(name: str, secret: str, before: str, after: str) -> None:
    form = FORMS[name](secret)
    shown = Redactor([secret]).redact(before + form + after)
    assert form not in shown
    assert "***" in shown
    assume(len(core(form)) >= 5 and core(form) not in squeezed(before + "|" + after))
    assert core(form) not in squeezed(shown)


@given(secret=st.one_of(secrets, tokens), before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_a_secret_inside_of_something_encoded_does_not_survive(secret: str, before: bytes, after: bytes) -> None:
    text = base64.b64encode(before + secret.encode() + after).decode()
    shown = Redactor([secret]).redact(f"Authorization: Basic {text}")
    assert text not in shown
    assert "***" in shown


@given(
    secret=secrets,
    name=st.sampled_from(sorted(FORMS)),
    width=st.integers(1, 30),
    indent=st.sampled_from(["", "  ", "\t"]),
)
def test_a_wrapped_secret_does_not_survive(secret: str, name: str, width: int, indent: str) -> None:
    form = FORMS[name](secret)
    lines = [form[at : at + width] for at in range(0, len(form), width)]
    shown = Redactor([secret]).redact(f"\n{indent}".join(lines))
    assert "***" in shown
    assume(len(core(form)) >= 5)
    assert core(form) not in squeezed(shown)


@given(secret=st.one_of(secrets, tokens), name=st.sampled_from(sorted(FORMS)), data=st.data())
def test_a_secret_over_several_lines_of_a_log_does_not_survive(secret: str, name: str, data: st.DataObject) -> None:
    form = FORMS[name](secret)
    whole = data.draw(around) + form + data.draw(around)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    stream: Stream[int] = Stream(Redactor([secret]))
    shown = [one for number, piece in enumerate(pieces) for one in stream.feed(piece, number)] + stream.flush()
    assert [number for _, number in shown] == list(range(len(pieces)))
    text = "".join(text for text, _ in shown)
    assert "***" in text
    assume(len(core(form)) >= 8 and core(form) not in squeezed(whole.replace(form, "|")))
    assert core(form) not in squeezed(text)


@given(st.lists(st.text(max_size=30), max_size=8), st.lists(secrets, max_size=3))
def test_what_a_stream_shows_without_secrets_is_what_it_was_given(texts: list[str], known: list[str]) -> None:
    redactor = Redactor(known)
    assume(redactor.redact("\n".join(texts)) == "\n".join(texts))
    stream: Stream[None] = Stream(redactor)
    shown = [text for piece in texts for text, _ in stream.feed(piece, None)] + [text for text, _ in stream.flush()]
    assume("***" not in "".join(shown))  # a long beginning of a secret at the very end
    assert shown == texts


# --- as upstream -----------------------------------------------------------------------------------------------------


def test_a_rendered_text_is_taken_out_whole() -> None:
    redactor = Redactor(["s3cr3t"], ["hello abc 3 s3cr3t"])
    assert redactor.redact("hello abc 3 s3cr3t") == "***"
    assert redactor.redact("hello abc 3, s3cr3t") == "hello abc 3, ***"
    assert redactor.redact("HELLO ABC 3") == "HELLO ABC 3", "a rendered text has no other forms"
    redactor.add(" two\nlines ")
    assert redactor.redact("<two\nlines>") == "<***>"


def test_overlapping_secrets_leave_nothing_between_them() -> None:
    assert Redactor(["abcdef", "defghi"]).redact("xabcdefghix") == "x***x"
    assert Redactor(["ab", "abcd"]).redact("abcd ab") == "*** ***"
    assert Redactor(["abcdef"]).redact("abcdefabcdef") == "******"


def test_one_character_is_no_secret_and_white_space_around_one_does_not_count() -> None:
    assert Redactor(["", "x", " y "]).redact("x y z") == "x y z"
    assert Redactor(["  tok\n"]).redact("a tok b") == "a *** b"


def test_without_secrets_nothing_changes() -> None:
    assert Redactor([]).redact("a *** b") == "a *** b"
    tree = {"a": [1, None]}
    assert Redactor([]).redact_tree(tree) is tree


# --- short ones, and what must stay --------------------------------------------------------------------------------


def test_a_short_secret_is_taken_out_as_it_is_written_only() -> None:
    redactor = Redactor(["dev", "a&b"])
    assert redactor.redact("dev, Dev, ved, ZGV2, d e v") == "***, Dev, ved, ZGV2, d e v"
    assert redactor.redact("a%26b a&amp;b") == "*** ***"


def test_ordinary_output_stays_readable() -> None:
    redactor = Redactor([TOKEN, "correct horse battery staple", "hunter2"])
    text = "Writing file src/main.py to template output path with mode 33188.\nBattery is correct, hunter 1\n"
    assert redactor.redact(text) == text


def test_lines_stay_lines() -> None:
    assert Redactor([TOKEN]).redact(f"a {TOKEN[:5]}\n   {TOKEN[5:]} b") == "a ***\n   *** b"
    assert Redactor([TOKEN]).redact(f"{TOKEN[:5]}\x1b[0m\r\n\x1b[32m{TOKEN[5:]}!") == "***\r\n***!"


def test_a_key_of_many_lines_is_found_line_by_line() -> None:
    lines = [base64.b64encode(bytes([number] * 48)).decode() for number in range(1, 6)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    redactor = Redactor([key])
    assert redactor.redact(key) == "***"
    assert redactor.redact(f"info: {lines[2]}") == "info: ***"
    assert redactor.redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"
    assert redactor.redact(json.dumps({"key": key})) == '{"key": "***"}'


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_line_is_held_back_only_while_it_may_be_the_beginning_of_a_secret() -> None:
    stream: Stream[int] = Stream(Redactor(["s3cr3t-token"]))
    assert stream.feed("nothing", 1) == [("nothing", 1)]
    assert stream.feed("token: s3cr3t", 2) == []
    assert stream.feed("-tok", 3) == []
    assert stream.feed("en, done", 4) == [("token: ***", 2), ("***", 3), ("***, done", 4)]
    assert stream.feed("token: s3cr", 5) == []
    assert stream.feed("eam", 6) == [("token: s3cr", 5), ("eam", 6)]
    assert stream.feed("s3cr", 7) == []
    assert stream.flush() == [("s3cr", 7)], "a third of it says nothing"
    assert stream.feed("s3cr3t-to", 8) == []
    assert stream.flush() == [("***", 8)]
    assert stream.flush() == []


def test_a_secret_letter_by_letter_shows_three_at_most() -> None:
    stream: Stream[None] = Stream(Redactor(["s3cr3t-token"]))
    shown = [text for letter in "s3cr3t-token" for text, _ in stream.feed(letter, None)]
    assert shown == ["s", "3", "c", *["***"] * 9]


def test_chunks_are_joined_without_a_line_break() -> None:
    stream: Stream[None] = Stream(Redactor(["pin!", "s3cr3t-token"]), separator="")
    shown = [text for chunk in ("a s3cr3", "t-tok", "en pi", "n! b") for text, _ in stream.feed(chunk, None)]
    assert "".join(shown) == "a ********* pi*** b", "a short secret is not held back for"


# --- trees -----------------------------------------------------------------------------------------------------------


def test_trees_are_redacted_in_values_keys_and_numbers() -> None:
    redactor = Redactor([TOKEN, "12345678"])
    tree = {"a": [TOKEN.upper(), {"b": 1.5, TOKEN: None}], "n": 12345678, "ok": True, "id": 7}
    before = json.dumps(tree)
    assert redactor.redact_tree(tree) == {"a": ["***", {"b": 1.5, "***": None}], "n": "***", "ok": True, "id": 7}
    assert json.dumps(tree) == before
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert "***" in str(redactor.redact_tree(deep))


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_squeezing_and_folding_agree_with_what_is_looked_up() -> None:
    every = "".join(f"{chr(code)}|" for code in range(sys.maxunicode + 1))
    assert len(folded(every)) == len(every)
    assert squeezed(every).count("|") == every.count("|")
    coloured = every.replace("\x1b|", "\x1b[0m")
    assert squeezed(coloured) == squeezed(every.replace("\x1b|", "")), "both ways of squeezing drop the same"
    assert [every[a:b] for a, b in dropped(every)] == [one for one in every if one.isspace()]


@example(text="a b\n c\x1b[0m d")
@given(st.text())
def test_what_is_dropped_is_what_squeezing_takes_away(text: str) -> None:
    kept, done = "", 0
    for start, end in dropped(text):
        kept += text[done:start]
        done = end
    assert squeezed(text + "\x1b[0m") == kept + text[done:]


def test_megabytes_without_secrets_and_hostile_repetitions_take_no_time() -> None:
    redactor = Redactor([f"ghp_{number:036d}" for number in range(100)] + ["a" * 400])
    for text in ("Writing file src/main.py\n" * 40_000, "ghp_" * 100_000, "a" * 100_000, "ghp_0" * 100_000):
        began = time.process_time()
        redactor.redact(text)
        assert time.process_time() - began < 5 * slowness()


def test_many_small_secrets_are_learnt_and_looked_for_at_once() -> None:
    """One after the other took more than three minutes."""
    secrets = [f"s{number:05d}-{number * 7919 % 99_991:05d}" for number in range(MOST_SECRETS)]
    began = time.process_time()
    redactor = Redactor(secrets)
    for text in ("Writing file src/main.py", f"a {secrets[7].upper()} b", "s00") * 300:
        redactor.redact(text)
    assert time.process_time() - began < 10 * slowness()
    assert redactor.redact(f"a {secrets[7].upper()} b {secrets[999]}") == "a *** b ***"


def test_a_text_for_each_of_many_items_is_learnt_and_looked_for_at_once() -> None:
    """All begin alike, as what was rendered from one template does."""
    redactor = Redactor(["s3cr3t-token"])
    began = time.process_time()
    for number in range(20_000):
        redactor.add(f"https://x:s3cr@host.example/repository-{number}")
        redactor.redact(f"pushing to https://host.example/repository-{number}")
    assert time.process_time() - began < 15 * slowness()
    assert redactor.redact("to https://x:s3cr@host.example/repository-7.") == "to ***."


@given(st.lists(st.text("ab", min_size=1, max_size=6), max_size=6), st.text("ab", max_size=40))
def test_many_texts_are_found_where_few_are(texts: list[str], text: str) -> None:
    few, many = Redactor((), texts), Redactor((), [*texts, *(f"#{number}" for number in range(1_000))])
    assert many.redact(text) == few.redact(text)


def test_a_copy_learns_for_itself_alone() -> None:
    base = Redactor(["correct-horse-1"])
    one, other = base.copy(), base.copy()
    one.learn(["battery-staple-2"])
    one.add("rendered text")
    text = "Y29ycmVjdC1ob3JzZS0x battery-STAPLE-2 rendered text correct-horse-1"
    assert one.redact(text) == "*** *** *** ***"
    assert other.redact(text) == base.redact(text) == "*** battery-STAPLE-2 rendered text ***"
    whole = Redactor(["correct-horse-1", "battery-staple-2"], ["rendered text"])
    assert one.redact(text) == whole.redact(text)
