"""Entry point of `python -m homefire.daemon`. Promises and what is not covered: `start.py`."""

import sys

from homefire.daemon.start import log_defect, main

if __name__ == "__main__":
    sys.excepthook = log_defect
    sys.exit(main())
