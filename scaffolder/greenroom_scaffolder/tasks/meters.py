"""Runs and their steps -> figures in `/metrics`, under upstream's names, and an audit record of each run's beginning and end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any, Literal

from greenroom.telemetry import Metrics
from greenroom_scaffolder.tasks.expressions import little
from greenroom_scaffolder.tasks.hiding import secrets_of
from greenroom_scaffolder.tasks.task import Outcome, Task
from greenroom_scaffolder.workspace.redaction import Redactor, few

Result = Literal["ok", "failed", "skipped", "cancelled"]

_LONGEST_PARAMETER = 256
"""Characters of a text that an audit record quotes: upstream's `scaffolder.auditor.taskParameterMaxLength`, unless it says."""
_MOST_SECRET = 4_096
"""Characters of secrets that are looked for in an audit record, which is written in passing."""
_LONGEST_NAME = 200
"""Characters."""
_MOST_TEMPLATES, _MOST_STEPS = 1_000, 100
"""Templates, and steps of each, that are told apart in figures; `other` stands for those that come later. Who tries templates out
may name them as he likes, and each figure is kept for as long as the process lives."""
_OTHER = "other"
_CUT = "...<truncated>"


class Meters:
    """Counts what is run."""

    def __init__(self, metrics: Metrics) -> None:
        task, step = ("template", "result"), ("template", "step", "result")
        self._tasks = metrics.counter("scaffolder.task.count", "Count of task runs", task)
        self._task_time = metrics.histogram("scaffolder.task.duration", "Duration of a task run", task)
        self._steps = metrics.counter("scaffolder.step.count", "Count of step runs", step)
        self._step_time = metrics.histogram("scaffolder.step.duration", "Duration of a step runs", step)
        left = "Calls of actions that did not end when they were told to"
        self._left = metrics.counter("scaffolder.action.left.count", left, ("action",))
        self._known: dict[str, set[str]] = {}
        """Templates, and their steps, that there are figures of."""

    def task(self, template: str, result: Result, seconds: float) -> None:
        """A run has ended."""
        template, _ = self._named(template, "")
        self._tasks.inc(template=template, result=result)
        self._task_time.observe(seconds, template=template, result=result)

    def step(self, template: str, name: str, result: Result, seconds: float) -> None:
        """A step has. What is skipped is not counted, only timed, as upstream does."""
        template, name = self._named(template, name)
        if result != "skipped":
            self._steps.inc(template=template, step=name, result=result)
        self._step_time.observe(seconds, template=template, step=name, result=result)

    def _named(self, template: str, step: str) -> tuple[str, str]:
        """Names as they are told in figures."""
        template, step = template[:_LONGEST_NAME], step[:_LONGEST_NAME]
        if template not in self._known and len(self._known) >= _MOST_TEMPLATES:
            return _OTHER, _OTHER
        steps = self._known.setdefault(template, set())
        if step not in steps and len(steps) >= _MOST_STEPS:
            return template, _OTHER
        steps.add(step)
        return template, step

    def left_behind(self, action: str) -> None:
        """A call of an action did not end when it was told to."""
        self._left.inc(action=action)


class Audit:
    """The audit records of runs, as upstream's auditor writes them: log lines with `isAuditEvent`."""

    def __init__(self, log: logging.Logger, longest: int = _LONGEST_PARAMETER) -> None:
        """`longest`: characters of a text that is quoted; -1: all."""
        self._log, self._longest = log, longest

    def claimed(self, task: Task) -> Callable[[Outcome], None]:
        """A run begins; returns what is to be told how it ended."""
        about = self._about(task)
        self._write("initiated", about)
        return partial(self._ended, about)

    def _ended(self, about: Mapping[str, Any], outcome: Outcome) -> None:
        if outcome.status == "completed":
            return self._write("succeeded", about)
        error = dict(outcome.error or {})
        return self._write("failed", about, f" {error.get('message', '')}", {"error": error})

    def _about(self, task: Task) -> dict[str, Any]:
        about = {
            "actionType": "execution",
            "createdBy": task.created_by,
            "taskId": task.id,
            "taskParameters": self._quoted(task),
            "templateRef": template_of(task.spec),
        }
        return {name: value for name, value in about.items() if value is not None}

    def _quoted(self, task: Task) -> Any:
        """The parameters of a task without its secrets; nothing where there are very many of either."""
        parameters = task.spec.get("parameters")
        secrets = secrets_of(task) if parameters else []
        if not little(parameters) or not few(secrets, _MOST_SECRET):
            return _CUT
        told = Redactor(secrets).redact_tree(parameters)
        return shortened(told, self._longest) if self._longest >= 0 else told

    def _write(
        self, status: str, about: Mapping[str, Any], told: str = "", more: Mapping[str, Any] | None = None
    ) -> None:
        record = {
            "isAuditEvent": True,
            "eventId": "task",
            "severityLevel": "medium",
            "status": status,
            "actor": {"actorId": "plugin:scaffolder"},
            "meta": about,
        }
        self._log.info("scaffolder.task%s", told, extra={**record, **(more or {})})


def watch(task: Task, meters: Meters, audit: Audit) -> Callable[[Outcome], None]:
    """A run begins (`worker.Watch`); both are told how it ended."""
    began, audited = perf_counter(), audit.claimed(task)

    def ended(outcome: Outcome) -> None:
        audited(outcome)
        result: Result = "ok" if outcome.status == "completed" else "failed"
        meters.task(template_of(task.spec), result, perf_counter() - began)

    return ended


def shortened(value: Any, longest: int) -> Any:
    """JSON with each text cut, worded as upstream."""
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}{_CUT}"
    if isinstance(value, list):
        return [shortened(inner, longest) for inner in value]
    return {key: shortened(inner, longest) for key, inner in value.items()} if isinstance(value, dict) else value


def template_of(spec: Mapping[str, Any]) -> str:
    """The reference of the template that a task was made from; empty if it was made from none."""
    return str((spec.get("templateInfo") or {}).get("entityRef") or "")
