"""What data-parallel training costs on this machine: seconds an epoch, against ranks that do not communicate.

Four runs of the same chips and the same chips a step: one process with all cores, one with one core, two Horovod ranks
that never average their gradients (the ceiling: what two ranks could do if communication were free), and two Horovod
ranks as they train. Efficiency is the ceiling's time over the last one's, within this one run; the first epoch of each
(imports, first allocation) is left out, and the best of the others counts.

    python benchmarks/training.py [--width 8] [--chips 64] [--chip 256] [--batch 8] [--epochs 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from seaice_ops.models.card import Architecture, Preprocessing, Recipe
from seaice_ops.training.fit import loop
from seaice_ops.training.ranks import horovod_worker
from seaice_ops.training.ranks.comm import Communicator
from seaice_ops.training.ranks.job import Job, class_weights
from seaice_ops.training.ranks.launch import launch

CASES = {
    "1 process, all cores": (1, "train", None),
    "1 process, 1 core": (1, "train", "1"),
    "2 ranks without averaging": (2, "silent", None),
    "2 ranks": (2, "train", None),
}


def write_job(folder: Path, arguments: argparse.Namespace, ranks: int) -> Path:
    """Chips of noisy blocks in three brightnesses; the whole step holds as many chips for every number of ranks."""
    folder.mkdir()
    rng, chip = np.random.default_rng(1), arguments.chip
    targets = rng.integers(0, 3, (arguments.chips, chip // 16, chip // 16), np.uint8).repeat(16, 1).repeat(16, 2)
    grey = (np.array([20, 110, 230])[targets] + rng.normal(0, 10, targets.shape)).clip(0, 255).astype(np.uint8)
    np.save(folder / "pixels.npy", np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1))
    np.save(folder / "targets.npy", targets)
    counts = np.bincount(targets.ravel(), minlength=3).tolist()
    (folder / "chips.json").write_text(json.dumps({"origins": [], "counts": counts}))
    recipe = {"epochs": arguments.epochs, "batch": arguments.batch * 2 // ranks, "chip": chip, "ranks": ranks}
    return Job(
        folder=folder,
        architecture=Architecture(width=arguments.width),
        preprocessing=Preprocessing(ceiling=0.3558),
        recipe=Recipe(**recipe, max_chips=arguments.chips, learning_rate=1e-3, seed=1),
        class_weights=class_weights(counts),
    ).write()


def work(job: Job, comm: Communicator) -> None:
    """A rank's part: train, and let rank 0 note how long each epoch took."""
    seconds: list[float] = []
    epoch = loop._epoch

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = epoch(*arguments)
        seconds.append(time.perf_counter() - start)
        return result

    def alone(optimizer: Optimizer, module: nn.Module) -> Optimizer:
        return optimizer

    loop._epoch = timed
    if sys.argv[1] == "silent":
        comm.averaging = alone  # type: ignore[method-assign]
    loop.train(job, comm)
    if comm.rank == 0:
        (job.folder / "seconds.json").write_text(json.dumps(seconds))


def measure(folder: Path, arguments: argparse.Namespace, case: str) -> dict[str, Any]:
    """One of CASES."""
    ranks, what, cores = CASES[case]
    job = write_job(folder / case.replace(" ", "-"), arguments, ranks)
    available = os.sched_getaffinity(0)
    try:
        if cores:
            os.sched_setaffinity(0, sorted(available)[: int(cores)])
        launch(job, ranks, [sys.executable, __file__, what])
    finally:
        os.sched_setaffinity(0, available)
    epochs = json.loads((job.parent / "seconds.json").read_text())
    return {"case": case, "seconds": round(min(epochs[1:]), 3), "chips/s": round(arguments.chips / min(epochs[1:]), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 8), ("chips", 64), ("chip", 256), ("batch", 8), ("epochs", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first one is not counted")
    with tempfile.TemporaryDirectory(prefix="seaice-training-") as folder:
        rows = [measure(Path(folder), arguments, case) for case in CASES]
    seconds = {row["case"]: row["seconds"] for row in rows}
    figures = {
        "width": arguments.width,
        "chips": arguments.chips,
        "cores": len(os.sched_getaffinity(0)),
        "epochs": rows,
        "efficiency": round(seconds["2 ranks without averaging"] / seconds["2 ranks"], 3),
        "speed-up over 1 core": round(seconds["1 process, 1 core"] / seconds["2 ranks"], 2),
    }
    if not arguments.json:
        for row in rows:
            print(f"{row['case']:28}{row['seconds']:9.2f} s/epoch{row['chips/s']:9.1f} chips/s")
    print(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1:2] in (["train"], ["silent"]):
        horovod_worker.main(work)
    else:
        main()
