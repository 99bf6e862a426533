"""The backend on this machine, with its real servers."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from settings.errors import Stopped, Surroundings
from tasks.channels import inspection, local, process, servers
from tasks.channels.client import Client
from tasks.channels.files import ChannelFiles
from tasks.release.document import Wanted
from tasks.release.reader import Release

BLANK = np.zeros((1, 28, 28), np.float32)


def server_pid(backend, channel="production") -> int:
    """The process that answers on the channel's port."""
    found = inspection.inspect("127.0.0.1", backend.ports[channel], ChannelFiles(backend.folder, channel))
    assert found.kind == "ours"
    return found.pid


def version_of(endpoint) -> int:
    with Client(endpoint) as client:
        return client.predict(BLANK).version


@contextmanager
def stranger(port: int):
    """Somebody else on the port: accepts connections and greets them in no language of ours."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def greet() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_channel_that_was_never_put_is_not_up(backend):
    """Nothing is there before the first put, and nothing is made by looking."""
    assert backend.current("production") is None
    assert not backend.folder.exists()
    backend.check("production")
    backend.remove("production")


def test_put_starts_the_server(backend, put, models):
    """The first put starts a server, which answers as that version at the endpoint."""
    endpoint = put(1)
    assert endpoint.url == f"http://127.0.0.1:{backend.ports['production']}"
    assert version_of(endpoint) == 1
    serving = backend.current("production")
    assert (serving.version, serving.healthy, serving.detail) == (1, True, "")
    assert serving.wanted == Wanted(1)
    assert serving.endpoint == endpoint
    assert len(serving.digest) == 64
    document = json.loads((models / "channels" / "mnist" / "production.json").read_bytes())
    assert document == {
        "schema": 1,
        "version": 1,
        "previous": 0,
        "runtime": "litert",
        "max_request_mib": 32,
        "max_images": 10_000,
    }


def test_a_second_put_of_the_same_changes_nothing(backend, put):
    """Where all is as wanted, neither document nor process is touched."""
    put(1)
    pid = server_pid(backend)
    document = (backend.folder / "production.json").stat()
    put(1)
    assert server_pid(backend) == pid
    assert (backend.folder / "production.json").stat().st_ino == document.st_ino


def test_another_version_is_swapped_in_the_same_process(backend, put, models):
    """A rollout changes the document alone; limits change the same way."""
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    put(1)
    pid = server_pid(backend)
    assert version_of(put(2)) == 2
    put(2, max_images=5)
    assert backend.current("production").wanted.max_images == 5
    assert server_pid(backend) == pid


def test_a_release_made_anew_under_its_number_is_loaded(backend, put, models):
    """Where a version's folder holds another release than the served one, the next put serves that one."""
    put(1)
    pid = server_pid(backend)
    shutil.rmtree(models / "mnist" / "1")
    serving = backend.current("production")
    assert (serving.healthy, serving.detail) == (False, "version 1, which it serves, is not on the disk")
    shutil.copytree(models / "candidates" / "mnist" / "2", models / "mnist" / "1")
    serving = backend.current("production")
    assert (serving.healthy, serving.detail) == (
        False,
        "the version 1 that it serves is not that on the disk",
    )
    golden = Release(models / "mnist" / "1").golden
    with Client(put(1)) as client:
        np.testing.assert_allclose(
            client.predict(golden["imgs"]).outputs["logits"], golden["logits"], 1e-4, 1e-5
        )
    assert backend.current("production").healthy
    assert server_pid(backend) == pid


def test_a_promoted_candidate_is_the_version_that_the_stage_serves(backend, put, models):
    """The stage's version may move from the candidates to the releases."""
    put(2, "stage")
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    assert backend.current("stage").healthy


def test_production_serves_no_candidate(backend, put):
    """Only the stage looks among the candidates; a candidate that production was put to is named missing."""
    with pytest.raises(Surroundings, match=r"production: version 2 cannot be served: version 2 is not in"):
        put(2)
    assert backend.current("production") is None
    assert version_of(put(2, "stage")) == 2


