"""What a terminal shows of a task."""

from __future__ import annotations

from typing import Any

from greenroom_scaffolder.commands.following import Follower, Line, links, texts


def event(number: int, message: str, kind: str = "log", second: int = 0, **body: Any) -> dict[str, Any]:
    at = f"2026-11-22T10:00:{second:02}.000Z"
    return {"id": number, "type": kind, "createdAt": at, "body": {"message": message, **body}}


def shown(follower: Follower, *events: dict[str, Any]) -> list[str]:
    return [line.text for one in events for line in follower.read(one)]


def test_each_step_is_named_when_it_begins_and_timed_when_it_ends() -> None:
    told = shown(
        Follower({"a": "Write the files"}),
        event(1, "Beginning step Write the files", stepId="a", status="processing"),
        event(2, "\x1b[32minfo\x1b[39m: two files", stepId="a"),
        event(3, "Finished step Write the files", stepId="a", status="completed", second=2),
    )
    assert told == ["▸ Write the files", "    two files", "✔ Write the files (2.0 s)"]


def test_why_a_step_failed_or_was_skipped_is_on_its_line() -> None:
    told = shown(
        Follower({"a": "Push"}),
        event(1, "Skipping step a because its if condition was false", stepId="a", status="skipped"),
        event(2, "NotFoundError: no such host\n    at nowhere", stepId="a", status="failed"),
    )
    assert told == [
        "○ Push: Skipping step a because its if condition was false",
        "✘ Push: NotFoundError: no such host",
    ]


def test_a_task_that_was_cancelled_before_its_first_step_names_none() -> None:
    told = shown(
        Follower({"a": "Push"}), event(1, "Step 0 has been cancelled.", "cancelled", stepId=0, status="cancelled")
    )
    assert told == ["■ Cancelled before a step had begun"]


def test_a_warning_is_told_from_a_plain_line() -> None:
    assert list(Follower({}).read(event(1, "\x1b[33mwarn\x1b[39m: careful\nindeed"))) == [
        Line("    careful", "yellow"),
        Line("    indeed", "yellow"),
    ]


def test_events_that_come_twice_after_a_reconnect_are_shown_once() -> None:
    follower = Follower({})
    assert shown(follower, event(5, "one"), event(5, "one"), event(4, "before"), event(6, "two")) == [
        "    one",
        "    two",
    ]
    assert follower.last == 6


def test_an_end_without_words_is_told() -> None:
    assert shown(Follower({}), event(1, "", stepId="a", status="failed")) == ["✘ a: "]


def test_a_task_that_is_tried_again_is_not_over() -> None:
    follower = Follower({})
    shown(
        follower, event(1, "Run completed with status: failed", "completion", error={"name": "Error", "message": "x"})
    )
    assert follower.completion is not None
    shown(follower, event(2, "", "recovered"))
    assert follower.completion is None


def test_what_is_kept_of_an_earlier_run_is_not_timed_over_the_pause() -> None:
    told = shown(
        Follower({"a": "Write the files", "b": "Push"}),
        event(1, "Beginning step Write the files", stepId="a", status="processing"),
        event(2, "Finished step Write the files", stepId="a", status="completed", second=2),
        event(3, "Beginning step Push", stepId="b", status="processing", second=2),
        event(4, "", "recovered", second=40),
        event(5, "Skipping step a because it was already completed", stepId="a", status="completed", second=41),
        event(6, "Beginning step Push", stepId="b", status="processing", second=41),
        event(7, "Finished step Push", stepId="b", status="completed", second=44),
    )
    assert told[3:] == ["↻ The task goes on", "✔ Write the files", "▸ Push", "✔ Push (3.0 s)"]


def test_texts_of_the_output_stand_below_their_titles_line_by_line() -> None:
    output = {"text": [{"title": "Next", "content": "Clone it.\nRun `make`."}, {"content": "Done"}, {"title": "Empty"}]}
    assert list(texts(output)) == ["", "  Next", "    Clone it.", "    Run `make`.", "", "    Done", "", "  Empty"]


def test_links_lead_to_repositories_and_to_entities() -> None:
    output = {
        "links": [
            {"title": "Repository", "url": "https://git.example/a"},
            {"title": "In the catalog", "entityRef": "component:default/a"},
            {"title": "Nowhere"},
        ]
    }
    assert list(links(output)) == [
        ("Repository", "https://git.example/a"),
        ("In the catalog", "component:default/a"),
    ]
