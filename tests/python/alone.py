"""Code that wants a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run_alone(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
