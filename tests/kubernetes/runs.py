"""Flow runs on the cluster: their states, logs, tasks and pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.kubernetes.asking import eventually

if TYPE_CHECKING:
    from tests.kubernetes.installation import Installation

# Kills what runs the flow, as the kernel does where memory runs out; the pod's first process goes on.
KILL_THE_ENGINE = """
import os, pathlib, signal
for process in pathlib.Path("/proc").iterdir():
    if process.name.isdigit() and process.name != str(os.getpid()):
        if b"prefect.engine" in (process / "cmdline").read_bytes():
            os.kill(int(process.name), signal.SIGKILL)
"""

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Run:
    """A flow run."""

    install: Installation
    id: str

    def read(self) -> dict[str, Any]:
        """Give what the Prefect server knows of it."""
        return dict(self.install.prefect("GET", f"/flow_runs/{self.id}"))

    @property
    def state(self) -> tuple[str, str]:
        """Its state's type, and the message."""
        state = self.read()["state"]
        return state["type"], state["message"] or ""

    def end(self, seconds: float = 180) -> tuple[str, str]:
        """Wait for its end; give the state's type and the message."""
        eventually(lambda: self.state[0] in FINAL, f"the end of {self.id}: {self.state}", seconds)
        return self.state

    def end_for_good(self, starts: int, seconds: float = 300) -> tuple[str, str]:
        """Wait for its end after so many starts: until then, a crash is not its end."""
        eventually(
            lambda: self.read()["run_count"] >= starts and self.state[0] in FINAL,
            f"{starts} starts of {self.id}: {self.state}",
            seconds,
        )
        return self.state

    def done(self) -> Run:
        """Wait for its end, which has to be a good one."""
        state, message = self.end()
        assert state == "COMPLETED", f"{state}: {message}\n{self.said}"
        return self

    @property
    def said(self) -> str:
        """Its log."""
        body = {
            "logs": {"flow_run_id": {"any_": [self.id]}},
            "sort": "TIMESTAMP_ASC",
            "limit": 200,
        }
        lines: list[str] = []
        while found := self.install.prefect("POST", "/logs/filter", json=body | {"offset": len(lines)}):
            lines += [line["message"] for line in found]
        return "\n".join(lines)

    @property
    def tasks(self) -> dict[str, str]:
        """The states of its tasks by name."""
        body = {"flow_runs": {"id": {"any_": [self.id]}}, "limit": 200}
        return {
            task["name"]: task["state"]["name"]
            for task in self.install.prefect("POST", "/task_runs/filter", json=body)
            if task["state"]
        }

    @property
    def ran(self) -> set[str]:
        """The tasks that computed something."""
        return {name for name, state in self.tasks.items() if state == "Completed"}

    def pods(self) -> list[str]:
        """The names of its pods that have not ended."""
        found = self.install.items("pods", "-l", f"prefect.io/flow-run-id={self.id}")
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] in ("Pending", "Running")]

    def kill_the_engine(self) -> None:
        """Kill the process that runs the flow, in its pod."""
        self.install.kubectl("exec", *self.pods(), "--", "python", "-c", KILL_THE_ENGINE)

    def wait_for(self, words: str, seconds: float = 120) -> None:
        """Wait until its log has the words."""
        eventually(lambda: words in self.said, f"{words!r} in the log of {self.id}: {self.state}", seconds)
