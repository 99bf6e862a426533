"""The model that is delivered where no other is named: two dense networks, on MNIST.

A user's module may take its networks from here. Light to import.
"""

from __future__ import annotations

from typing import Any

from settings.hyperparameters import ClassifierSettings, ConceptSettings
from settings.model import Description, Model, Network


def build_classifier(settings: ClassifierSettings, description: Description) -> Any:
    """Give the dense classifier."""
    from tasks.models.classifier import DenseClassifier

    return DenseClassifier(settings, description)


def build_concept(settings: ConceptSettings, description: Description) -> Any:
    """Give the dense autoencoder."""
    from tasks.models.concept import DenseConcept

    return DenseConcept(settings, description)


CLASSIFIER = Network("classifier", "classifier", ClassifierSettings, build_classifier, side_by_side=True)
CONCEPT = Network("concept", "autoencoder", ConceptSettings, build_concept, side_by_side=True)

BUILT_IN = Model("mnist", (CLASSIFIER, CONCEPT), inputs="imgs")
