"""The timeline of a run: which task ran, which result was at hand, and how long each took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.tasks import Task

from tasks.stopping import stop_here

Call = tuple[Task[..., Any], tuple[Any, ...]]
"""A task and its arguments."""


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

    def run(self, task: Task[..., Any], *arguments: Any) -> Any:
        """Call a task, write down how it went, and give its result or raise its error.

        A result that says `changed=False` is of a task that found all as it is wanted. Raises Stopped where
        the run was asked to stop.
        """
        stop_here(task.name)
        start = time.perf_counter()
        state = cast("State[Any]", task(*arguments, return_state=True))
        return self.take(task, state, time.perf_counter() - start)

    def run_all(self, *calls: Call, at_once: bool) -> list[Any]:
        """Call tasks, at the same time or in turn, each as `run` does; give their results in this order."""
        if not at_once:
            return [self.run(task, *arguments) for task, arguments in calls]
        stop_here(" and ".join(task.name for task, _ in calls))
        start = time.perf_counter()
        futures = [task.submit(*arguments) for task, arguments in calls]
        seconds = []
        for future in futures:
            future.wait()
            seconds.append(time.perf_counter() - start)
        ended = zip(calls, futures, seconds, strict=True)
        return [self.take(task, future.state, taken) for (task, _), future, taken in ended]

    def take(self, task: Task[..., Any], state: State[Any], seconds: float) -> Any:
        """Write down how a task ended, and give its result or raise its error."""
        self.add(task.name, state, seconds)
        result = state.result()
        if getattr(result, "changed", True) is False:
            self.entries[-1] = replace(self.entries[-1], how="unchanged")
        return result

    def add(self, name: str, state: State[Any], seconds: float) -> None:
        """Write down a task that ended in `state`."""
        how = {"Cached": "cached", "Completed": "computed"}.get(state.name or "", (state.name or "").lower())
        note = state.message or "" if how not in ("cached", "computed") else ""
        self.entries.append(Entry(name, how, round(seconds, 2), note))
