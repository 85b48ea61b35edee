"""`python -m seaice_ops.demo`."""

import sys

from seaice_ops.demo.run import main

if __name__ == "__main__":
    sys.exit(main())
