"""A promise that is broken without being noticed is worth nothing."""

from __future__ import annotations

from tests.bench.table import Figure, Row, broken, figure, table


def seconds(upstream: float, greenroom: float, promised: float | None = None) -> Row:
    return Row("until all are served", "s", Figure(upstream), Figure(greenroom), promised)


def rate(upstream: float, greenroom: float, promised: float | None = None) -> Row:
    return Row("pages", "requests/s", Figure(upstream), Figure(greenroom), promised)


def test_less_time_and_more_requests_are_both_better() -> None:
    assert seconds(30, 10).times == 3
    assert seconds(10, 20).times == 0.5
    assert rate(100, 400).times == 4
    assert rate(400, 100).times == 0.25


def test_a_promise_that_does_not_hold_is_told() -> None:
    rows = [seconds(30, 10, promised=3), seconds(29, 10, promised=3), rate(100, 150, promised=2), seconds(1, 9)]
    assert broken(rows) == [
        "until all are served: 2.9 times better, promised 3",
        "pages: 1.5 times better, promised 2",
    ]


def test_an_answer_in_no_time_at_all_keeps_every_promise() -> None:
    assert seconds(1, 0, promised=1000).kept


def test_the_median_is_not_that_of_the_slowest_and_few_rounds_have_no_95th_percentile() -> None:
    assert figure([5, 1, 99], "ms") == Figure(5, None, best=1)
    assert figure([5, 1, 99], "requests/s") == Figure(5, None, best=99)
    assert figure([1.0] * 19 + [50.0], "ms").median == 1
    assert (figure([1.0] * 18 + [50.0] * 2, "ms").p95 or 0) > 40


def test_a_busy_machine_breaks_no_promise_that_the_best_rounds_keep() -> None:
    slowed = Row("a page", "ms", Figure(30, best=9), Figure(20, best=3), 3)
    assert slowed.times == 1.5
    assert slowed.kept
    assert not Row("a page", "ms", Figure(30, best=9), Figure(20, best=4), 3).kept
    assert not Row("pages", "requests/s", Figure(10, best=20), Figure(20, best=30), 3).kept


def test_the_table_is_one_in_markdown() -> None:
    shown = table([seconds(30.04, 1.234, promised=3), rate(100, 1200)]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown if "---" not in line] == [
        ["", "upstream", "Greenroom", "times better", "promised"],
        ["until all are served", "30.0 s", "1.23 s", "24.3", "3"],
        ["pages", "100 requests/s", "1,200 requests/s", "12.0", ""],
    ]
    assert len({len(line) for line in shown}) == 1
