"""The schema's version of what outlives a run: manifests, histories, receipts and channels' documents.

Each holds it as `schema`; what has none is of version 0, before there were versions. A reader takes every
version up to its own, and refuses a newer one: what it would not understand could be what matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settings.errors import Surroundings

SCHEMA = 1


class Newer(Surroundings):
    """Something was written by a newer version of the project."""


def check_schema(content: Mapping[str, Any], what: str) -> None:
    """Raise Newer, which names `what`, where the content is of a schema that is not known yet."""
    schema = content.get("schema", 0)
    if type(schema) is not int or schema > SCHEMA:
        raise Newer(f"{what} was written by a newer Slipway (schema {schema!r}, here is {SCHEMA}): upgrade")
