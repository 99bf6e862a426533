"""The question of a judging: this release, against these versions, on these sets, by these rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from settings.hyperparameters import DataSettings, JudgingSettings, ServingSettings
from settings.model import Description, OwnGate
from tasks.machine import this_machine
from tasks.release.champions import Rival
from tasks.steps import CODE, described, used
from tasks.store.artifacts import Artifact
from tasks.store.functions import reach
from tasks.store.keys import Key, make_key


@dataclass(frozen=True)
class Question:
    """What decides a verdict, apart from where it is reached."""

    version: int
    release: Artifact
    rivals: tuple[Rival, ...]
    dataset: Artifact
    description: Description  # of its rows
    sets: Mapping[str, Artifact]  # the outlier sets by name
    primary: str  # of the sets, that which the gates look at
    wanted: str  # which one it was to be
    primary_is_made: bool  # since no outliers were given
    data: DataSettings
    judging: JudgingSettings
    serving: ServingSettings
    gates: tuple[OwnGate, ...] = ()  # of the model's own

    @property
    def key(self) -> Key:
        """Key of the verdict. Where a latency is required, the machine that measures it is part of it."""
        inputs = {"release": self.release.digest, "dataset": self.dataset.digest}
        inputs |= {f"rival {rival.version}": rival.digest for rival in self.rivals}
        inputs |= {f"set {name}": made.digest for name, made in self.sets.items()}
        roles = {rival.version: dict(rival.roles) for rival in self.rivals}
        own = {gate.name: (gate.minimum, gate.maximum, gate.needs) for gate in self.gates}
        code = reach([gate.measure for gate in self.gates])
        every = [name for name in JudgingSettings.model_fields if name != "request_images"]
        return make_key(
            modules=CODE["verdict"],
            inputs=inputs,
            settings={
                "primary": self.primary,
                "wanted": self.wanted,
                "made": self.primary_is_made,
                "rivals": roles,
            }
            | ({"gates": own} if own else {})
            | ({"machine": this_machine()} if self.judging.max_latency_ms > 0 else {})
            | described(self.description)
            | used("data", self.data, "held_out", "limit")
            | used("judging", self.judging, *every)
            | used("serving", self.serving, "runtime"),
            libraries=sorted({"ai-edge-litert", "numpy", "orjson", "tensorflow", *code.libraries}),
            code=code.digests,
        )

    def scores_key(self, digest: str) -> Key:
        """Key of what the release of a digest answers, through a server, for all sets of the question."""
        inputs = {"release": digest, "dataset": self.dataset.digest}
        runtime = "ai-edge-litert" if self.serving.runtime == "litert" else "tensorflow"
        return make_key(
            modules=CODE["scores"],
            inputs=inputs | {f"set {name}": made.digest for name, made in self.sets.items()},
            settings=used("data", self.data, "limit") | used("serving", self.serving, "runtime"),
            libraries=["numpy", "orjson", runtime],
        )
