"""`python -m homefire.cli`."""

import sys

from homefire.cli.main import main

sys.exit(main())
