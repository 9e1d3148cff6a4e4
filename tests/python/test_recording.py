"""grkan.record: the calls of a step are counted as they are made, and listed as the command takes
them."""

from __future__ import annotations

import json
import os
import subprocess
import threading

import pytest

import grkan
from grkan import _frameworks, _library
from grkan.errors import InvalidArgument
from grkan.torch import GRKANLayer, GroupRational, group_rational
from torch_support import torch

nn = torch.nn


def counts(calls):
    return {(call.task, call.rows, call.inner): call.count for call in calls}


def command(*arguments):
    path = _library.folder().parent / "bin" / "grkan"
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def layers():
    """Two places, of which one is called twice; x needs no gradient in the first."""
    first, second = GroupRational(32), GroupRational(64, numerator_groups=4, num_groups=4)
    return nn.Sequential(first, nn.Linear(32, 64), second, nn.Linear(64, 64), second)


def test_forward_and_backward_of_a_model():
    calls = grkan.record(layers(), torch.randn(5, 7, 32))
    assert counts(calls) == {
        ("forward/p5q4-A-c32-g1x8-f32-last", 35, 1): 1,
        ("forward/p5q4-A-c64-g4-f32-last", 35, 1): 2,
        ("backward.dx.da.db/p5q4-A-c64-g4-f32-last", 35, 1): 2,
        ("backward.da.db/p5q4-A-c32-g1x8-f32-last", 35, 1): 1,
    }
    assert {call.device for call in calls} == {"cpu"}
    assert {call.determinism for call in calls} == {"run_to_run"}
    table = str(calls).splitlines()
    assert len(table) == 1 + len(calls) and table[0].split()[0] == "task"


@pytest.mark.parametrize(
    "change, gradients",
    [
        (lambda m: m.numerator.requires_grad_(False), "dx.db"),
        (lambda m: m.requires_grad_(False), "dx"),
        (lambda m: m.denominator.requires_grad_(False), "dx.da"),
    ],
)
def test_gradients_that_are_wanted(change, gradients):
    module = GroupRational(16)
    change(module)
    calls = grkan.record(module, torch.randn(3, 16, requires_grad=True))
    problem = "p5q4-A-c16-g1x8-f32-last"
    assert [c.task for c in calls] == [f"forward/{problem}", f"backward.{gradients}/{problem}"]


def test_without_gradients_forward_alone():
    with torch.no_grad():
        calls = grkan.record(layers(), torch.randn(2, 32))
    assert {call.direction for call in calls} == {"forward"}


def test_a_denominator_without_coefficients_leaves_none_out():
    module = GroupRational(16, degrees=(3, 0), init=lambda x: x)
    module.numerator.requires_grad_(False)
    calls = grkan.record(module, torch.randn(3, 16, requires_grad=True))
    assert calls[-1].task == "backward.dx.db/p3q0-A-c16-g1x8-f32-last"


def test_layouts_and_types():
    first = GroupRational(8, channel_dim=1)
    calls = grkan.record(first, torch.randn(2, 8, 5, 6, requires_grad=True))
    assert counts(calls) == {
        ("forward/p5q4-A-c8-g1x8-f32-first", 2, 30): 1,
        ("backward.dx.da.db/p5q4-A-c8-g1x8-f32-first", 2, 30): 1,
    }
    with torch.autocast("cpu", torch.bfloat16):
        calls = grkan.record(GRKANLayer(16, 8), torch.randn(4, 16))
    assert [c.task.split("/")[1] for c in calls] == ["p5q4-A-c16-g1x8-f32:bf16-last"] * 2


