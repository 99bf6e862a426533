"""The rival of serving_speed.py: a plain FastAPI handler on the SavedModel, as one writes it first."""

from __future__ import annotations

import argparse
from typing import Any

import tensorflow as tf
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    instances: list[list[list[float]]]


def make_app(folder: str) -> FastAPI:
    app = FastAPI()
    model = tf.saved_model.load(folder)
    function = model.signatures["serving_default"]

    @app.post("/v1/models/mnist:predict")
    def predict(request: Request) -> dict[str, list[dict[str, Any]]]:
        outputs = function(imgs=tf.constant(request.instances, tf.float32))
        columns = {name: tensor.numpy().tolist() for name, tensor in outputs.items()}
        rows = zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}

    @app.get("/health/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    uvicorn.run(make_app(options.folder), host="127.0.0.1", port=options.port, log_level="warning")
