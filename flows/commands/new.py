"""`slipway new`: a commented module to begin a model of one's own with."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from settings.errors import Surroundings, WrongInput

TEMPLATE = Path(__file__).with_name("new_model.txt")


def run(arguments: Sequence[str]) -> int:
    """Write the module; raises SlipwayError."""
    parser = argparse.ArgumentParser(
        prog="slipway new",
        description="Write a module that defines a model, with comments, to begin your own with: a small "
        "convolutional classifier and the built-in concept, on MNIST until it names other data.",
    )
    parser.add_argument("file", metavar="FILE", help="the module, as my_model.py; it must not be there yet")
    path = Path(parser.parse_args(arguments).file)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise WrongInput(f"{path} is no name of a Python module: my_model.py would be one")
    name = re.sub(r"[^a-z0-9-]", "-", path.stem.lower().replace("_", "-")).strip("-")[:40]
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise WrongInput(f"{path}: a model's name begins with a letter: name the file otherwise")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(
                TEMPLATE.read_text(encoding="utf-8").replace("MODEL_NAME", name).replace("FILE", str(path))
            )
    except FileExistsError:
        raise WrongInput(f"{path} is there already: it stays as it is") from None
    except OSError as error:
        raise Surroundings(f"{path} cannot be written: {error.strerror}") from error
    print(f"{path} is written; deliver it with: python flows/deliver.py --model {path}")
    return 0
