"""A task -> its outcome: each step is planned, called, and what came of it written down before the next begins."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import msgspec

from greenroom.auth import Credentials
from greenroom.errors import GreenroomError, error_name
from greenroom.permissions import Permission, Permissions
from greenroom.plugin import TemplateInfo
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.settings import Environment
from greenroom_scaffolder.tasks import steps
from greenroom_scaffolder.tasks.acting import GRACE, Act, contained
from greenroom_scaffolder.tasks.answers import converted, measured, plain, said
from greenroom_scaffolder.tasks.context import Allowance, Frame, StepContext
from greenroom_scaffolder.tasks.expressions import Renderer, little, quick
from greenroom_scaffolder.tasks.hiding import HidingJournal, UnkeptSecretsError, secrets_of
from greenroom_scaffolder.tasks.keeping import TOO_LARGE, Keeper
from greenroom_scaffolder.tasks.meters import Meters, Result, template_of
from greenroom_scaffolder.tasks.programs import ProgramLimits
from greenroom_scaffolder.tasks.removals import Removals
from greenroom_scaffolder.tasks.scribe import LONGEST_MESSAGE, LogLimits, Scribe, StepLog, error_body, shortened
from greenroom_scaffolder.tasks.steps import Call, Round, Scope, Skip, StandIn, Step
from greenroom_scaffolder.tasks.task import Checkpoint, Journal, Outcome, StepState, StepStatus, Task
from greenroom_scaffolder.templates.options import StepOptions, step_options
from greenroom_scaffolder.templating import Engine
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.redaction import Redactor, few
from greenroom_scaffolder.workspace.threads import MOST_LEFT, Threads, aside, in_thread, working_in

T = TypeVar("T")

log = logging.getLogger("greenroom.scaffolder")

EXECUTE = Permission("scaffolder.action.execute", resource_type="scaffolder-action")
"""May who started the task have actions run?"""
THREADS, DRY_THREADS = 10, 4
"""For what tasks do, all together, and for what is tried out."""
MANY_LEFT = 10
"""Calls that do not end in their threads, of which health tells."""
BREATH = 50
"""Steps, and rounds of a step, after which others have their turn, though none of them waited for anything."""
LONGEST_PAUSE = 3600.0
"""Seconds: no service that asks for more time before the next attempt is waited for longer."""


class CancelledStepError(GreenroomError):
    """The task was cancelled"""


class SlowStepError(GreenroomError):
    """The step took longer than it may"""

    name = "TimeoutError"


class InterruptedStepError(GreenroomError):
    """The step was interrupted"""


class UnkeptWorkspaceError(GreenroomError):
    """The task cannot go on: its workspace was larger than what is kept. It can begin anew"""


class Bounds(msgspec.Struct, frozen=True):
    """How much a run may do."""

    log: LogLimits = LogLimits()
    quota: Quota = Quota()
    programs: ProgramLimits = ProgramLimits()
    answer: int = 10 * 1024 * 1024
    """Characters of what one step answers, or the task itself."""
    answers: int = 50 * 1024 * 1024
    """Characters of what all steps answer, and as many of what their checkpoints remember."""
    grace: float = GRACE
    """Seconds for an action to end once it is told to."""


class Runner:
    """Runs tasks, any number at a time."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        root: Path,
        *,
        environment: Environment | None = None,
        permissions: Permissions | None = None,
        meters: Meters | None = None,
        bounds: Bounds | None = None,
        removals: Removals | None = None,
        verbose: bool = False,
    ) -> None:
        """`root` is where workspaces are made. Without `permissions` everybody may run every action. Without `removals` a run ends
        when its workspace is gone. `verbose`: what actions log at level debug is shown too."""
        self.registry, self.engine, self.root = registry, engine, root
        self.environment = environment or Environment()
        self._redactor = Redactor(self.environment.secrets.values())
        self.permissions, self.meters = permissions, meters
        self.bounds = bounds or Bounds()
        self.removals = removals or Removals()
        self.verbose = verbose
        self.threads = Threads(THREADS, "greenroom-task", self.bounds.grace)
        self.dry_threads = Threads(DRY_THREADS, "greenroom-dry-run", self.bounds.grace)
        """Who tries templates out must not keep those waiting whose tasks are run."""
        self.left: set[asyncio.Task[Any]] = set()
        """Calls of actions that did not end when they were told to, and are still at it."""

    async def redactor(self, task: Task, *, dry: bool = False) -> Redactor:
        """One that knows the secrets of the environment, and those that the task has or had in an earlier run."""
        known, secrets = self._redactor.copy(), secrets_of(task)
        if few(secrets):
            known.learn(secrets)
            return known
        with working_in(self.dry_threads if dry else self.threads):
            await in_thread(lambda: known.learn(secrets))
        return known

    async def run(self, task: Task, journal: Journal, cancelled: asyncio.Event | None = None) -> Outcome:
        """Run a task to its end; the caller writes the outcome down. Setting `cancelled` ends it soon.

        When this itself is cancelled the task is left as it is, for another worker. Raises what `journal.durable` raises; whatever
        an action raises is the failure of its step."""
        return await Run(self, task, journal, cancelled or asyncio.Event(), await self.redactor(task)).outcome()

    async def trouble(self) -> str | None:
        """What keeps threads, and gives nothing for it (for a `Check`)."""
        left = self.threads.left + self.dry_threads.left
        if left < MANY_LEFT:
            return None
        return (
            f"{left} calls of actions go on in threads though they were told to end. Beyond {MOST_LEFT}, tasks wait for them. "
            "The log names those that were left behind; a restart ends them"
        )


