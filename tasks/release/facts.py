"""What the manifest of a release tells of its origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.store.artifacts import combined_digest


def facts(
    *,
    dataset: str,
    dataset_digest: str,
    quarantined: Sequence[Any],
    networks: Mapping[str, str],
    precision: Mapping[str, str],
    parts: Mapping[str, str],
    image: str | None,
) -> dict[str, Any]:
    """Give the facts of a release as JSON.

    `networks` are the digests of the networks by name, `precision` the types of the products that they were
    trained with, `parts` those of the keys of the networks and of the release (tasks/store/keys.py), `image`
    the digest of the container's image: None outside of one, and where it is not known.
    """
    return {
        "dataset": {"name": dataset, "digest": dataset_digest, "quarantined": list(quarantined)},
        "networks": dict(networks),
        "precision": dict(precision),
        "settings": of_kind(parts, "setting"),
        "packages": {"python": parts["python"]} | of_kind(parts, "library"),
        "code": combined_digest(of_kind(parts, "code")),
        "image": image,
    }


def of_kind(parts: Mapping[str, str], kind: str) -> dict[str, str]:
    """Give the parts of a key of one kind, by their bare names."""
    return {
        name.removeprefix(f"{kind} "): value for name, value in parts.items() if name.startswith(f"{kind} ")
    }
