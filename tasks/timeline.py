"""The timeline of a run: which task ran, which result was at hand, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.tasks import Task

from tasks.stopping import stop_here

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Entry:
    """One task of a run."""

    name: str
    how: str  # computed, cached, unchanged (all was as wanted), unreachable
    seconds: float
    note: str = ""


@dataclass
class Timeline:
    """The tasks of a run, in the order in which they ended."""

    entries: list[Entry] = field(default_factory=list)

    def run(self, task: Task[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Call a task, write down how it went, and give its result or raise its error.

        A result that says `changed=False` is of a task that found all as it is wanted. Raises Stopped where
        the run was asked to stop.
        """
        stop_here(task.name)
        start = time.perf_counter()
        state = cast("State[R]", cast("Any", task)(*arguments, **named, return_state=True))
        return self.take(task.name, state, time.perf_counter() - start)

    def run_each(
        self, tasks: Sequence[Task[..., R]], arguments: Sequence[tuple[Any, ...]], *, at_once: bool
    ) -> list[R]:
        """Call tasks, at the same time or in turn, each as `run` does; give their results in this order."""
        calls = list(zip(tasks, arguments, strict=True))
        if not at_once:
            return [self.run(task, *each) for task, each in calls]
        stop_here(" and ".join(task.name for task in tasks))
        start = time.perf_counter()
        futures = [task.submit(*each) for task, each in calls]
        seconds = []
        for future in futures:
            future.wait()
            seconds.append(time.perf_counter() - start)
        ended = zip(tasks, futures, seconds, strict=True)
        return [self.take(task.name, future.state, taken) for task, future, taken in ended]

    def take(self, name: str, state: State[R], seconds: float) -> R:
        """Write down how a task ended, and give its result or raise its error."""
        self.add(name, state, seconds)
        result = state.result()
        if getattr(result, "changed", True) is False:
            ended = self.entries[-1]
            self.entries[-1] = Entry(ended.name, "unchanged", ended.seconds, ended.note)
        return result

    def add(self, name: str, state: State[Any], seconds: float) -> None:
        """Write down a task that ended in `state`."""
        how = {"Cached": "cached", "Completed": "computed"}.get(state.name or "", (state.name or "").lower())
        note = state.message or "" if how not in ("cached", "computed") else ""
        self.entries.append(Entry(name, how, round(seconds, 2), note))
