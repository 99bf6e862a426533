"""What a channel is asked for, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.release.document import Wanted

if TYPE_CHECKING:
    from settings.hyperparameters import ServingSettings


def wanted(version: int, serving: ServingSettings) -> Wanted:
    """Give the document of a channel that serves a version."""
    return Wanted(
        version=version,
        runtime=serving.runtime,
        max_request_mib=serving.max_request_mib,
        max_images=serving.max_images,
    )
