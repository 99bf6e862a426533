"""The way back: an earlier version goes into production again.

python flows/rollback.py [--to VERSION]
"""

from __future__ import annotations

if __name__ == "__main__":
    # As in deliver.py: --help and a wrong value are answered before Prefect is imported.
    import sys

    import environment  # type: ignore[import-not-found]

    environment.enter("rollback")
    from flows.__main__ import command

    sys.exit(command(["rollback", *sys.argv[1:]]))

import os
from pathlib import Path

from prefect import flow

from flows.logs import set_up_logs
from settings.delivery import Delivery
from settings.errors import WrongInput
from settings.hyperparameters import JudgingSettings, ServingSettings
from settings.places import read_places
from tasks.prepare import check_runtime
from tasks.promote import Promotion, promote
from tasks.release.registry import Registry
from tasks.stopping import should_stop, stop_in_order
from tasks.store.lock import run_lock
from tasks.workplace import open_workplace

DEFAULTS = Delivery()


@flow(
    name="rollback", flow_run_name="rollback-{serving.name}", persist_result=False, result_serializer="json"
)
def rollback(
    to: int = 0,
    why: str = "",
    judging: JudgingSettings = DEFAULTS.judging,
    serving: ServingSettings = DEFAULTS.serving,
) -> Promotion:
    """Put version `to` into production (0: the one that was there before), and probe it there.

    Of `judging`, the probe takes the tolerances.
    """
    set_up_logs()
    place = open_workplace(read_places(os.environ, Path.cwd()), serving.name)
    with stop_in_order(), run_lock(place.store.models_root, what="a rollback", should_stop=should_stop):
        check_runtime(place.backend, serving)
        place.backend.check("production")
        present = place.version_in_production()
        version = to or version_before(place.registry, present)
        if not place.registry.is_promoted(version):
            place.registry.folder(version)  # an unknown version is named as such
            raise WrongInput(f"version {version} was never promoted: deliver it through its gates")
        reason = why or f"went back from version {present or 'none'}"
        return promote(place, version, judging, serving, reason, None, False, "rolled back")


def version_before(registry: Registry, present: int) -> int:
    """Give the version that was in production before the present one; WrongInput where there was none."""
    served = registry.history.served()
    before = served[: served.index(present)] if present in served else served
    if not before:
        raise WrongInput(f"there is no earlier version of {registry.name} in production to go back to")
    return before[-1]