def test_channels_do_not_touch_each_other(backend, put):
    """Stage and production are two processes; removing one leaves the other."""
    production = put(1)
    put(2, "stage")
    backend.remove("stage")
    assert backend.current("stage") is None
    assert version_of(production) == 1


def test_a_version_that_cannot_be_served_leaves_the_old_one(backend, put, models):
    """The error is the server's own reason; document, process and version are as before."""
    endpoint = put(2, "stage")
    pid = server_pid(backend, "stage")
    with pytest.raises(Surroundings, match=r"stage: version 3 .*model\.tflite is not as it was exported"):
        put(3, "stage")
    serving = backend.current("stage")
    assert (serving.version, serving.healthy, serving.wanted) == (2, True, Wanted(2))
    assert server_pid(backend, "stage") == pid
    assert version_of(endpoint) == 2


def test_a_first_version_that_cannot_be_served_leaves_nothing(backend, put):
    """Where nothing was up before, a failed put leaves no server and no document."""
    with pytest.raises(Surroundings, match="is not as it was exported"):
        put(3, "stage")
    assert backend.current("stage") is None
    assert process.listener_on(backend.ports["stage"]) is None
    assert not (backend.folder / "stage.json").exists()


def test_a_killed_server_is_seen_and_mended(backend, put):
    """After kill -9 the channel is unhealthy, and the next put of the same starts it again."""
    put(1)
    pid = server_pid(backend)
    os.kill(pid, signal.SIGKILL)
    while process.is_running(pid):
        pass
    serving = backend.current("production")
    assert (serving.healthy, serving.detail, serving.wanted) == (
        False,
        "its server is not running",
        Wanted(1),
    )
    backend.check("production")
    assert version_of(put(1)) == 1
    assert server_pid(backend) != pid


def test_a_failed_put_after_a_crash_brings_the_old_version_back(backend, put):
    """A crashed channel that is put to a broken version serves its old one afterwards."""
    put(1)
    os.kill(server_pid(backend), signal.SIGKILL)
    with pytest.raises(Surroundings, match="version 9 is not in"):
        put(9)
    serving = backend.current("production")
    assert (serving.version, serving.healthy) == (1, True)


def test_a_version_that_takes_the_server_with_it_is_undone(backend, put, models, monkeypatch):
    """A server that dies of the new version is not waited for; a new one serves the old version."""
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    put(1)
    pids = [server_pid(backend)]
    want = ChannelFiles.want

    def want_and_die(self, wanted):
        revision = want(self, wanted)
        if pids:
            os.kill(pids.pop(), signal.SIGKILL)
        return revision

    monkeypatch.setattr(ChannelFiles, "want", want_and_die)
    with pytest.raises(Surroundings, match="the server of production ended before it was ready"):
        put(2)
    serving = backend.current("production")
    assert (serving.version, serving.healthy, serving.wanted) == (1, True, Wanted(1))


def test_a_server_that_does_not_answer_is_ended_and_mended(backend, put, monkeypatch):
    """A server that hangs is known by its process, seen as unhealthy, and replaced by put."""
    put(1)
    pid = server_pid(backend)
    monkeypatch.setattr(inspection, "ASK_SECONDS", 0.5)
    os.kill(pid, signal.SIGSTOP)
    backend.check("production")
    serving = backend.current("production")
    assert (serving.healthy, serving.detail) == (False, f"its server (process {pid}) does not answer")
    assert version_of(put(1)) == 1
    assert not process.is_running(pid)


