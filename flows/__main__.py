"""The console script: `slipway COMMAND`, `python -m flows COMMAND`.

Modules of commands are imported when they are called, so that each is as quick as it can be.
"""

from __future__ import annotations

if __name__ == "__main__":
    # As in deliver.py: nothing may be installed yet.
    from flows.environment import enter

    enter("env")

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from flows.failures import for_user
from flows.streams import open_streams
from settings.errors import SlipwayError
from tasks.observer import is_gone
from tasks.stopping import GOES_ON, end_when_asked

COMMANDS = {
    "deliver": "train, judge and promote a model",
    "rollback": "put an earlier version back into production",
    "status": "say what the channels serve",
    "history": "say what happened to the versions",
    "start": "let this machine serve again what it is meant to",
    "new": "write a module to begin a model of one's own with",
    "data": "add, list, show and remove sets of your own",
    "prune": "remove old versions, and what the store holds for them",
    "stop": "stop the servers of this machine",
    "restart": "replace the servers of this machine by new ones",
    "attend": "end runs that cannot start, with the reason, from inside a cluster",
    "settings": "print the reference of all settings",
    "register": "register a work pool and its deployments in a Prefect server",
}

INTERRUPTED = f"slipway: interrupted; {GOES_ON}"

TELLING = ("status", "history")  # what they print is all that they do


def command(arguments: Sequence[str] | None = None) -> int:
    """Run a command as a process of its own, whose streams may be closed or broken; give its exit code.

    Where Prefect's server is gone the process ends here: at Python's exit, Prefect would try for minutes to
    send what is left.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    out = open_streams()
    try:
        code = main(words)
    except SystemExit as ended:  # as argparse does it
        code = ended.code if isinstance(ended.code, int) else 0
    sys.stdout.flush()
    if out.lost:
        print(f"slipway: the standard output cannot be written: {out.lost}", file=sys.stderr)
        code = code or (SlipwayError.exit_code if words[:1] and words[0] in TELLING else 0)
    if is_gone():
        sys.stderr.flush()
        os._exit(code)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; errors for the user are one line on stderr."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print(usage())
        return 0
    if command not in COMMANDS:
        print(f"slipway: there is no command {command!r}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        with end_when_asked(INTERRUPTED):
            return int(importlib.import_module(f"flows.commands.{command}").run(rest))
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except Exception as error:
        shown = for_user(error)
        if shown is None:
            traceback.print_exc()
            print(f"slipway: a defect of the program, {type(error).__name__}: {error}", file=sys.stderr)
            return SlipwayError.exit_code  # not 1, as of an exception that nobody catches: no gate failed
        print(f"slipway: {shown}", file=sys.stderr)
        return shown.exit_code


def usage() -> str:
    """Give the list of commands."""
    lines = [f"  {name:<10} {meaning}" for name, meaning in COMMANDS.items()]
    head = "usage: slipway COMMAND [options]"
    return "\n".join([head, "", *lines, "", "slipway COMMAND --help tells more"])


if __name__ == "__main__":
    sys.exit(command())
