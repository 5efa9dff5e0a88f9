"""A promise that is broken without being noticed is worth nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from tests.bench.chart import chart, growth_chart
from tests.bench.entities import entities
from tests.bench.goals import FULL, GOALS, Goal, goal
from tests.bench.growth import GROWTH
from tests.bench.growth import compared as larger_against_smaller
from tests.bench.origin import Machine, Origin
from tests.bench.ratio import in_order
from tests.bench.table import Figure, Report, Row, alone, by_size, compared, figure, table, told, verdict
from tests.bench.wire import Ask
from tests.bench.wrk import LoadError, counted, lua

ORIGIN = Origin(datetime(2026, 11, 21, tzinfo=UTC), "abc1234", Machine(2, "EPYC", 23.4, "Linux 6", 0.1), {"node": "20"})


def seconds(upstream: float, greenroom: float, goal: float | None = None, floor: float | None = None) -> Row:
    return compared("ingest", "until all are served", "s", [[upstream], [greenroom]], Goal(goal, floor))


def rate(upstream: float, greenroom: float, goal: float | None = None, floor: float | None = None) -> Row:
    return compared("list-load", "pages", "requests/s", [[upstream], [greenroom]], Goal(goal, floor))


def test_less_time_and_more_requests_are_both_better() -> None:
    assert seconds(30, 10).times == 3
    assert seconds(10, 20).times == 0.5
    assert rate(100, 400).times == 4
    assert rate(400, 100).times == 0.25


def test_a_goal_that_is_missed_is_told_and_fails_only_below_its_floor() -> None:
    rows = [seconds(30, 10, goal=3, floor=2), rate(100, 250, goal=3, floor=2), seconds(30, 20, goal=3, floor=2)]
    assert [row.reached for row in rows] == [True, False, False]
    assert [row.fails for row in rows] == [False, False, True]
    assert verdict(rows) == [
        "HOLDS: ingest",
        "FALLS SHORT: list-load 2.5, goal 3, floor 2",
        "FAILS: ingest 1.5, goal 3, floor 2",
    ]


def test_what_has_no_goal_neither_holds_nor_fails() -> None:
    assert seconds(1, 9).reached is None
    assert verdict([seconds(1, 9)]) == []


def test_a_limit_counts_whatever_upstream_does() -> None:
    written = compared("unchanged-rows", "rows", "rows", [[0], [1]], Goal(at_most=0))
    assert written.fails
    assert verdict([written]) == ["FAILS: unchanged-rows 1, ≤ 0 rows"]
    assert not compared("unchanged-rows", "rows", "rows", [[500], [0]], Goal(at_most=0)).fails


def test_a_fifth_of_a_row_is_not_told_as_none() -> None:
    written = compared("unchanged-rows", "rows", "rows", [[0], [0.2]], Goal(at_most=0))
    assert verdict([written]) == ["FAILS: unchanged-rows 0.20, ≤ 0 rows"]


def test_floors_are_those_of_the_full_size() -> None:
    assert goal("ingest", FULL).floor is not None
    assert goal("ingest", FULL - 1) == Goal(GOALS["ingest"].times)
    assert goal("unchanged-rows", 100).at_most == 0


def test_the_median_is_not_that_of_the_best_and_few_rounds_have_no_95th_percentile() -> None:
    assert figure([5, 1, 99]) == Figure(5, None)
    assert figure([1.0] * 19 + [50.0]).median == 1
    assert (figure([1.0] * 18 + [50.0] * 2).p95 or 0) > 40


def test_the_table_is_one_in_markdown() -> None:
    shown = table([seconds(30.04, 1.234, goal=25), rate(100, 1200, goal=40)])
    assert cells(shown) == [
        ["", "upstream", "Greenroom", "times better", "goal", ""],
        ["until all are served", "30.0 s", "1.23 s", "24.3", "25", "**no**"],
        ["pages", "100 requests/s", "1,200 requests/s", "12.0", "40", "**no**"],
    ]
    assert len({len(line) for line in shown.splitlines()}) == 1


def cells(shown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines() if "---" not in line]


def test_sizes_stand_beside_each_other_and_a_list_that_grows_is_told() -> None:
    rows = [alone("list", "a list", "ms", [taken], size=size) for size, taken in ((20_000, 2.0), (1_000_000, 3.2))]
    assert cells(by_size(rows)) == [["", "20,000", "1,000,000", "goal", ""], ["a list", "2.00 ms", "3.20 ms", "", ""]]
    (grown,) = larger_against_smaller(rows)
    assert (grown.greenroom.median, grown.at_most, grown.fails) == (1.6, GROWTH, True)


def test_a_report_is_read_back_as_it_was_and_says_what_is_derived() -> None:
    report = Report("20,000 entities", "python -m …", ORIGIN, [seconds(30, 10, goal=25)], {"bytes": 7})
    assert told(msgspec.json.decode(report.json(), type=Report)) == told(report)
    row = msgspec.json.decode(report.json())["rows"][0]
    assert (row["times"], row["reached"]) == (3.0, False)
    assert "abc1234" in told(report)


def test_the_rows_of_the_goal_come_first_in_its_order() -> None:
    rows = [rate(1, 1), alone("else", "else", "s", [1]), seconds(1, 1)]
    assert [row.id for row in in_order(rows)] == ["ingest", "list-load", "else"]


def test_the_chart_shows_every_row_with_a_goal_and_nothing_off_its_edges() -> None:
    rows = [seconds(30, 10, goal=25), rate(100, 50, goal=2), seconds(1, 0.001, goal=2), seconds(1, 1)]
    drawn = chart(Report("a <title>", "", ORIGIN, rows))
    assert drawn.count("<rect") == 3
    assert "a &lt;title&gt;" in drawn
    assert "prefers-color-scheme: dark" in drawn
    edges = [
        float(part.split('"')[1])
        for line in drawn.splitlines()
        for part in line.split()
        if part.startswith(("x=", "x1="))
    ]
    assert min(edges) >= 0
    assert max(edges) <= 900


def test_the_chart_of_growth_has_a_bar_for_each_size_of_what_it_shows() -> None:
    sizes = (20_000, 200_000, 1_000_000)
    rows = [alone(id_, id_, "ms", [size / 1e4], size=size) for size in sizes for id_ in ("list", "count-warm", "other")]
    drawn = growth_chart(Report("alone", "", ORIGIN, rows))
    assert drawn.count("<rect") == 6
    assert [drawn.count(f'class="size{place}"') for place in range(3)] == [2, 2, 2]
    assert ("20,000 · 200,000 · 1,000,000" in drawn, "100 ms</text>" in drawn) == (True, True)


def test_a_load_with_one_bad_answer_is_no_load() -> None:
    found = counted("Running\nFOUND 300 2000000 0 0\nLATENCY 900 1500\n")
    assert (found.rate, found.latencies) == (150, [0.9, 1.5])
    for told_ in ("FOUND 300 2000000 0 1", "FOUND 300 2000000 1 0", "FOUND 0 2000000 0 0", "unable to connect"):
        with pytest.raises(LoadError):
            counted(f"{told_}\nLATENCY 900 1500\n")


def test_a_load_asks_with_bodies_that_no_quote_can_end() -> None:
    script = lua([Ask("/a?b=c"), Ask("/d", "POST", b'{"e": "]]"}')])
    assert '{method = "GET", target = [===[/a?b=c]===]},' in script
    assert '{method = "POST", target = [===[/d]===], body = [===[{"e": "]]"}]===]},' in script


def test_the_same_entities_are_made_every_time() -> None:
    assert list(entities(50)) == list(entities(50))
