"""Test ranks: ``python training_ranks.py WHAT JOB.json``, started by `launch` in place of the worker."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time

import torch
from safetensors.torch import save_file

from seaice_ops.models.families.build import build
from seaice_ops.models.families.unet import Dropout
from seaice_ops.training.fit import loop
from seaice_ops.training.ranks import horovod_worker
from seaice_ops.training.ranks.comm import Communicator
from seaice_ops.training.ranks.job import Job


def same_steps(job: Job, comm: Communicator) -> None:
    """Train without what may differ by rank (dropout, learning rate, bfloat16); each rank leaves its weights."""
    loop.fast_bfloat16 = lambda device: False
    loop.learning_rate = lambda base, ranks, done: base
    torch.manual_seed(100 + comm.rank)  # ranks that start apart: the broadcast must bring them together
    if comm.rank == 0:
        torch.manual_seed(job.recipe.seed)
    module = build(job.architecture)
    for part in module.modules():
        if isinstance(part, Dropout):
            part.cut = 0
    loop.fit(module, job, comm)
    save_file(module.state_dict(), job.folder / f"rank-{comm.rank}-of-{comm.size}.safetensors")


def one_dies(job: Job, comm: Communicator) -> None:
    """Rank 1 is killed in the middle of the second epoch, while rank 0 waits for its gradients."""
    step = loop._batch

    def dying(*arguments: object) -> object:
        if comm.rank == 1 and arguments[-1] == 1:
            logging.error("this is the last of me")
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)  # type: ignore[arg-type]

    loop._batch = dying  # type: ignore[assignment]
    loop.train(job, comm)


def slowly(job: Job, comm: Communicator) -> None:
    """Train with a pause in every step, so that there is a middle to be killed in."""
    step = loop._batch

    def pausing(*arguments: object) -> object:
        time.sleep(0.2)
        return step(*arguments)  # type: ignore[arg-type]

    loop._batch = pausing  # type: ignore[assignment]
    loop.train(job, comm)


if __name__ == "__main__":
    horovod_worker.main({"same_steps": same_steps, "one_dies": one_dies, "slowly": slowly}[sys.argv[1]])
