#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from config.demo import clone
from config.processes import command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        # The demo makes its own settings, for its clone only; everything else must be given them.
        clone.enter()
    command_line.execute(sys.argv)
