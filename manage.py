#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line

from awards.management import clone

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        # The demo makes its own settings, for its clone only; everything else must be given them.
        os.environ.update(clone.environment(os.environ))
    execute_from_command_line(sys.argv)
