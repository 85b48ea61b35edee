"""One rank of a training: ``python -m ...horovod_worker JOB.json``, under horovodrun or by itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import horovod.torch as hvd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seaice_ops.training.fit.loop import train
from seaice_ops.training.ranks.comm import Alone, Communicator
from seaice_ops.training.ranks.job import Job
from seaice_ops.training.ranks.watchdog import watch


class Ranks:
    """Horovod's ranks, one of which this process is. One GPU a rank where Horovod was built for them, else the CPU."""

    def __init__(self) -> None:
        hvd.init()
        self.rank, self.size = hvd.rank(), hvd.size()
        gpus = torch.cuda.is_available() and hvd.nccl_built()
        self.device = torch.device("cuda", hvd.local_rank()) if gpus else torch.device("cpu")

    def averaging(self, optimizer: Optimizer, module: nn.Module) -> Optimizer:
        distributed: Optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=module.named_parameters())
        return distributed

    def average(self, tensor: Tensor) -> Tensor:
        mean: Tensor = hvd.allreduce(tensor)
        return mean

    def broadcast(self, tensor: Tensor) -> None:
        hvd.broadcast_(tensor, root_rank=0)


def communicator() -> Communicator:
    """Horovod's ranks where horovodrun started this process, else this process alone."""
    return Ranks() if "HOROVOD_RANK" in os.environ else Alone()


def main(work: Callable[[Job, Communicator], None] = train) -> None:
    """Do `work` as one rank of the job that the command line ends with; the rank dies with its launcher."""
    watch()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    job = Job.model_validate_json(Path(sys.argv[-1]).read_bytes())
    work(job, communicator())


if __name__ == "__main__":
    main()
