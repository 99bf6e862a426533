"""The policy by which Prefect keeps results: by the keys of steps.py, and only what the store vouches for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore

from tasks.store.artifacts import Artifact
from tasks.store.keys import Key

KeyFunction = Callable[..., Key]


@dataclass
class ArtifactPolicy(CachePolicy):
    """A task's key is its step's key. An artifact that is missing or altered is never a hit.

    Prefect keeps a record per key that points to the artifact; before each call it is made to say what the
    store says, whichever process and result storage made the artifact. `key_of` takes the task's parameters
    by their names.
    """

    kind: str = ""
    key_of: KeyFunction | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """Give the name of the record of this call."""
        if self.key_of is None:
            raise TypeError("ArtifactPolicy needs key_of")
        key = self.key_of(**{name: inputs[name] for name in signature(self.key_of).parameters})
        kind = self.kind.format(**inputs)
        name = f"{kind}-{key.digest}".replace("/", "-")
        found: Artifact | None = inputs["place"].store.find(kind, key)
        if found is None:
            forget(task_ctx.result_store, name)
        elif recorded(task_ctx.result_store, name) != found:
            task_ctx.result_store.write(found, key=name)
        return name


def recorded(results: ResultStore, name: str) -> Any:
    """Give what Prefect's record of a key holds; None where there is no record, or a damaged one."""
    return results.read(name).result if results.exists(name) else None


def forget(results: ResultStore, name: str) -> None:
    """Remove Prefect's record of a key."""
    storage = results.result_storage
    if not isinstance(storage, LocalFileSystem):
        raise TypeError(f"results have to be kept in a folder, not in {type(storage).__name__}")
    Path(storage.basepath or "").expanduser().joinpath(name).unlink(missing_ok=True)
