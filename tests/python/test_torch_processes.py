"""grkan.torch in forked and spawned processes, and its use of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import grkan.torch
from alone import run_alone
from grkan.torch import GroupRational, group_rational
from torch_support import case, torch


class Squares(torch.utils.data.Dataset):
    """Items computed by the layer, in the workers."""

    def __init__(self):
        self.layer = GroupRational(768, init="gelu")

    def __len__(self):
        return 6

    def __getitem__(self, i):
        with torch.no_grad():
            x = torch.linspace(-3, 3, 40 * 768).reshape(40, 768) * (i + 1)
            return torch.get_num_threads(), self.layer(x)


def use_all_threads():
    """A call with several slices, so that the threads of both pools run."""
    x, _, a, b = case(1, (3000, 96), groups=(1, 8))
    for pool in ("own", "torch"):
        grkan.torch.set_thread_pool(pool)
        group_rational(x, a, b)
    return x, a, b


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_dataloader(method):
    use_all_threads()
    data = Squares()
    loader = torch.utils.data.DataLoader(
        data, num_workers=2, multiprocessing_context=method, timeout=120
    )
    for i, (threads, y) in enumerate(loader):
        assert threads.item() == 1
        assert torch.equal(y[0], data[i][1])


def run_forked(body):
    """The exit status of body in a forked child; killed after a minute."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    timer = threading.Timer(60, os.kill, (child, 9))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    return os.waitstatus_to_exitcode(status)


def test_raw_fork():
    """With as many threads as before: PyTorch's own pool waits for ever there."""
    x, a, b = use_all_threads()
    y = group_rational(x, a, b)
    assert torch.get_num_threads() > 1 or os.cpu_count() == 1

    def child():
        for _ in range(3):
            assert group_rational(x, a, b).numpy().tobytes() == y.numpy().tobytes()
        a.requires_grad_()
        torch.autograd.grad(group_rational(x, a, b), a, y)
        assert run_forked(lambda: group_rational(x, a, b)) == 0  # and of a child

    for _ in range(3):
        assert run_forked(child) == 0
    assert torch.equal(group_rational(x, a, b), y)


def test_fork_before_the_first_call():
    """PyTorch's pool has threads already, which the child has not."""
    run_alone(
        """
import os, signal, torch
from grkan.torch import group_rational
torch.set_num_threads(2)
x = torch.randn(4000, 768)
torch.nn.functional.gelu(x)
a, b = torch.ones(1, 6), torch.ones(8, 4)
child = os.fork()
if child == 0:
    signal.alarm(60)
    group_rational(x, a, b)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    )


def test_fork_while_another_thread_makes_plans():
    stop = threading.Event()

    def make_plans():
        channels = 8
        while not stop.is_set():
            channels += 8
            group_rational(torch.zeros(1, channels), torch.zeros(1, 6), torch.zeros(8, 4))

    thread = threading.Thread(target=make_plans)
    thread.start()
    x, _, a, b = case(2, (10, 24), groups=(1, 4))
    try:
        for _ in range(40):
            assert run_forked(lambda: group_rational(x, a, b)) == 0
    finally:
        stop.set()
        thread.join()


def test_threads_follow_torch():
    """One thread: the caller's alone, whatever there is. Three: those that torch.relu uses."""
    code = """
import os, torch
import grkan.torch
x, a, b = torch.zeros(4000, 768), torch.zeros(1, 6), torch.zeros(8, 4)
def threads():
    return len(os.listdir("/proc/self/task"))
torch.set_num_threads(1)
one = threads()
grkan.torch.set_thread_pool("own")
grkan.torch.group_rational(x, a, b)
assert threads() == one, (threads(), one)
grkan.torch.set_thread_pool("torch")
grkan.torch.group_rational(x, a, b)
assert threads() == one, (threads(), one)
torch.set_num_threads(3)
torch.relu(x)
three = threads()
assert three > one
grkan.torch.group_rational(x, a, b)
assert threads() == three, (threads(), three)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_set_thread_pool_errors():
    with pytest.raises(ValueError, match="torch or own, not 'mine'"):
        grkan.torch.set_thread_pool("mine")


def test_library_that_is_missing(tmp_path):
    environment = {**os.environ, "GRKAN_LIBRARY_DIR": str(tmp_path)}
    code = "import grkan.torch"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1
    assert "LibraryMissing" in result.stderr and "GRKAN_LIBRARY_DIR" in result.stderr
    assert str(tmp_path / "libgrkan_frameworks.so") in result.stderr