def test_a_step_of_ones_own():
    model = layers()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(rows):
        optimizer.zero_grad()
        model(torch.randn(rows, 32)).square().mean().backward()
        optimizer.step()

    expected = {key: 2 * n for key, n in counts(grkan.record(step, 6)).items()}
    step(6)  # not recorded
    with grkan.record() as calls:
        step(6)
        with grkan.record() as inner:
            thread = threading.Thread(target=step, args=(6,))
            thread.start()
            thread.join()
    assert counts(calls) == expected
    assert {key: 2 * n for key, n in counts(inner).items()} == expected
    with calls:  # once more into the same
        step(6)
    assert counts(calls) == {key: n * 3 // 2 for key, n in expected.items()}
    assert _frameworks.recorded() == []


def test_compiled_models_are_seen_as_they_run():
    model = layers()
    x = torch.randn(5, 32)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert counts(grkan.record(compiled, x)) == counts(grkan.record(model, x))


def test_nothing_is_changed():
    model = nn.Sequential(
        nn.BatchNorm1d(32), nn.Dropout(0.5), GroupRational(32), nn.Linear(32, 4)
    ).train()
    model[3].weight.grad = torch.ones(4, 32)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    x = torch.randn(9, 32)
    state = torch.get_rng_state()
    assert len(grkan.record(model, x)) == 2
    assert torch.equal(torch.get_rng_state(), state)
    for name, t in model.state_dict().items():
        assert torch.equal(t, before[name]), name
    assert torch.equal(model[3].weight.grad, torch.ones(4, 32))
    assert all(p.grad is None for p in model[2].parameters())


def test_outputs_in_any_container():
    class Outputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = GroupRational(16)

        def forward(self, x, *, scale):
            y = self.layer(x) * scale
            return {"y": [y], "index": y.argmax(-1), "note": "text"}

    calls = grkan.record(Outputs(), torch.randn(3, 16), scale=2)
    assert [call.direction for call in calls] == ["forward", "backward"]


def test_the_list_is_what_the_command_reads(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), GroupRational(8, channel_dim=1), nn.Flatten(), GroupRational(8 * 16)
    )
    with grkan.record() as calls:
        for batch in (4, 2):
            model(torch.randn(batch, 3, 6, 6)).sum().backward()
    path = tmp_path / "list.jsonl"
    calls.save(path)
    lines = [json.loads(line) for line in path.read_text().splitlines() if line[0] != "#"]
    assert {"task": "forward/p5q4-A-c8-g1x8-f32-first", "rows": 4, "inner": 16, "count": 1} in lines
    assert {"task": "forward/p5q4-A-c128-g1x8-f32-last", "rows": 2, "count": 1} in lines
    told = command("tune", "--problems", str(path), "--explain-space", "--json")
    spaces = json.loads(told)["spaces"]
    assert {(s["task"], s["rows"], s["inner"]) for s in spaces} == set(counts(calls))


def test_many_sizes_are_a_range(tmp_path):
    module = GroupRational(16)
    with torch.no_grad(), grkan.record() as calls:
        for rows in (30, 4, 500, 7, 7, 77):
            module(torch.zeros(rows, 16))
    assert len(calls) == 5
    calls.save(tmp_path / "list")
    line = json.loads((tmp_path / "list").read_text().splitlines()[1])
    assert line == {"task": calls[0].task, "rows": "4..500", "count": 6}
    told = command("tune", "--problems", str(tmp_path / "list"), "--explain-space", "--json")
    assert json.loads(told)["spaces"][0]["rows"] == 500


def test_buffers_that_a_model_makes_anew_are_put_back():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = GroupRational(16)
            self.register_buffer("mean", torch.zeros(16))

        def forward(self, x):
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
            return self.act(x)

    model = Model()
    before = model.mean
    grkan.record(model, torch.ones(3, 16))
    assert model.mean is before and not before.any()


def test_determinism_is_told(tmp_path):
    grkan.torch.set_determinism("gpu_to_gpu")
    try:
        calls = grkan.record(GroupRational(16), torch.zeros(2, 16))
    finally:
        grkan.torch.set_determinism("run_to_run")
    assert [c.determinism for c in calls] == ["run_to_run", "gpu_to_gpu"]
    calls.save(tmp_path / "list")
    heads = [line for line in (tmp_path / "list").read_text().splitlines() if line[0] == "#"]
    assert len(heads) == 2 and "--determinism gpu_to_gpu" in heads[1]
    assert all(f"--device cpu --threads {torch.get_num_threads()} " in head for head in heads)


def test_a_model_without_such_a_call(tmp_path):
    calls = grkan.record(nn.Linear(4, 4), torch.zeros(1, 4))
    assert len(calls) == 0 and str(calls) == "no GR-KAN call"
    with pytest.raises(InvalidArgument, match="nothing was recorded"):
        calls.save(tmp_path / "list")
    assert not (tmp_path / "list").exists()


def test_what_the_model_raises_comes_through():
    class Raises(nn.Module):
        def forward(self, x):
            group_rational(x, torch.zeros(1, 6), torch.zeros(8, 4))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        grkan.record(Raises(), torch.zeros(1, 16))
    assert _frameworks.recorded() == []
    assert len(grkan.record(GroupRational(16), torch.zeros(2, 16))) == 2


def test_what_can_not_be_recorded(tmp_path):
    with pytest.raises(TypeError, match="not int"):
        grkan.record(3)
    with pytest.raises(TypeError, match="give a model or a function first"):
        grkan.record(None, 3)
    with pytest.raises(OSError):
        grkan.record(GroupRational(16), torch.zeros(2, 16)).save(tmp_path / "missing" / "list")


def test_a_forked_child_records_its_own():
    module = GroupRational(16)
    with torch.no_grad(), grkan.record() as calls:
        module(torch.zeros(2, 16))
        child = os.fork()
        if child == 0:
            module(torch.zeros(3, 16))
            mine = grkan.record(module, torch.zeros(4, 16))
            right = _frameworks.recorded() == [] and [c.rows for c in mine] == [4]
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [c.rows for c in calls] == [2]
