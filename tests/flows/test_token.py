"""A delivery whose servers ask for a token, by its command."""

from __future__ import annotations

import shlex

import httpx

from tests.flows.conftest import ROOT


def test_a_delivery_with_a_token(delivered):
    """It is judged and promoted through servers that ask for it, and never printed; status needs none."""
    token = delivered.root / "token"
    token.write_text("a-secret")
    delivered.write_settings(classifier={"steps": 201})
    said = delivered.run(str(ROOT / "flows" / "deliver.py"), SERVING_TOKEN_FILE=str(token)).done()
    assert "a-secret" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("ask it")]
    *_, option, header, data, body, url = shlex.split(line)
    assert (option, header) == ("-H", f"Authorization: Bearer $(cat {token})")
    assert data == "-d"
    content = (delivered.root / body.removeprefix("@")).read_bytes()
    assert httpx.post(url, content=content).status_code == 401
    answer = httpx.post(url, content=content, headers={"authorization": "Bearer a-secret"})
    assert (answer.status_code, answer.headers["x-model-version"]) == (200, "2")
    assert ": well" in delivered.run("-m", "flows", "status", SERVING_TOKEN_FILE=str(token)).done()
