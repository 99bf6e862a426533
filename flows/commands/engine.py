"""Prefect for a flow that a command runs in its own process: its settings, and a server that answers."""

from __future__ import annotations

import gc
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.commands.temporary_server import start_temporary_server
from settings.errors import Stopped, Surroundings, WrongInput
from settings.places import Places
from tasks.stopping import origin
from tasks.store.lock import run_lock
from tasks.workplace import make_roots

ANSWER_SECONDS = 5.0
API_URL = "PREFECT_API_URL"


@contextmanager
def ready_prefect(places: Places, what: str) -> Iterator[None]:
    """Hold the run's lock and make Prefect ready to be used, with the user's server or a temporary one.

    The lock comes first: two temporary servers that start at once harm each other.
    """
    for name, value in engine_settings(places.models_root).items():
        os.environ.setdefault(name, value)
    if url := os.environ.get(API_URL):
        check_server(url)
    make_roots(places)
    with run_lock(places.models_root, what=what):
        with garbage_kept():
            find_server()
            from prefect.exceptions import TerminationSignal

            from flows.logs import say_errors_once

            say_errors_once()
        try:
            yield
        except TerminationSignal as terminated:  # what Prefect makes of SIGTERM
            raise origin(terminated, Stopped) or KeyboardInterrupt from None


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Collect no garbage while modules are imported: what they make stays, and to look for it takes long.

    What is there at the end of the block is not looked at again.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def find_server() -> None:
    """Import Prefect and let it use a server that answers: the one of its settings, else a temporary one."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url:  # of the environment or of Prefect's profile
        check_server(settings.api.url)
        return
    if not settings.server.ephemeral.enabled:
        raise Surroundings(
            f"no Prefect server is named, and Prefect's settings allow no temporary one: set {API_URL}"
        )
    print(f"starting a temporary Prefect server ({API_URL} can name a lasting one)", file=sys.stderr)
    url = start_temporary_server()
    os.environ |= {API_URL: url, "PREFECT_UI_URL": ""}  # it has no pages to look at
    refresh_global_settings_context()


def engine_settings(models_root: Path) -> dict[str, str]:
    """Give what Prefect and TensorFlow are told, where the user says nothing else."""
    return {
        "PREFECT_LOCAL_STORAGE_PATH": str(models_root / "records"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def check_server(url: str) -> None:
    """Ask a Prefect server that is named for its health.

    Raises Surroundings where nobody answers, WrongInput where something does that is not its API.
    """
    said = f"{API_URL}={url}"
    try:
        is_api = is_healthy(url)
        above = not is_api and is_healthy(f"{url.rstrip('/')}/api")
    except (OSError, ValueError) as error:
        raise Surroundings(
            f"no Prefect server answers at {said} ({error}): "
            "start one (prefect server start), or unset the variable"
        ) from error
    if not is_api:
        remedy = f"its API is at {url.rstrip('/')}/api" if above else "its address ends in /api"
        raise WrongInput(f"what answers at {said} is not the API of a Prefect server: {remedy}")


def is_healthy(url: str) -> bool:
    """Tell whether it is a Prefect server's API that answers there; OSError and ValueError: nobody does."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return bool(answer.read(16).strip() == b"true")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 500, 502, 503, 504):
            raise  # it may be one, and cannot be used
        return False
