"""The command ``grkan``, as pip puts it on the path: becomes the program inside the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    here = Path(__file__).parent / "bin" / "grkan"
    given = os.environ.get("GRKAN_LIBRARY_DIR")
    command = Path(given).parent / "bin" / "grkan" if given else here
    try:
        os.execv(command, ["grkan", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"grkan: {command} can't be run: {error.strerror}; install the package again")
