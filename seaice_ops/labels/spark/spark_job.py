"""The application that spark-submit runs: ``spark-submit --py-files seaice_ops.zip spark_job.py [--method M]``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put this folder first, where colour.py or image.py would pass for top-level modules.
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    from seaice_ops.labels.spark.application import main

    sys.exit(main())
