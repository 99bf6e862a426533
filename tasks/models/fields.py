"""Which settings decide the weights and curves of a training; light to import."""

from __future__ import annotations

_LOOP_FIELDS = (
    "steps",
    "batch_size",
    "learning_rate",
    "schedule",
    "initial_weights",
    "display_steps",  # the rows of curve.csv
    "seed",
    "precision",  # as it is set: what it became is a note of the artifact
)

CLASSIFIER_KEY_FIELDS = (*_LOOP_FIELDS, "hidden_1", "hidden_2", "label_smoothing", "shift")
CONCEPT_KEY_FIELDS = (*_LOOP_FIELDS, "hidden", "bottleneck", "activation", "corruption")
"""`score` is not among them: the form of the score is applied at export, the weights are the same."""