def test_remove_ends_a_server_that_hangs(backend, put, monkeypatch):
    """SIGKILL comes where SIGTERM is not heard in time."""
    put(1)
    pid = server_pid(backend)
    monkeypatch.setattr(inspection, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(servers, "END_SECONDS", 0.3)
    os.kill(pid, signal.SIGSTOP)
    backend.remove("production")
    assert not process.is_running(pid)
    assert backend.current("production") is None


def test_a_server_of_other_code_is_replaced(backend, put):
    """A server that was started by other code is unhealthy; put hands its port over to a new process."""
    put(1)
    pid = server_pid(backend)
    note = backend.folder / "production.server.json"
    noted = json.loads(note.read_bytes())
    noted["fingerprint"] = "older"
    note.write_text(json.dumps(noted))
    serving = backend.current("production")
    assert (serving.version, serving.healthy) == (1, False)
    assert "started by other code" in serving.detail
    put(1)
    assert server_pid(backend) != pid
    assert backend.current("production").healthy
    assert not process.is_running(pid)


def test_a_server_whose_note_is_lost_is_found_and_replaced(backend, put):
    """A command that was killed before it wrote its note leaves no orphan."""
    put(1)
    pid = server_pid(backend)
    (backend.folder / "production.server.json").unlink()
    assert not backend.current("production").healthy
    put(1)
    assert not process.is_running(pid)
    assert backend.current("production").healthy


def test_a_server_on_the_port_of_before_is_ended(backend, put, make_backend, models):
    """Another port is another server: it takes the channel over, also where the version cannot be served."""
    put(1)
    before = server_pid(backend)
    moved = make_backend()
    serving = moved.current("production")
    assert (serving.healthy, serving.detail) == (False, "its server is not running")
    moved.put("production", Wanted(1), should_stop=lambda: False)
    assert not process.is_running(before)
    assert moved.current("production").healthy

    pid = server_pid(moved)
    with pytest.raises(Surroundings, match="version 9 is not in"):
        put(9)
    assert backend.current("production").version == 1
    assert not process.is_running(pid)


def test_remove_ends_the_servers_of_every_port(backend, put, make_backend):
    """A server is known by its document: one on a port that is not the channel's any more ends too."""
    put(1)
    pid = server_pid(backend)
    (backend.folder / "production.server.json").unlink()
    make_backend().remove("production")
    assert not process.is_running(pid)
    assert backend.current("production") is None


@pytest.mark.parametrize(
    ("name", "locale"),
    [(b"m\xc3\xbcller", {"LC_ALL": "C", "PYTHONUTF8": "0"}), (b"m\xfcller", {"LC_ALL": "C"})],
    ids=["UTF-8", "Latin-1"],
)
def test_a_path_is_the_same_in_every_locale(models, make_backend, name, locale):
    """A server that was started where an umlaut is no letter is the channel's own, there and elsewhere."""
    root = models.with_name(os.fsdecode(name))
    models.rename(root)
    backend = make_backend(root=root)
    code = (
        "import sys; from pathlib import Path\n"
        "from tasks.channels.backend import Wanted; from tasks.channels.local import LocalBackend\n"
        "root, port = Path(sys.argv[1]), int(sys.argv[2])\n"
        "backend = LocalBackend(root, 'mnist', root / 'mnist', root / 'candidates' / 'mnist', '127.0.0.1',\n"
        "                       {'stage': port + 1, 'production': port})\n"
        "backend.put('production', Wanted(1), should_stop=lambda: False)\n"
        "backend.check('production')\n"
        "serving = backend.current('production')\n"
        "assert serving.version == 1 and not serving.detail, ascii(serving)\n"
    )
    command = [sys.executable, "-c", code, str(root), str(backend.ports["production"])]
    done = subprocess.run(command, env=os.environ | locale, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    backend.check("production")
    assert backend.current("production").version == 1
    pid = server_pid(backend)
    backend.remove("production")
    assert not process.is_running(pid)


@pytest.fixture
def as_another_user(monkeypatch):
    """Run a block as if this process were of another user than the servers that it has started."""

    @contextmanager
    def pretend():
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 65_533)
            yield pwd.getpwuid(os.getuid()).pw_name

    return pretend


@pytest.mark.parametrize("port", ["the same", "another"])
def test_another_user_s_server_is_named_and_left_alone(backend, put, make_backend, as_another_user, port):
    """In a root that two users write: status tells what is served; nothing is ended, deleted or wanted."""
    endpoint = put(1)
    pid = server_pid(backend)
    there = make_backend(production=backend.ports["production"] if port == "the same" else None)
    files = {path: path.read_bytes() for path in backend.folder.iterdir() if path.suffix == ".json"}
    with as_another_user() as user:
        served = there.current("production")
        assert (served.version, served.healthy) == ((1, True) if port == "the same" else (0, False))
        message = rf"production of .* is served by process {pid} of the user {user}: do this as {user}"
        for act in (
            lambda: there.check("production"),
            lambda: there.put("production", Wanted(1, max_images=9), should_stop=bool),
            lambda: there.remove("production"),
            lambda: there.remove("production", keep=True),
        ):
            with pytest.raises(Surroundings, match=message):
                act()
        there.check("stage")
    assert {path: path.read_bytes() for path in backend.folder.iterdir() if path.suffix == ".json"} == files
    assert version_of(endpoint) == 1
    assert server_pid(backend) == pid


def test_a_real_process_of_another_user_is_left_alone(backend):
    """The same with the kernel's word for it, where this user may start such a process."""
    if os.geteuid() != 0:
        pytest.skip("only root starts a process of another user; the test above pretends to be one")
    document = str(backend.folder / "production.json")
    command = ["/bin/sh", "-c", "echo there; read line", "-m", "tasks.serving", "--document", document]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=65_534) as other:
        assert other.stdout.readline() == b"there\n"
        with pytest.raises(Surroundings, match=rf"process {other.pid} of the user nobody: .*sudo -u nobody"):
            backend.remove("production")
        assert process.is_running(other.pid)
        other.communicate(b"\n")
    backend.remove("production")


