"""The Python of README.md and docs/ is run as it stands there, a page in one go. Blocks marked py
rather than python leave things to the reader, and are not run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "jax")


def pages() -> list[Path]:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if "```python" in page.read_text()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_examples(page):
    code = "".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
    for package in PACKAGES:
        if re.search(rf"^(import|from) {package}\b", code, re.M):
            pytest.importorskip(package, reason=f"no {package}, which {page.name} uses")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
