"""The way back as a flow, for a deployment: an earlier version goes into production again.

python flows/rollback.py [--to VERSION] does the same without Prefect.
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
from settings.hyperparameters import JudgingSettings, ServingSettings
from settings.places import read_places
from tasks.actor import actor
from tasks.production import Promotion
from tasks.rollback import go_back
from tasks.stopping import stop_in_order
from tasks.workplace import open_workplace

NAME = "MODEL_NAME"  # of the model whose deployment this is
JUDGING, SERVING = JudgingSettings(), ServingSettings()


@flow(
    name="rollback", flow_run_name="rollback-{serving.name}", persist_result=False, result_serializer="json"
)
def rollback(
    to: int = 0,
    why: str = "",
    judging: JudgingSettings = JUDGING,
    serving: ServingSettings = SERVING,
) -> Promotion:
    """Put version `to` into production (0: the one that was there before), and probe it there.

    Where `serving` has no name, it is a version of the model that the deployment is for. At once, also while
    a delivery runs. `why` is for the history; of `judging`, the probe takes the tolerance.
    """
    set_up_logs()
    with stop_in_order():
        named = "name" in serving.model_fields_set
        name = serving.name if named else os.environ.get(NAME) or serving.name
        place = open_workplace(read_places(os.environ, Path.cwd()), name, actor())
        return go_back(place, to, why, judging, serving)