def test_a_server_of_a_container_is_left_alone(backend, tmp_path):
    """A document of the same path below another root is another document."""
    code = f"import os; os.chroot({str(tmp_path)!r}); print('there', flush=True); input()"
    document = str(backend.folder / "production.json")
    with subprocess.Popen(
        [sys.executable, "-c", code, "-m", "tasks.serving", "--document", document],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as contained:
        if not contained.stdout.readline():
            pytest.skip("this user cannot give a process another root")
        backend.remove("production")
        assert process.is_running(contained.pid)
        contained.communicate(b"\n")


def test_all_processes_are_looked_through_only_where_something_changes(backend, put, monkeypatch):
    """A look at a channel, and a put of what is served already, ask its port alone."""
    put(1)
    monkeypatch.setattr(
        servers, "servers_of", lambda document: pytest.fail("it looked through all processes")
    )
    put(1)
    assert backend.current("production").healthy
    monkeypatch.undo()


def test_the_server_outlives_the_command(backend, models):
    """A command whose whole process group is killed after its put leaves its server to the next."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tasks.channels.backend import Wanted; from tasks.channels.local import LocalBackend\n"
        "root, port = Path(sys.argv[1]), int(sys.argv[2])\n"
        "backend = LocalBackend(root, 'mnist', root / 'mnist', root / 'candidates' / 'mnist', '127.0.0.1',\n"
        "                       {'stage': port + 1, 'production': port})\n"
        "backend.put('production', Wanted(1), should_stop=lambda: False)\n"
        "os.killpg(os.getpgid(0), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(models), str(backend.ports["production"])]
    ended = subprocess.run(command, start_new_session=True, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    serving = backend.current("production")
    assert (serving.version, serving.healthy) == (1, True)
    pid = server_pid(backend)
    assert os.getsid(pid) == pid
    backend.remove("production")
    assert not process.is_running(pid)


def test_the_server_takes_nothing_of_the_command_with_it(backend, put, tmp_path, monkeypatch):
    """No lock, terminal, folder or secret of the command is kept by the server that it starts."""
    monkeypatch.setenv("SECRET_OF_THE_COMMAND", "hush")
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        put(1)
        pid = server_pid(backend)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    assert b"SECRET_OF_THE_COMMAND" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_log_before_is_kept(backend, put):
    """A restart begins a new log; the one before is beside it."""
    put(1)
    os.kill(server_pid(backend), signal.SIGKILL)
    put(1)
    log = backend.folder / "production.log"
    assert log.read_text().count("version 1 is served") == 1
    assert "version 1 is served" in log.with_name("production.log.1").read_text()


def test_a_port_held_by_a_stranger_is_a_clear_error(backend, put):
    """check and put name the port, the process that holds it, and the variable to set."""
    port = backend.ports["production"]
    with stranger(port):
        message = rf"port {port} of production is held by process {os.getpid()}: .*PRODUCTION_PORT"
        with pytest.raises(Surroundings, match=message):
            backend.check("production")
        with pytest.raises(Surroundings, match=message):
            put(1)
        assert backend.current("production") is None
    assert not (backend.folder / "production.json").exists()
    backend.check("production")


def test_a_server_of_another_models_root_is_a_stranger(backend, put, make_backend, tmp_path):
    """A model server that obeys another document is neither used nor ended; its document is named."""
    put(1)
    other = make_backend(root=tmp_path / "other", production=backend.ports["production"])
    message = rf"held by the model server of {backend.folder}/production\.json"
    with pytest.raises(Surroundings, match=message):
        other.check("production")
    with pytest.raises(Surroundings, match=message):
        other.put("production", Wanted(1), should_stop=lambda: False)
    other.remove("production")
    assert backend.current("production").healthy


@contextmanager
def impostor(port: int, health: dict[str, object]):
    """Somebody else on the port, who answers every request with this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *arguments):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_is_repeated_on_another_port_is_not_trusted(backend, put, make_backend):
    """Everybody may read what the channel's server says: who says the same elsewhere is a stranger."""
    put(1)
    health = inspection.ask("127.0.0.1", backend.ports["production"])
    moved = make_backend()
    with impostor(moved.ports["production"], dict(health)):
        assert not moved.current("production").healthy
        with pytest.raises(Surroundings, match=rf"held by process {os.getpid()}: "):
            moved.put("production", Wanted(1), should_stop=lambda: False)
    assert backend.current("production").healthy


