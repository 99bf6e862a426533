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

import os
from pathlib import Path

from prefect import flow, get_run_logger
from pydantic import BaseModel, ConfigDict

from flows.logs import set_up_logs
from settings.command_line import Until
from settings.delivery import Delivery, contradictions
from settings.errors import GateFailed, NotPromoted, Overruled, WrongInput
from settings.hyperparameters import (
    ClassifierSettings,
    ConceptSettings,
    DataSettings,
    JudgingSettings,
    ServingSettings,
)
from settings.places import read_places
from tasks.actor import actor
from tasks.channels.rollout import bring_back
from tasks.export import export
from tasks.fetch import gather
from tasks.judge import judge, note_verdict, rivals_of
from tasks.judging.receipt import Outcome
from tasks.judging.verdict import load_verdict
from tasks.mend import mend_production
from tasks.observer import await_running
from tasks.prepare import prepare
from tasks.production import decision_against, look_at
from tasks.promote import promote, refusal, standing
from tasks.prune import prune_after
from tasks.release.champions import champion_among, compared_on
from tasks.report import report
from tasks.stage import stage
from tasks.steps import verdict_key
from tasks.stopping import sheltered, should_stop, stop_in_order
from tasks.store.lock import data_lock, run_lock
from tasks.timeline import Entry, Timeline
from tasks.train import train_classifier, train_concept
from tasks.workplace import open_workplace, other_registries

DEFAULTS = Delivery()


class Delivered(BaseModel):
    """What a delivery did, as far as it went."""

    model_config = ConfigDict(frozen=True)

    name: str
    until: Until
    version: int | None = None
    stage_url: str | None = None  # set when the stage is left running
    production_url: str | None = None
    receipt: Path | None = None  # the folder
    timeline: tuple[Entry, ...] = ()


@flow(name="deliver", flow_run_name="deliver-{serving.name}", persist_result=False, result_serializer="json")
def deliver(
    data: DataSettings = DEFAULTS.data,
    classifier: ClassifierSettings = DEFAULTS.classifier,
    concept: ConceptSettings = DEFAULTS.concept,
    judging: JudgingSettings = DEFAULTS.judging,
    serving: ServingSettings = DEFAULTS.serving,
    until: Until = "promoted",
    force: bool = False,
    why: str = "",
) -> Delivered:
    """Train a classifier and a concept, export, stage, judge, and promote what passes every gate.

    `until` stops earlier. `force` promotes in spite of a failed gate, or of a rollback that took the version
    back; the history says who did it, and `why`.
    """
    set_up_logs()
    logger = get_run_logger()
    delivery = Delivery(data=data, classifier=classifier, concept=concept, judging=judging, serving=serving)
    if wrong := list(contradictions(delivery, {})):
        raise WrongInput("\n".join(wrong))
    settings = delivery.model_dump(mode="json")
    logger.info("settings: %s", settings)
    places = read_places(os.environ, Path.cwd())
    place, others = open_workplace(places, serving.name, actor()), other_registries(places, serving.name)
    timeline = Timeline()
    done = Delivered(name=serving.name, until=until)

    with (
        stop_in_order(),
        run_lock(place.store.models_root, what="a delivery", should_stop=should_stop),
    ):
        prepare(place, delivery, others)
        mend_production(place)
        seen = look_at(place)  # what an operator does to production from here on stands
        if until != "promoted":
            bring_back(place.backend, should_stop=should_stop)
        with data_lock(place.store.data_root, should_stop=should_stop):
            gathered = gather(place, data, timeline)
        dataset = gathered.dataset
        classifier_weights, concept_weights = timeline.run_all(
            (train_classifier, (place, dataset, data, classifier)),
            (train_concept, (place, dataset, data, concept)),
            # On one machine each training keeps all cores busy; pods of their own may stand on several nodes.
            at_once=place.runner == "kubernetes",
        )
        release = timeline.run(
            export, place, dataset, classifier_weights, concept_weights, data, concept, judging
        )
        version = place.registry.add(place.store.folder(release), release.digest)
        done = done.model_copy(update={"version": version, "timeline": tuple(timeline.entries)})
        if until == "exported":
            return done

        on = compared_on(dataset.digest, gathered.sets[gathered.primary].digest, data.limit)
        rivals = rivals_of(place, version, on) if judging.champion else ()
        champion = champion_among(rivals)
        judged_on = (
            release,
            rivals,
            dataset,
            gathered.sets,
            gathered.primary,
            data,
            judging,
            serving,
        )
        judged = place.store.find("verdict", verdict_key(*judged_on)) is not None
        try:
            staged = timeline.run(stage, place, version, release, serving, not judged or until == "staged")
            if until == "staged":
                return done.model_copy(update={"stage_url": staged.url, "timeline": tuple(timeline.entries)})
            verdict = timeline.run(judge, place, version, *judged_on)
        finally:
            if until != "staged":
                with sheltered():
                    place.backend.remove("stage")

        note_verdict(place, version, release, verdict, champion, on)
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
            try:
                promotion = timeline.run(
                    promote, place, version, judging, serving, reason, champion, outcome == "forced", seen
                )
                url = promotion.url
            except Overruled as overtaken:
                outcome, refused = "overtaken", overtaken
        else:
            bring_back(place.backend, should_stop=should_stop)
        receipt = timeline.run(
            report, place, version, release, verdict, outcome, gathered, settings, timeline
        )
        done = done.model_copy(
            update={"production_url": url, "receipt": receipt.folder, "timeline": tuple(timeline.entries)}
        )
        prune_after(place, serving.keep_versions, others)
        if refused is not None:
            refused.outcome = done
            raise refused
        return done
