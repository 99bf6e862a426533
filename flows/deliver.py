"""The one command: from nothing to a judged model in production.

python flows/deliver.py --help
"""

from __future__ import annotations

if __name__ == "__main__":
    # The settings are read before Prefect is imported, so --help and a wrong value are answered at once.
    import sys

    import environment  # type: ignore[import-not-found]  # of this folder: nothing else may be installed

    environment.enter("deliver")
    from flows.__main__ import command

    sys.exit(command(["deliver", *sys.argv[1:]]))

import inspect
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from prefect import Flow, flow, get_run_logger
from pydantic import BaseModel, ConfigDict

from flows.logs import set_up_logs
from settings.command_line import Until
from settings.delivery import Delivery, Parameters, contradictions
from settings.errors import GateFailed, NotPromoted, Overruled, WrongInput
from settings.model import Model
from settings.modules import find_model
from settings.places import read_places
from tasks.actor import actor
from tasks.channels.rollout import bring_back
from tasks.compatibility import check_contract
from tasks.export import export
from tasks.fetch import gather
from tasks.judge import ask, judge, note_verdict
from tasks.judging.receipt import Outcome
from tasks.judging.verdict import load_verdict
from tasks.mend import mend_production
from tasks.models.builtin import BUILT_IN
from tasks.observer import await_running
from tasks.own_sets import bring_sets
from tasks.prepare import prepare
from tasks.production import decision_against, look_at
from tasks.promote import promote, refusal, standing
from tasks.prune import prune_after
from tasks.release.promise import promised
from tasks.report import report
from tasks.stage import stage
from tasks.stopping import sheltered, should_stop, stop_in_order
from tasks.store.lock import data_lock, run_lock
from tasks.timeline import Entry, Timeline
from tasks.train import train
from tasks.trial import try_out
from tasks.workplace import open_workplace, other_registries


class Delivered(BaseModel):
    """What a delivery did, as far as it went."""

    model_config = ConfigDict(frozen=True)

    name: str
    until: Until
    timeline: tuple[Entry, ...]
    version: int
    stage_url: str | None = None  # set when the stage is left running
    production_url: str | None = None
    receipt: Path | None = None  # the folder


def deliver_model(model: Model, delivery: Delivery, until: Until, force: bool, why: str) -> Delivered:
    """Train the networks of a model, export, stage, judge, and promote what passes every gate.

    `until` stops earlier. `force` promotes in spite of a failed gate, or of a rollback that took the version
    back; the history says who did it, and `why`.
    """
    set_up_logs()
    if wrong := list(contradictions(delivery, {})):
        raise WrongInput("\n".join(wrong))
    get_run_logger().info("settings: %s", delivery.as_json())
    name, serving = delivery.serving.name, delivery.serving
    places = read_places(os.environ, Path.cwd())
    place, others = open_workplace(places, name, actor()), other_registries(places, name)
    timeline = Timeline()
    done = partial(Delivered, name=name, until=until)

    with (
        stop_in_order(),
        run_lock(place.store.models_root, what="a delivery", should_stop=should_stop),
    ):
        bring_sets(model, (delivery.data.train, *delivery.data.outliers), place.store.data_root)
        prepare(place, delivery, others)
        mend_production(place)
        seen = look_at(place)  # what an operator does to production from here on stands
        if until != "promoted":
            bring_back(place.backend, should_stop=should_stop)
        with data_lock(place.store.data_root, should_stop=should_stop):
            gathered = gather(place, delivery.data, timeline, outliers=model.scorer is not None)
        delivery = replace(delivery, data=gathered.data)
        check_contract(place, promised(model, gathered.description), gathered.description.classes)
        if model.source is not None:
            timeline.run(try_out, place, model, delivery, gathered)
        trained = timeline.run_each(
            [train.with_options(name=f"train-{network.name}") for network in model.networks],
            [
                (place, network, delivery.networks[network.name], gathered.dataset, gathered.data)
                for network in model.networks
            ],
            # On one machine each training keeps all cores busy; pods of their own may stand on several nodes.
            at_once=place.runner == "kubernetes",
        )
        networks = {network.name: made for network, made in zip(model.networks, trained, strict=True)}
        release = timeline.run(export, place, model, delivery, gathered.dataset, networks)
        version = place.registry.add(place.store.folder(release), release.digest)
        if until == "exported":
            return done(version=version, timeline=timeline.entries)

        question, champion, on = ask(place, model, delivery, gathered, version, release)
        judged = place.store.find("verdict", question.key) is not None
        try:
            staged = timeline.run(stage, place, version, release, serving, not judged or until == "staged")
            if until == "staged":
                return done(version=version, stage_url=staged.url, timeline=timeline.entries)
            verdict = timeline.run(judge, place, question)
        finally:
            if until != "staged":
                with sheltered():
                    place.backend.remove("stage")

        note_verdict(place, question, verdict, champion, on)
        decided = load_verdict(place.store.folder(verdict))
        message = decided.message()
        against = decision_against(place, version, release.digest)
        outcome: Outcome = "judged" if until == "judged" else "promoted"
        refused: NotPromoted | None = None
        if not decided.passed:
            outcome, refused = "refused", GateFailed(refusal(place, version, message))
        elif against and until == "promoted":
            outcome, refused = "taken back", Overruled(standing(place, version, against))
        if refused and force and until == "promoted":
            outcome, refused = "forced", None
        url = None
        if outcome in ("promoted", "forced"):
            await_running(f"the promotion of version {version}", should_stop=should_stop)
            reason = "; ".join(filter(None, (message, against, why)))
            forced = outcome == "forced"
            try:
                url = timeline.run(
                    promote, place, version, delivery.judging, serving, reason, champion, forced, seen
                ).url
            except Overruled as overtaken:
                outcome, refused = "overtaken", overtaken
        else:
            bring_back(place.backend, should_stop=should_stop)
        receipt = timeline.run(
            report, place, version, release, verdict, outcome, gathered, delivery.as_json(), timeline
        )
        prune_after(place, serving.keep_versions, others)
        ended = done(version=version, production_url=url, receipt=receipt.folder, timeline=timeline.entries)
        if refused is not None:
            refused.outcome = ended
            raise refused
        return ended


def flow_of(model: Model) -> Flow[..., Delivered]:
    """Give the flow that delivers a model: its parameters are the stages of the model, and how far to go."""
    parameters = Parameters(model)

    def deliver(*, until: Until, force: bool, why: str, **stages: Any) -> Delivered:
        return deliver_model(model, parameters.delivery(stages), until, force, why)

    def parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)

    taken = [parameter(name, kind, kind()) for name, kind in parameters.stages.items()]
    run = [parameter("until", Until, "promoted"), parameter("force", bool, False), parameter("why", str, "")]
    deliver.__doc__ = deliver_model.__doc__
    deliver.__signature__ = inspect.Signature([*taken, *run])  # type: ignore[attr-defined]
    deliver.__annotations__ = {each.name: each.annotation for each in (*taken, *run)}
    made: Flow[..., Delivered] = flow(
        name="deliver",
        flow_run_name="deliver-{serving.name}",
        persist_result=False,
        result_serializer="json",
    )(deliver)
    return made


def __getattr__(name: str) -> Any:
    """Give `deliver`, the flow of the model that this process is for: what a deployment names."""
    if name != "deliver":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return flow_of(find_model((), environ=os.environ, folder=Path.cwd(), default=BUILT_IN))