def test_the_server_is_found_without_a_note(backend, put):
    """It is known by its document, its start and its port, among all processes."""
    put(1)
    pid = server_pid(backend)
    files = ChannelFiles(backend.folder, "production")
    found = inspection.inspect("127.0.0.1", backend.ports["production"], files, hint=os.getpid())
    assert (found.kind, found.pid) == ("ours", pid)


def test_a_server_that_tells_its_path_is_replaced_without_a_gap(backend, put, monkeypatch):
    """One of earlier code, whose health has another form, is the channel's own: its port is handed over."""
    put(1)
    ask = inspection.ask
    before = ask("127.0.0.1", backend.ports["production"])
    pid = server_pid(backend)

    def as_before(host, port):
        health = ask(host, port)
        if health is None or health["start"] != before["start"]:
            return health
        path = str(ChannelFiles(backend.folder, "production").document)
        return health | {"document": path, "settled": "1-2-3", "revision": ""}

    monkeypatch.setattr(inspection, "ask", as_before)
    monkeypatch.setattr(servers, "fingerprint", lambda arguments: "newer")
    put(1)
    assert server_pid(backend) != pid
    assert "is handed over" in (backend.folder / "production.log.1").read_text()


def test_a_version_that_appears_during_the_rollout_is_served(backend, put, models):
    """A refusal of what is not there yet is given some seconds: the folder may come after the document."""
    put(1)
    rollout = threading.Thread(target=put, args=(2,))
    rollout.start()
    while not inspection.ask("127.0.0.1", backend.ports["production"])["error"]:
        assert rollout.is_alive()
    (models / "candidates" / "mnist" / "2").rename(models / "mnist" / "2")
    rollout.join()
    serving = backend.current("production")
    assert (serving.version, serving.healthy, serving.wanted) == (2, True, Wanted(2))