class Run:
    """One attempt at one task."""

    extra = 0
    """Steps that are counted where the log tells how many there are, and are none of the spec's."""

    def __init__(
        self,
        runner: Runner,
        task: Task,
        journal: Journal,
        cancelled: asyncio.Event,
        known: Redactor,
        *,
        dry: bool = False,
    ) -> None:
        """`known` knows all secrets (`Runner.redactor`)."""
        self._runner, self._task, self._cancelled, self._dry = runner, task, cancelled, dry
        environment, bounds = runner.environment, runner.bounds
        self._journal = HidingJournal(journal, task, environment.secrets, bounds.answer)
        self._name = f"dry-run-{task.id}" if dry else task.id
        self._outputs = known
        """Takes secrets in all their forms out of a text, and nothing else."""
        self.redactor = known.copy()
        self._scope = Scope(self._name, task.spec, task.secrets, environment)
        guarded = self._scope.guarded or bool(self._journal.before.secrets)
        self._scribe = Scribe(self._journal, self.redactor, bounds.log, guarded=guarded, verbose=runner.verbose)
        self.keeper = Keeper(runner.root, self._name, bounds.quota)
        self._frame = Frame(
            task_id=task.id,
            workspace_name=self._name,
            secrets=task.secrets,
            template=msgspec.convert(task.spec.get("templateInfo") or {"entityRef": ""}, TemplateInfo),
            user=task.spec.get("user") or None,
            initiator=task.initiator,
            dry_run=dry,
            keeper=self.keeper,
            scribe=self._scribe,
            journal=self._journal,
            checkpoints=task.state.checkpoints,
            durable=self._durable,
            most=bounds.answer,
            allowance=Allowance(bounds.answers),
            programs=bounds.programs,
        )
        self._template = template_of(task.spec)
        self._first: Mapping[str, Any] | None = None
        """The error of the first step that failed."""
        self.error: Exception | None = None
        """The same, as it was raised, where it was raised in this attempt."""
        self._room = bounds.answers
        self._allowed = True
        self._unsettled = False
        """Whether something was finished that must not be done again, and is not yet known to be written down."""
        self._broken = False
        self._acting: Act[Any] | None = None
        self._left: list[asyncio.Task[Any]] = []
        """Calls of this run that were left behind: they may still use the workspace."""

    async def outcome(self) -> Outcome:
        """All of it. What was made for it is gone then."""
        with working_in(self._runner.dry_threads if self._dry else self._runner.threads):
            return await self._outcome()

    async def _outcome(self) -> Outcome:
        watch = None if self._dry else asyncio.ensure_future(self._watch())
        try:
            return await self._all()
        except Exception as error:
            if self._broken:
                raise
            self.error = self.error or error
            return self._failed_outcome(error)
        finally:
            if watch is not None:
                watch.cancel()
            await self._runner.removals.remove(self.keeper, self._left)

    async def _all(self) -> Outcome:
        spec = self._task.spec
        if spec.get("apiVersion") != "scaffolder.backstage.io/v1beta3":
            raise UnsupportedTemplateError(f"Unsupported Template apiVersion {spec.get('apiVersion')}")
        await self._hide(self._journal.before.texts)
        await self._restore()
        todo: Sequence[Step] = spec["steps"]
        self._scribe.tell(f"Starting up task with {len(todo) + self.extra} steps")
        if self._runner.permissions and todo and isinstance(self._task.initiator, Credentials):
            self._allowed = await self._runner.permissions.allows(self._task.initiator, EXECUTE)
        if finished := sum(known.status == "completed" for known in self._task.state.steps.values()):
            self._scribe.tell(
                f"Task recovered - resuming from last known good state. {finished} step(s) already completed."
            )
        for number, (step, place) in enumerate(zip(todo, steps.places(todo), strict=True), 1):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            await self._step(step, place, last=number == len(todo))
        if self._first is not None:
            return Outcome("failed", error=self._first)
        await self._wind_up()
        return Outcome("completed", output=await self._output())

    async def _wind_up(self) -> None:
        """All steps went well."""

    async def _output(self) -> Mapping[str, Any]:
        """Without the secrets, in all their forms, but with texts that were rendered with one: a link must not break because one
        word of it came from a secret."""
        template, renderer = self._task.spec.get("output") or {}, Renderer(self._runner.engine)
        rendered = await _aside(quick({"output": template}), lambda: steps.output(template, self._scope, renderer))

        def told() -> Mapping[str, Any]:
            answer = plain(rendered, self._runner.bounds.answer, "The output of the task")
            shown: Mapping[str, Any] = self._outputs.redact_tree(answer) if answer else {}
            return shown

        return await _aside(little(rendered), told)

    async def _restore(self) -> None:
        if not self._task.resumed:
            return
        unkept = self._task.state.checkpoints.get(TOO_LARGE)
        if unkept is not None and unkept.value:
            raise UnkeptWorkspaceError
        if not self._journal.before.whole:
            raise UnkeptSecretsError
        await self.keeper.restore(self._task.workspace)

    # --- a step ----------------------------------------------------------------------------------------------------

    async def _step(self, step: Step, place: str, *, last: bool) -> None:
        known = self._task.state.steps.get(place)
        if known is not None and known.status == "completed":
            return self._recall(step, known)
        if known is not None and known.status in ("failed", "cancelled"):  # in this run, whose worker was lost later
            return self._keep_first(known.error or {})
        if self._scope.failed and (held := await self._held_back(step)):
            return self._scribe.tell(held.reason, step["id"], "skipped")
        began = perf_counter()
        self._scribe.tell(f"Beginning step {step['name']}", step["id"], "processing")
        result: Result = "failed"
        begins = not self._cancelled.is_set()  # what is cancelled before has no failure of its own
        try:
            result = await self._do(step, place, known, last=last)
        except Exception as error:
            if self._broken:
                raise
            told = error_body(error_name(error), said(error), self.redactor)
            if begins:
                self._write_failure(step, place, error, told)
            self._has_failed(step, error, told)
        if self._runner.meters:
            self._runner.meters.step(self._template, step["name"], result, perf_counter() - began)
        return None

    def _recall(self, step: Step, known: StepState) -> None:
        self._scope.learn(step["id"], known.output or {})
        self._scribe.tell(
            f"Skipping step {step['id']} because it was already completed in a previous run", step["id"], "completed"
        )

    async def _do(self, step: Step, place: str, known: StepState | None, *, last: bool) -> Result:
        """A step that has begun."""
        self._refuse_cancelled(step)
        plan = await self._plan(step)
        if isinstance(plan, Skip):
            self._scribe.tell(plan.reason, step["id"], "skipped")
            return "skipped"
        if isinstance(plan, StandIn):
            return self._stand_in(step, plan)
        output = await self._call(step, place, plan, known)
        self._refuse_cancelled(step)
        if not last or self._scope.failed:
            await self._keep()
        self._finish(step, place, output)
        self._unsettled = self._unsettled or not plan.action.idempotent
        return "ok"

    async def _plan(self, step: Step) -> Skip | StandIn | Call:
        """What may take its time does not hold up everybody else."""
        renderer, registry = Renderer(self._runner.engine), self._runner.registry
        return await _aside(quick(step), lambda: steps.plan(step, self._scope, registry, renderer, dry_run=self._dry))

    async def _held_back(self, step: Step) -> Skip | None:
        renderer = Renderer(self._runner.engine)
        return await _aside(quick({"if": step.get("if")}), lambda: steps.held_back(step, self._scope, renderer))

    def _stand_in(self, step: Step, plan: StandIn) -> Result:
        self._scribe.line("info", plan.shown, step["id"])
        self._scribe.tell(plan.reason, step["id"], "skipped")
        self._scope.learn(step["id"], plan.output)
        return "ok"

    async def _call(self, step: Step, place: str, call: Call, known: StepState | None) -> Mapping[str, Any]:
        """All rounds of a step, but those that an earlier run has finished."""
        if call.shown is not None:
            self._scribe.line("info", call.shown, step["id"])
        self._journal.hide(call.hidden)
        await self._hide(call.hidden)
        options = step_options(step)
        await self._check(call)
        if known is not None and not call.action.idempotent:
            raise InterruptedStepError(_caught(step))
        answers = []
        for number, one in enumerate(call.rounds, 1):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            answers.append(await self._round(step, place, call, one, options))
        return _gathered(answers) if call.each else answers[0]

    async def _hide(self, texts: Sequence[str]) -> None:
        """These were rendered with secrets: nothing that follows shows them."""
        await aside(self.redactor.soon(texts), lambda: self.redactor.update(texts))

    async def _check(self, call: Call) -> None:
        registry, allowed = self._runner.registry, self._allowed
        inputs = [one.input for one in call.rounds]
        await _aside(little(inputs), lambda: steps.check(call, registry, allowed=allowed))

    async def _round(self, step: Step, place: str, call: Call, one: Round, options: StepOptions) -> Mapping[str, Any]:
        here = place if one.key is None else steps.place_of_round(place, one.key)
        if one.key is not None and (finished := self._task.state.checkpoints.get(here)) is not None:
            answer: Mapping[str, Any] = finished.value
            return answer
        if call.each:
            self._scribe.line("info", one.line(), step["id"])
        if not one.runs:
            return {}
        answer = await self._tried(step, place, here, call, one, options)
        if call.each and not call.action.idempotent:
            await self._keep()
            self._journal.checkpoint(here, Checkpoint(answer))
        return answer

    async def _tried(
        self, step: Step, place: str, here: str, call: Call, one: Round, options: StepOptions
    ) -> Mapping[str, Any]:
        given = converted(
            one.input, call.action.input, call.action.id if one.key is None else f"{call.action.id}[{one.key}]"
        )
        context = StepContext(self._frame, given, here, step["id"], step["name"])
        attempt, before = 1, len(self._left)
        while True:
            await self._before(place, call, attempt)
            try:
                answer = await self._within(step, options.timeout, lambda: call.action.run(context))
                return await self._answer(answer)
            except Exception as error:
                final = attempt >= options.retry.attempts or isinstance(error, CancelledStepError)
                under_way = any(not left.done() for left in self._left[before:])
                if final or self._broken or under_way:  # two attempts at a time are none
                    raise
                await self._pause(step, options, attempt, error)
                attempt += 1

    async def _before(self, place: str, call: Call, attempt: int) -> None:
        """What must not be done twice waits until it is written down that it begins; with it goes all that was finished."""
        if not call.action.idempotent:
            self._journal.step(place, StepState("processing", attempts=attempt))
        if self._unsettled or not call.action.idempotent:
            await self._durable()
            self._unsettled = False

    async def _answer(self, answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
        most = min(self._runner.bounds.answer, self._room)
        made, size = await _aside(little(answer), lambda: measured(answer or {}, most, "The output"))
        self._room -= size
        if not isinstance(made, dict):
            raise TypeError(f"The action answered something of type {type(answer).__name__} instead of its outputs")
        return made

    async def _pause(self, step: Step, options: StepOptions, attempt: int, error: Exception) -> None:
        asked = getattr(error, "retry_after", None)
        pause = max(
            options.retry.delay_after(attempt), min(asked, LONGEST_PAUSE) if isinstance(asked, int | float) else 0
        )
        StepLog(self._scribe, step["id"]).warn(
            f"Attempt {attempt} of {options.retry.attempts} failed: {error_name(error)}: {said(error)}; "
            f"the next follows in {pause:g} s"
        )
        await self._within(step, None, lambda: asyncio.sleep(pause))

    def _finish(self, step: Step, place: str, output: Mapping[str, Any]) -> None:
        self._scope.learn(step["id"], output)
        self._journal.step(place, StepState("completed", output=output))
        self._scribe.tell(f"Finished step {step['name']}", step["id"], "completed")

    async def _keep(self) -> None:
        """Of a dry run nothing is kept; it may hold no more than others."""
        if self._dry:
            await self.keeper.check()
        else:
            await self.keeper.keep(self._journal, self._frame.checkpoints)

    # --- what goes wrong -------------------------------------------------------------------------------------------

    def _write_failure(self, step: Step, place: str, error: Exception, told: Mapping[str, Any]) -> None:
        self._scribe.tell(_stack(told), step["id"], "failed")
        status: StepStatus = "cancelled" if isinstance(error, CancelledStepError) else "failed"
        self._journal.step(place, StepState(status, error=told))
        if not isinstance(error, GreenroomError):
            trace = shortened("".join(traceback.format_exception(error)), LONGEST_MESSAGE, self.redactor)
            trace = self.redactor.redact(trace)
            log.warning("Task %s: step %s failed\n%s", self._task.id, step["id"], trace)

    def _has_failed(self, step: Step, error: Exception, told: Mapping[str, Any]) -> None:
        if self._first is not None:
            self._scribe.tell(f"Additional error occurred: {told['message']}\n{_stack(told)}", step["id"], "failed")
        self.error = self.error or error
        self._keep_first(told)

    def _keep_first(self, told: Mapping[str, Any]) -> None:
        self._first = self._first if self._first is not None else told
        self._scope.failed = True

    def _failed_outcome(self, error: Exception) -> Outcome:
        return Outcome("failed", error=self._first or error_body(error_name(error), said(error), self.redactor))

    def _refuse_cancelled(self, step: Step) -> None:
        if self._cancelled.is_set():
            raise CancelledStepError(f"Step {step['id']} ({step['name']}) of task {self._task.id} has been cancelled.")

    async def _durable(self) -> None:
        """What cannot be written down any more ends the run, not just a step."""
        try:
            await self._journal.durable()
        except Exception:
            self._broken = True
            raise

    # --- being cancelled -------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        await self._cancelled.wait()
        if self._acting is not None:
            self._acting.stop()

    async def _within(self, step: Step, seconds: float | None, work: Callable[[], Awaitable[T]]) -> T:
        """Do what may take long. Raises CancelledStepError, SlowStepError; being cancelled from outside is passed on."""
        self._refuse_cancelled(step)
        act: Act[T] = Act(work)
        self._acting = act
        try:
            await act.over(seconds)
            if act.done:
                return act.answer()
        finally:
            self._acting = None
            if not act.done:
                await self._end(step, act)
        self._refuse_cancelled(step)
        raise SlowStepError(f"Step {step['id']} ({step['name']}) took longer than {seconds:g} s")

    async def _end(self, step: Step, act: Act[Any]) -> None:
        """What does not end keeps its workspace, but neither the task nor its slot."""
        try:
            await act.end(self._runner.bounds.grace)
        finally:
            if not act.done:
                self._leave(step, act.job)
        if not act.done:
            told = (
                f"{step['action']} does not end although it was told to. It is left behind, and may still do something"
            )
            StepLog(self._scribe, step["id"]).warn(told)

    def _leave(self, step: Step, job: asyncio.Task[Any]) -> None:
        log.error(
            "Task %s: %s of step %s does not heed its end: left behind", self._task.id, step["action"], step["id"]
        )
        self._left.append(job)
        self._runner.left.add(job)
        job.add_done_callback(self._runner.left.discard)
        if self._runner.meters:
            self._runner.meters.left_behind(step["action"])


class UnsupportedTemplateError(GreenroomError):
    """The template is of a version that cannot be run"""


async def _aside(passing: bool, work: Callable[[], T]) -> T:
    """Do what nobody notices in passing, and all else in a thread. Filters are others' work, as actions are."""

    def done() -> T:
        with contained():
            return work()

    return await aside(passing, done)


def _gathered(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The outputs of all rounds: of each name, the list of what was answered."""
    output: dict[str, Any] = {}
    for answer in rounds:
        for name, value in answer.items():
            output.setdefault(name, []).append(value)
    return output


def _caught(step: Step) -> str:
    return (
        f"Step {step['id']} ({step['name']}) was interrupted when its worker was lost. How far {step['action']} had come is not "
        "known, and it may not simply be run again. Look at what it did; retrying the task goes on from this step"
    )


def _stack(told: Mapping[str, Any]) -> str:
    """An error as clients show it in a step's log. Upstream adds where in its own code it was raised."""
    return f"{told['name']}: {told['message']}"
