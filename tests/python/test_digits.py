"""examples/digits: the script and the notebook, in their short form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="no PyTorch")
pytest.importorskip("sklearn", reason="no scikit-learn, whose digits are learnt")
pytest.importorskip("matplotlib", reason="no matplotlib, which draws the curves")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Beside other tests PyTorch's waiting threads would take the time of the working ones."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_script(tmp_path):
    command = [sys.executable, FOLDER / "train.py", "--epochs", "2", "--no-compile"]
    subprocess.run([*command, "--out", tmp_path], check=True)
    results = json.loads((tmp_path / "digits.json").read_text())
    assert (tmp_path / "digits.svg").stat().st_size > 1000
    assert results["gradient_errors"]["grkan"] < 1e-5
    assert results["grkan"]["loss"][1] < results["grkan"]["loss"][0] < 2.4  # ln 10 is 2.3
    assert results["grkan"]["accuracy"][1] > 0.2
    # The same start and the same batches, by other kernels.
    assert results["grkan"]["loss"][0] == pytest.approx(results["plain"]["loss"][0], rel=1e-3)


def test_notebook(monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="no nbformat, which reads notebooks")
    nbclient = pytest.importorskip("nbclient", reason="no nbclient, which runs notebooks")
    pytest.importorskip("ipykernel", reason="no ipykernel, in which a notebook runs")
    monkeypatch.setenv("DIGITS_EPOCHS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER), os.environ["PYTHONPATH"]]))
    notebook = nbformat.read(FOLDER / "digits.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300).execute()
