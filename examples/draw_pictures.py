"""Draws colour pictures into folders, for who has none at hand: python examples/draw_pictures.py FOLDER

FOLDER/train and FOLDER/test get a folder for each of five shapes, FOLDER/outliers one for each of two others.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIDE, LARGE = 32, 128  # pixels of a picture, and of its drawing
SHAPES = {"triangle": 3, "square": 4, "pentagon": 5, "star": 10, "circle": 60}  # corners
STRANGERS = {"cross": 12, "ring": 61}
COUNTS = {"train": 300, "test": 100, "outliers": 150}


def corners(name: str, count: int, chance: random.Random) -> list[tuple[float, float]]:
    """Give the corners of a shape somewhere in the picture, turned by chance."""
    size, turn = chance.uniform(30, 48), chance.uniform(0, 2 * math.pi)
    x, y = chance.uniform(52, 76), chance.uniform(52, 76)
    radii = {"star": (1.0, 0.45), "cross": (1.0, 1.0, 0.42)}.get(name, (1.0,))
    angles = [turn + 2 * math.pi * at / count for at in range(count)]
    return [
        (x + size * radii[at % len(radii)] * math.cos(a), y + size * radii[at % len(radii)] * math.sin(a))
        for at, a in enumerate(angles)
    ]


def draw(name: str, count: int, chance: random.Random) -> Image.Image:
    """Give a picture of a shape, in two colours that differ enough."""
    ground = tuple(chance.randrange(0, 110) for _ in range(3))
    ink = tuple(chance.randrange(140, 256) for _ in range(3))
    large = Image.new("RGB", (LARGE, LARGE), ground)
    pen = ImageDraw.Draw(large)
    points = corners(name, count, chance)
    pen.polygon(points, fill=ink)
    if name == "ring":
        (left, top), (right, bottom) = (
            map(min, zip(*points, strict=True)),
            map(max, zip(*points, strict=True)),
        )
        pen.ellipse((left + 14, top + 14, right - 14, bottom - 14), fill=ground)
    return large.resize((SIDE, SIDE), Image.Resampling.BOX)


def main(folder: Path) -> None:
    """Draw all, the same each time."""
    chance = random.Random(1)  # noqa: S311 - pictures, no secrets
    for split, count in COUNTS.items():
        for name, number in (STRANGERS if split == "outliers" else SHAPES).items():
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for at in range(count):
                draw(name, number, chance).save(folder / split / name / f"{at:03}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
