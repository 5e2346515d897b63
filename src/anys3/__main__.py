"""`python -m anys3` is `anys3`."""

from __future__ import annotations

import sys

from anys3.cli import main

if __name__ == "__main__":
    sys.exit(main())
