"""A folder of a user, and what the settings are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from settings.delivery import Parameters
from settings.errors import WrongInput
from settings.sources import Resolved, resolve
from tasks.models.builtin import BUILT_IN

Resolve = Callable[..., Resolved]
Refusal = Callable[..., list[str]]


@pytest.fixture
def resolved(tmp_path: Path) -> Resolve:
    """Resolve the arguments in the temporary folder, with the files and the environment given."""

    def run(*arguments: str, environ: Mapping[str, str] | None = None, **files: str) -> Resolved:
        for name, text in files.items():
            (tmp_path / {"toml": "deliver.toml", "dotenv": ".env"}[name]).write_text(text, encoding="utf-8")
        return resolve(arguments, Parameters(BUILT_IN), environ=environ or {}, folder=tmp_path)

    return run


@pytest.fixture
def refused(resolved: Resolve) -> Refusal:
    """The lines of the WrongInput that the same call raises."""

    def run(*arguments: str, environ: Mapping[str, str] | None = None, **files: str) -> list[str]:
        with pytest.raises(WrongInput) as raised:
            resolved(*arguments, environ=environ, **files)
        assert raised.value.exit_code == 2
        return str(raised.value).splitlines()

    return run
