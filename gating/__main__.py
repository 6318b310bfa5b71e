"""``python -m gating`` is the command."""

import sys

from gating.cli import main

sys.exit(main())
