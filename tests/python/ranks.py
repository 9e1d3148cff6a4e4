"""Two processes of a script, as ranks 0 and 1 of a process group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_ranks(
    script: str, folder: Path, environment: Callable[[int], dict[str, str]] = lambda _: {}
) -> tuple[list[Any], list[str]]:
    """Runs `script RANK RENDEZVOUS`, a file beside this one, twice at a time, one thread each;
    folder is empty. environment: what else a rank has in it. Returns the JSON that each prints on
    its last line, and what each writes to stderr."""
    words = [sys.executable, str(Path(__file__).with_name(script))]
    started = [
        subprocess.Popen(
            [*words, str(rank), f"file://{folder}/rendezvous"],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    done = [process.communicate(timeout=300) for process in started]
    for process, (_, error) in zip(started, done, strict=True):
        assert process.returncode == 0, error
    return [json.loads(output.splitlines()[-1]) for output, _ in done], [e for _, e in done]
