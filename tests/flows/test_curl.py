"""The printed call of curl, with and without a token."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flows.commands.deliver import curl


def words_of(line: str, folder: Path) -> list[str]:
    """Give the words that curl gets from a shell for a printed line."""
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}; {line}"
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", ["token", "a 'token' of $HOME \"and\" (mine)"])
def test_the_shell_reads_the_token(tmp_path, name):
    """Whatever the file is called; without one there is no header."""
    (tmp_path / name).write_text("a-secret\n")
    line = curl("-d", "@a file.json", "http://h/", token_file=tmp_path / name)
    assert "a-secret" not in line
    words = ["-d", "@a file.json", "http://h/"]
    assert words_of(line, tmp_path) == ["-H", "Authorization: Bearer a-secret", *words]
    assert words_of(curl(*words, token_file=None), tmp_path) == words
