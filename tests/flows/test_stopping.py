"""Ctrl-C and SIGTERM at every stage of a real run: it ends soon and in order, and the next one goes on."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

DELIVER = str(Path(__file__).resolve().parents[2] / "flows" / "deliver.py")
END_SECONDS = 20.0  # what a stop may take, on a busy machine
UNFINISHED = re.compile(r"^\.aside-|\.part$|\.tmp$")


class Trickle(BaseHTTPRequestHandler):
    """A proxy that serves every file without an end, some bytes at a time."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.closing.wait(0.02):  # type: ignore[attr-defined]
                self.wfile.write(bytes(1_000))
        except OSError:  # the client went
            self.close_connection = True

    def do_CONNECT(self) -> None:
        self.send_error(502)

    def log_message(self, *line: Any) -> None:
        pass


@pytest.fixture
def slow_proxy() -> Iterator[str]:
    """The address of a proxy through which a download never ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        server.closing = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.closing.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def ctrl_c(run: Any) -> None:
    """Do as a terminal does: every process of the foreground group is told."""
    os.killpg(run.process.pid, signal.SIGINT)


def term(run: Any) -> None:
    """Do as `kill` does, and what runs a container: the process is told."""
    run.process.terminate()


def twice(run: Any) -> None:
    """Do as an impatient user does."""
    ctrl_c(run)
    time.sleep(0.3)  # between two key strokes
    if run.process.poll() is None:
        ctrl_c(run)


def stopped(place: Any, run: Any) -> str:
    """Wait for the end of a run that was told to stop, check that it is in order, and give its last line."""
    since = time.monotonic()
    last: str = run.refused(130)
    seconds = time.monotonic() - since
    assert seconds < END_SECONDS, f"the stop took {seconds:.1f} s:\n{run.said}"
    assert re.search(r"\b(stopped|interrupted)\b", last), last
    assert half_written(place) == []
    assert set(processes_of(place)) <= {production_of(place)}
    return last


def half_written(place: Any) -> list[Path]:
    """Give the files and folders of the place that are still marked as being written."""
    return [path for path in place.models.rglob("*") if UNFINISHED.search(path.name)]


def processes_of(place: Any) -> dict[int, str]:
    """Give the command line of each process that works for the place, by its pid."""
    found = {}
    mark = str(place.models).encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command, environ = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:  # gone meanwhile, or another user's
            continue
        if mark in command or b"MODELS_ROOT=" + mark in environ:
            found[int(folder.name)] = command.replace(b"\0", b" ").decode()
    return found


def production_of(place: Any) -> int:
    """Give the process that serves production; 0 where nobody does."""
    from tasks.channels.process import listener_on

    return listener_on(int(place.production.rpartition(":")[2])) or 0


@pytest.fixture
def place_with_settings(place: Any) -> Any:
    """A workplace whose deliver.toml makes a delivery that trains for some seconds."""
    place.write_settings(
        classifier={"steps": 4_000, "display_steps": 100}, concept={"steps": 2_500, "display_steps": 100}
    )
    return place


@pytest.mark.timeout(900)
def test_a_run_stopped_at_every_stage_goes_on_each_time(place_with_settings):
    """Stopped in both trainings, in export, on the stage, in judging and in promotion, it loses nothing.

    Each run finds what the one before had finished, goes on in the middle of a training, and the last one
    ends with version 1 in production.
    """
    place = place_with_settings

    def stop_at(words: str, how: Any) -> tuple[str, str]:
        run = place.run(DELIVER)
        run.wait_for(words)
        how(run)
        return stopped(place, run), run.said

    last, _ = stop_at("classifier: step 300 of", ctrl_c)
    assert re.search(r"classifier: stopped at step [\d,]+ of 4,000; the next run goes on from there", last)

    _, said = stop_at("concept: step 300 of", term)
    assert re.search(r"classifier: goes on from step [\d,]+ of 4,000", said)
    assert re.search(r"concept: stopped at step [\d,]+ of 2,500; the next run goes on from there", said)

    _, said = stop_at("release: made for the first time", twice)
    assert cached(said) >= {"train-classifier"}
    assert re.search(r"concept: goes on from step [\d,]+ of 2,500", said)

    _, said = stop_at("version 1 is on the stage at", term)
    assert cached(said) >= {"train-classifier", "train-concept"}
    assert place.events() == [("exported", 1), ("staged", 1)]

    _, said = stop_at("test: 3,000 rows scored", ctrl_c)
    assert cached(said) >= {"train-classifier", "train-concept", "export"}

    _, said = stop_at("the server of production is process", ctrl_c)
    in_production = production_of(place) > 0
    assert in_production == (("promoted", 1) in place.events())
    assert in_production == (place.models / "mnist" / "1").exists()

    said = place.run(DELIVER).done()
    assert cached(said) >= {"train-classifier", "train-concept", "export", "judge"}
    assert place.served_version() == 1
    assert place.events()[-1] == ("promoted", 1)
    assert half_written(place) == []
    assert list(processes_of(place)) == [production_of(place)]
    assert not list((place.models / "checkpoints").iterdir())


def cached(said: str) -> set[str]:
    """Give the tasks that a run found done."""
    return set(re.findall(r"Task run '([^']+)' - Finished in state Cached", said))


@pytest.mark.parametrize("how", [ctrl_c, term])
def test_stopped_while_prefect_starts(place_with_settings, how):
    """While Prefect is imported, and while a temporary server starts, a stop is as quick and as clear."""
    place = place_with_settings
    lock = place.models / "lock"
    run = place.run(DELIVER)
    run.wait_for(lambda: lock.exists() and lock.stat().st_size > 0)
    how(run)
    assert stopped(place, run).startswith("slipway: interrupted")

    run = place.run(DELIVER, PREFECT_API_URL=None, PREFECT_HOME=str(place.root / "prefect"))
    run.wait_for(lambda: len(processes_of(place)) > 1)
    how(run)
    assert stopped(place, run).startswith("slipway: interrupted")


def test_stopped_in_a_download_with_a_temporary_server(place_with_settings, slow_proxy):
    """Ctrl-C ends a download that does not end by itself, and the temporary server; the part stays."""
    place = place_with_settings
    letters = place.root / "letters"
    run = place.run(
        DELIVER,
        "--data.outliers",
        "notmnist-small,fashion-mnist",
        PREFECT_API_URL=None,
        PREFECT_HOME=str(place.root / "prefect"),
        notMNIST_DATA_DIR=str(letters),
        http_proxy=slow_proxy,
        https_proxy=slow_proxy,
        no_proxy="127.0.0.1",
    )
    part = letters / "downloads" / "notMNIST_small.tar.gz.part"
    run.wait_for(lambda: part.exists() and part.stat().st_size > 5_000)
    ctrl_c(run)
    assert "stopped while downloading http://" in stopped(place, run)
    assert part.stat().st_size > 5_000
    assert [path for path in letters.rglob("*") if path.is_file()] == [part]
