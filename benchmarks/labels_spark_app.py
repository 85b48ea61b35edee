"""The Spark application of `labels.py`: label scenes twice and tell how long the second job took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from labels_runs import scenes_of, settings_of
from pyspark import SparkContext

from seaice_ops.labels.spark.application import label_on
from seaice_ops.labels.stage import labelling
from seaice_ops.storage.store import open_store

if __name__ == "__main__":
    home, method, (count, cores, size) = Path(sys.argv[1]), sys.argv[2], map(int, sys.argv[3:])
    with SparkContext(appName="seaice-labels-benchmark") as context:
        context.setLogLevel("ERROR")
        until = time.monotonic() + 60
        executors = 0 if context.master.startswith("local") else cores
        while context._jsc.sc().getExecutorMemoryStatus().size() <= executors and time.monotonic() < until:
            time.sleep(0.1)  # an executor registers a little later
        store, how = open_store(settings_of(home).store), labelling(settings_of(home), method)
        list(label_on(context, store, how, scenes_of(home, 4 * cores)))  # Python workers start, code arrives
        start = time.perf_counter()
        outcomes = list(label_on(context, store, how, scenes_of(home, count, size)))
        seconds = time.perf_counter() - start
    workers = {outcome.worker for outcome in outcomes}
    assert all(outcome.labels for outcome in outcomes), outcomes[0].reason
    print(json.dumps({"seconds": seconds, "executors": len(workers)}))
