"""A client of a served model, for any server that speaks TensorFlow Serving's REST interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from settings.errors import Surroundings, WrongInput
from tasks.channels.backend import Endpoint
from tasks.store.token import read_token

VERSION_HEADER = "x-model-version"
STRING = "DT_STRING"
CLASS_NAMES = "class_names"  # no output of the model: the server looks it up by the class's id
DTYPES = {
    "DT_HALF": "float16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_UINT8": "uint8",
    "DT_INT8": "int8",
    "DT_UINT16": "uint16",
    "DT_INT16": "int16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_BOOL": "bool",
    STRING: "str",
}


@dataclass(frozen=True)
class Answer:
    """The model's outputs by name, N rows each, and the version that gave them (0: the server does not tell).

    `class_names` are the names of the N classes in `class_ids`; None where the classes have none.
    """

    outputs: dict[str, NDArray[Any]]
    version: int
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Output:
    name: str
    dtype: str
    row: tuple[int, ...]


class Client:
    """Asks one endpoint, over connections that it keeps; threads may share it.

    A request that the server refuses raises WrongInput with the server's reason; a server that is not
    there, breaks off or fails raises Surroundings.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_seconds: float = 60.0) -> None:
        """Take the endpoint, with its token; WrongInput where the file of that cannot be read."""
        self.endpoint = endpoint
        token = read_token(endpoint.token_file) if endpoint.token_file is not None else None
        self._base = f"/v1/models/{endpoint.name}"
        self._http = httpx.Client(
            base_url=endpoint.url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout_seconds, connect=5.0),
            limits=httpx.Limits(max_connections=64, keepalive_expiry=10.0),  # below the server's patience
            verify=endpoint.url.startswith("https:"),  # without TLS, certificates need not be read
            trust_env=False,  # a proxy of the environment is not meant for the model server
        )
        self._outputs: dict[tuple[int, str], tuple[_Output, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, rows: NDArray[Any], signature: str = "serving_default") -> Answer:
        """Give the outputs of a signature for rows (N, …), with the described types.

        Whole numbers are sent as they are, all others as float32.
        """
        whole = np.issubdtype(rows.dtype, np.integer)
        rows = np.ascontiguousarray(rows, dtype=None if whole else np.float32)
        body = orjson.dumps({"signature_name": signature, "inputs": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        response = self._ask("POST", f"{self._base}:predict", content=body)
        version = int(response.headers.get(VERSION_HEADER, "0"))
        described = self._describe(version, signature)
        try:
            given = self._json(response)["outputs"]
            if len(described) == 1:
                given = {described[0].name: given}
            outputs = {
                output.name: np.array(given[output.name], dtype=output.dtype).reshape(len(rows), *output.row)
                for output in described
            }
        except (KeyError, TypeError, ValueError) as error:
            raise Surroundings(
                f"{self.endpoint.url} gave an answer that it does not describe: {error!r}"
            ) from error
        names = outputs.pop(CLASS_NAMES, None)
        return Answer(outputs, version, None if names is None else tuple(names.tolist()))

    def status(self) -> dict[str, Any]:
        """Give the status of the model's versions as TensorFlow Serving has it."""
        return self._json(self._ask("GET", self._base))

    def metadata(self) -> dict[str, Any]:
        """Give the description of the served version: its signatures with names, types and shapes."""
        return self._json(self._ask("GET", f"{self._base}/metadata"))

    def check_token(self) -> None:
        """Raise WrongInput where the server does not let the token in; it may serve nothing yet."""
        response = self._request("GET", self._base)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise WrongInput(self._refusal(response))

    def _describe(self, version: int, signature: str) -> tuple[_Output, ...]:
        """Give the outputs of a signature, asked once per version: an empty list tells no type or shape."""
        key = (version, signature)
        if key not in self._outputs:
            signatures = self.metadata()["metadata"]["signature_def"]["signature_def"]
            self._outputs[key] = tuple(
                _output(name, described) for name, described in signatures[signature]["outputs"].items()
            )
        return self._outputs[key]

    def _ask(self, method: str, path: str, *, content: bytes | None = None) -> httpx.Response:
        response = self._request(method, path, content=content)
        if response.is_success:
            return response
        if response.is_client_error:
            raise WrongInput(self._refusal(response))
        raise Surroundings(self._refusal(response))

    def _request(self, method: str, path: str, *, content: bytes | None = None) -> httpx.Response:
        try:
            try:
                return self._http.request(method, path, content=content)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A kept connection that the server ended meanwhile. Asking a model twice changes nothing.
                return self._http.request(method, path, content=content)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Surroundings(
                f"the model server at {self.endpoint.url} does not answer: {reason}"
            ) from error

    def _refusal(self, response: httpx.Response) -> str:
        message = f"{self.endpoint.url} answers {response.status_code}: {_reason(response)}"
        if response.status_code == httpx.codes.UNAUTHORIZED:
            given = self.endpoint.token_file or "not set"
            message += f"; SERVING_TOKEN_FILE, which is {given}, has to name the file with the server's token"
        return message

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise Surroundings(f"{self.endpoint.url} does not answer JSON: {error}") from error
        if not isinstance(answer, dict):
            raise Surroundings(f"{self.endpoint.url} answers something other than a JSON object")
        return answer


def _output(name: str, described: Mapping[str, Any]) -> _Output:
    sizes = [int(dim["size"]) for dim in described["tensor_shape"]["dim"]]
    return _Output(name, DTYPES[described["dtype"]], tuple(sizes[1:]))


def _reason(response: httpx.Response) -> str:
    try:
        return str(orjson.loads(response.content)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return response.text[:200]
