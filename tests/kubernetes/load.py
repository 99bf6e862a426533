"""Asks a model server without a pause, and prints what came of it as a line of JSON; runs in a pod.

    python load.py HOST PORT SECONDS THREADS

It ends after so many seconds, or when there is a file /tmp/over.

It has the standard library alone. Each thread keeps its connection, and opens a new one where the server asks
for it.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path

host, port, seconds, threads = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
BODY = json.dumps({"instances": [[[0.5] * 28] * 28]})
answers: Counter[str] = Counter()
failures: list[str] = []
slowest = 0.0  # seconds of an answer
over = threading.Event()


def ask() -> None:
    """Ask until it is over."""
    global slowest
    connection = http.client.HTTPConnection(host, port, timeout=20)
    while not over.is_set():
        asked = time.monotonic()
        try:
            connection.request("POST", "/v1/models/mnist:predict", BODY)
            answer = connection.getresponse()
            answer.read()
            version = answer.headers.get("x-model-version", "none")
            if answer.status == 200:
                answers[version] += 1
                slowest = max(slowest, time.monotonic() - asked)
            else:
                failures.append(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
            time.sleep(0.01)


started = time.monotonic()
workers = [threading.Thread(target=ask) for _ in range(threads)]
for worker in workers:
    worker.start()
while time.monotonic() - started < seconds and not Path("/tmp/over").exists():
    time.sleep(0.2)
over.set()
for worker in workers:
    worker.join()
taken = time.monotonic() - started
told = {"answers": answers, "failures": failures[:20], "slowest": slowest}
print(json.dumps(told | {"rate": sum(answers.values()) / taken}))
