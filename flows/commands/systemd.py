"""A systemd unit of the user that starts production with the machine, and stops it with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from settings.errors import WrongInput
from settings.places import VARIABLES, Places

UNIT = """\
# Slipway: the model servers of {models}
#
#     mkdir -p ~/.config/systemd/user
#     slipway start --print-unit > ~/.config/systemd/user/slipway.service
#     systemctl --user daemon-reload
#     systemctl --user enable --now slipway
#     loginctl enable-linger    # to start with the machine, and not with the first login

[Unit]
Description=Slipway, {what}

[Service]
# The servers are found, replaced and mended by the commands, so that no process is the unit's own.
Type=oneshot
RemainAfterExit=yes
WorkingDirectory={folder}
{environment}ExecStart={start}
ExecStop={stop}

[Install]
WantedBy=default.target
"""


def unit(places: Places, environ: Mapping[str, str], folder: Path, name: str | None) -> str:
    """Give the unit for the model `name`, or for all that there are (None).

    With the places that the environment names, as absolute paths; `folder` is where deliver.toml and .env are
    read from.
    """
    named = {
        variable: str(getattr(places, field))
        for variable, field in VARIABLES.items()
        if variable in environ or variable.upper() in environ
    }
    texts = [str(folder), str(places.models_root), sys.executable, *named.values()]
    if odd := [text for text in texts if "\n" in text]:
        raise WrongInput(f"a unit of systemd cannot name {odd[0]!r}: rename it")
    command = [sys.executable, "-P", "-m", "flows"]
    which = [] if name is None else ["--name", name]
    return UNIT.format(
        models=places.models_root,
        what="the models of this machine" if name is None else f"the model {name}",
        folder=str(folder).replace("%", "%%"),
        environment="".join(
            f"Environment={quoted(f'{variable}={value}')}\n" for variable, value in named.items()
        ),
        start=command_line([*command, "start", *which]),
        stop=command_line([*command, "stop", *which]),
    )


def quoted(text: str) -> str:
    """Give a word as units write it (systemd.syntax, systemd.unit on %)."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%")
    return f'"{escaped}"'


def command_line(words: list[str]) -> str:
    """Give a command as ExecStart= takes it: there a $ begins a variable (systemd.service)."""
    return " ".join(quoted(word.replace("$", "$$")) for word in words)