@pytest.mark.parametrize("of_before", [False, True], ids=["by ids", "by a path"])
def test_an_answer_alone_is_not_trusted(backend, put, of_before):
    """Whoever answers like the channel's server ends no process of its choice: it is a stranger."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    files = ChannelFiles(backend.folder, "production")
    health = {
        "pid": sleeper.pid,
        "document": str(files.document) if of_before else files.place_id,
        "start": "",
        "revision": "",
        "settled": True,
        "version": 1,
        "runtime": "litert",
        "digest": "",
        "error": "",
    }
    files.folder.mkdir(parents=True, exist_ok=True)
    files.write_note({"pid": sleeper.pid, "start": ""})
    with impostor(backend.ports["production"], health):
        message = rf"held by process {os.getpid()}: "
        with pytest.raises(Surroundings, match=message):
            backend.check("production")
        with pytest.raises(Surroundings, match=message):
            put(1)
        backend.remove("production")
    assert sleeper.poll() is None
    sleeper.communicate()


def test_an_address_that_is_not_of_this_machine_is_a_clear_error(make_backend):
    """check tells that the host cannot be listened on, before any training."""
    backend = make_backend(host="192.0.2.1")
    with pytest.raises(Surroundings, match=r"cannot listen on 192\.0\.2\.1:\d+ .*SERVING_HOST"):
        backend.check("stage")


def test_a_port_that_is_bound_but_not_listening_is_taken(backend):
    """check tells of a port that nobody answers on and that is not free either."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", backend.ports["stage"]))
        with pytest.raises(Surroundings, match=r"port \d+ of stage is taken: .*STAGE_PORT"):
            backend.check("stage")


def test_a_wish_to_stop_ends_the_wait_and_undoes(backend, put, monkeypatch):
    """put stops within moments, and the version before goes on."""
    put(1)
    pid = server_pid(backend)
    monkeypatch.setattr(inspection, "ASK_SECONDS", 0.3)
    want = ChannelFiles.want

    def want_of_a_slow_server(self, wanted):
        """Replace the document while the server cannot obey it before the wish to stop is looked at."""
        os.kill(pid, signal.SIGSTOP)
        return want(self, wanted)

    def should_stop() -> bool:
        monkeypatch.setattr(ChannelFiles, "want", want)
        os.kill(pid, signal.SIGCONT)
        return True

    monkeypatch.setattr(ChannelFiles, "want", want_of_a_slow_server)
    with pytest.raises(Stopped):
        backend.put("production", Wanted(1, max_images=7), should_stop=should_stop)
    monkeypatch.undo()
    assert backend.current("production").wanted == Wanted(1)
    with pytest.raises(Stopped):
        backend.put("stage", Wanted(2), should_stop=lambda: True)
    assert backend.current("stage") is None
    assert process.listener_on(backend.ports["stage"]) is None


def test_a_deadline_is_kept_and_the_log_is_told(backend):
    """A server that is not ready in time is ended; the error has the end of its log and the log's path."""
    backend.rollout_seconds = 0
    with pytest.raises(Surroundings, match=r"did not serve version 1 in time: .*stage\.log"):
        backend.put("stage", Wanted(1), should_stop=lambda: False)
    assert process.listener_on(backend.ports["stage"]) is None


def test_a_server_that_ends_at_once_is_told_with_its_log(backend):
    """A server that cannot start is not waited for until the deadline."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", backend.ports["stage"]))
        with pytest.raises(Surroundings, match=r"ended before it was ready: .* cannot be listened on"):
            backend.put("stage", Wanted(2), should_stop=lambda: False)
    assert backend.current("stage") is None


def test_a_damaged_document_is_mended(backend, put):
    """A document that cannot be read makes the channel unhealthy; put writes it anew."""
    put(1)
    (backend.folder / "production.json").write_text('{"versi')
    while backend.current("production").healthy:
        pass
    assert backend.current("production").version == 1
    put(1)
    assert backend.current("production").healthy


def test_another_model_leaves_this_ones_channel_alone(backend, put, models):
    """A second model with the same ports is told who has them, and the first one goes on being served."""
    put(1)
    other = local.LocalBackend(
        models, "letters", models / "letters", models / "candidates" / "letters", backend.host, backend.ports
    )
    with pytest.raises(Surroundings, match=r"held by the model server of .*/channels/mnist/production\.json"):
        other.check("production")
    with pytest.raises(Surroundings, match="is held by"):
        other.put("production", Wanted(1), should_stop=lambda: False)
    other.remove("production")
    assert backend.current("production").healthy
