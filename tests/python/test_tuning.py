"""grkan.tune: what a model calls is tuned, used at once and told. grkan.explain: what would run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

import grkan
from grkan import _frameworks, _library, tuning
from grkan.errors import InvalidArgument, NoDevice, OutOfMemory
from grkan.torch import GRKANLayer, GroupRational, group_rational
from torch_support import assert_close, case, expected, torch
from winners import store

nn = torch.nn

# Seconds for each tuning: too few to find much, enough to go all the way.
BUDGET = 0.15


def cache() -> Path:
    return Path(os.environ["GRKAN_CACHE_DIR"])


@pytest.fixture(autouse=True)
def own_threads():
    """PyTorch's own wait for a core where others are at work, which takes a timing's time."""
    grkan.torch.set_thread_pool("own")
    yield
    grkan.torch.set_thread_pool("torch")


def tuned_by_the_command(task, rows):
    """The winner of `grkan tune`, as of a quiet machine that found something."""
    command = _library.folder().parent / "bin" / "grkan"
    words = [command, "tune", task, "--rows", str(rows), "--budget", str(BUDGET), "--json"]
    here = {**os.environ, "GRKAN_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True, env=here)
    entry = Path(json.loads(done.stdout)["results"][0]["cache_entry"])
    winner = json.loads(entry.read_bytes())
    entry.unlink()
    time = winner["time_ns"] or {"median": 1000.0, "p10": None, "p90": None, "samples": 0}
    winner.update(evidence="measured", counts=None, disturbed=False, time_ns=time)
    return winner


def test_a_model_is_tuned_and_uses_it_at_once(capsys):
    module = GroupRational(24, init="gelu")
    model = nn.Sequential(module, nn.Linear(24, 24))
    x, dy, a, b = case(7, (300, 24), groups=(1, 8))
    with torch.no_grad():
        module.numerator.copy_(a)
        module.denominator.copy_(b)
    calls = grkan.record(module, x.requires_grad_())
    tunings = grkan.tune(model, x, budget=BUDGET)
    problem = "p5q4-A-c24-g1x8-f32-last"
    tasks = [f"forward/{problem}", f"backward.dx.da.db/{problem}"]
    assert [t.task for t in tunings] == tasks
    lines = capsys.readouterr().err.splitlines()
    assert f"grkan: tuning 2 of 2: {tasks[1]}, 300 rows, cpu" in lines
    for call, t in zip(calls, tunings, strict=True):
        assert (t.device, t.rows, t.inner, t.count, t.error) == ("cpu", "300", 1, 1, None)
        assert t.before == t.default and t.before_ns == t.default_ns
        document = grkan.explain(call)[call.direction]
        assert document["schedule"] == t.after
        assert list(cache().glob(f"winners/{t.task.replace('/', '_')}/*/*.json"))
        if t.after_ns is not None:
            assert document["tuned"]["rows"] == 300 and document["time_ns"]["median"] == t.after_ns
    y = module(x)
    dx, da, db = torch.autograd.grad(y, (x, module.numerator, module.denominator), dy)
    values, sizes = expected(x, dy, a, b)
    for name, actual in zip(("y", "dx", "da", "db"), (y, dx, da, db), strict=True):
        assert_close(name, actual, values, sizes)
    assert len(str(tunings).splitlines()) == 3


def test_winners_are_of_the_number_of_threads_they_were_tuned_with():
    number = torch.get_num_threads()
    module, x = GroupRational(56), torch.randn(100, 56)
    try:
        with torch.no_grad():
            for threads in (1, 3):
                torch.set_num_threads(threads)
                grkan.tune(module, x, budget=BUDGET)
    finally:
        torch.set_num_threads(number)
    winners = cache().glob("winners/forward_p5q4-A-c56-g1x8-f32-last/*/*.json")
    assert {json.loads(w.read_bytes())["device"]["units"] for w in winners} == {1, 3}


def test_what_was_measured_is_kept_unless_asked_again(monkeypatch):
    problem = "p5q4-A-c40-g1x8-f32-last"
    forward = tuned_by_the_command(f"forward/{problem}", 200)
    store(cache(), forward)
    x = torch.randn(200, 40)
    with torch.no_grad():
        kept = grkan.tune(GroupRational(40), x, budget=BUDGET)
        assert [(t.kept, t.after, t.after_ns) for t in kept] == [
            (True, forward["schedule"], forward["time_ns"]["median"])
        ]
        calls = []
        monkeypatch.setattr(
            _frameworks.FrameworkPlan, "tune", lambda self, **options: calls.append(options) or []
        )
        model = GroupRational(40)
        grkan.tune(model, x)
        assert calls == []
        grkan.tune(model, x, again=True)
        grkan.tune(model, x, effort="thorough", budget=7)
    assert [c["effort"] for c in calls] == [3, 4]
    assert (calls[1]["budget_seconds"], calls[1]["rows"], calls[1]["rows_hi"]) == (7, 200, 0)
    # Another size was not measured, nor were the gradients.
    with grkan.record() as more:
        model(torch.randn(1000, 40))
    grkan.tune(more)
    grkan.tune(model, x)
    assert [(c["rows"], c["direction"]) for c in calls[2:]] == [(1000, 1), (200, 2)]


@pytest.mark.parametrize(
    "channels, field, value",
    [(160, "disturbed", True), (168, "driver", "590"), (176, "binary", "")],
)
def test_what_rests_on_another_machine_is_timed_again(channels, field, value, monkeypatch):
    winner = tuned_by_the_command(f"forward/p5q4-A-c{channels}-g1x8-f32-last", 200)
    (winner["versions"] if field == "driver" else winner)[field] = value
    store(cache(), winner)
    calls = []
    monkeypatch.setattr(
        _frameworks.FrameworkPlan, "tune", lambda self, **options: calls.append(options) or []
    )
    with torch.no_grad():
        grkan.tune(GroupRational(channels), torch.zeros(200, channels))
    assert len(calls) == 1


def test_plans_that_are_there_take_the_winner():
    """What another process found meanwhile, of another size, is read by the way."""
    module = GroupRational(120)
    with torch.no_grad():
        (call,) = grkan.record(module, torch.zeros(300, 120))
        before = grkan.explain(call)["forward"]["schedule"]
        winner = tuned_by_the_command(call.task, 300)
        winner["schedule"] = winner["default"]["schedule"].replace("@slice256", "@slice64")
        store(cache(), winner)
        assert grkan.explain(call)["forward"]["schedule"] == before != winner["schedule"]
        grkan.tune(module, torch.zeros(5000, 120), budget=BUDGET)
    assert grkan.explain(call)["forward"]["schedule"] == winner["schedule"]


def test_a_range_of_rows(monkeypatch):
    module = GroupRational(16).requires_grad_(False)
    with grkan.record() as calls:
        for rows in (2, 3, 5, 9, 60):
            module(torch.zeros(rows, 16))
    tunings = grkan.tune(calls, budget=BUDGET)
    ends = [[int(end) for end in t.rows.split("..")] for t in tunings]
    assert ends[0][0] == 2 and ends[-1][-1] == 60
    for end, begin in zip(ends, ends[1:]):
        assert begin[0] == end[-1] + 1
    assert all(t.count == 5 for t in tunings)


def test_gradients_that_are_left_out_are_tuned_as_such():
    calls = grkan.record(GroupRational(56), torch.randn(50, 56))
    tunings = grkan.tune(calls, budget=BUDGET)
    assert tunings[1].task == "backward.da.db/p5q4-A-c56-g1x8-f32-last"
    document = grkan.explain(calls[1])["backward"]
    assert document["task"] == tunings[1].task and document["schedule"] == tunings[1].after
    if tunings[1].after_ns is not None:
        assert document["tuned"]["task"] == tunings[1].task


def test_ctrl_c_ends_it_with_what_was_found(monkeypatch):
    """While a kernel is built or timed, so that Python sees it at the next step."""
    told = []

    def within(self, part):
        told.append(part)
        if len(told) == 3:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(tuning._Progress, "within", within)
    with torch.no_grad(), pytest.raises(KeyboardInterrupt):
        grkan.tune(GroupRational(88), torch.zeros(3000, 88), effort="exhaustive")
    assert 3 <= len(told) < 50
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_raised_while_it_tunes_comes_through(monkeypatch):
    def within(self, part):
        raise RuntimeError("the terminal is gone")

    monkeypatch.setattr(tuning._Progress, "within", within)
    with torch.no_grad(), pytest.raises(RuntimeError, match="the terminal is gone"):
        grkan.tune(GroupRational(88), torch.zeros(300, 88), effort="exhaustive")


def test_tasks_that_fail_are_told(monkeypatch):
    tune = _frameworks.FrameworkPlan.tune
    failing = [2]

    def fail(self, **options):
        if options["direction"] in failing:
            raise OutOfMemory("no room; free some")
        return tune(self, **options)

    monkeypatch.setattr(_frameworks.FrameworkPlan, "tune", fail)
    module, x = GroupRational(72), torch.randn(10, 72)
    with pytest.warns(UserWarning, match=r"backward\.da\.db.* is not tuned: no room"):
        tunings = grkan.tune(module, x, budget=BUDGET, progress=False)
    assert [t.error for t in tunings] == [None, "no room; free some"]
    assert "failed" in str(tunings)
    failing.append(1)
    with pytest.raises(OutOfMemory, match="no room"):
        grkan.tune(module, x, again=True)


def test_progress_with_tqdm(monkeypatch, capsys):
    seen = []

    class Bar:
        def __init__(self, total, desc, bar_format):
            self.n = 0.0
            self.total = total

        def update(self, by):
            self.n += by
            seen.append(self.n)

        def set_description(self, text):
            seen.append(text)

        def close(self):
            seen.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    with torch.no_grad():
        grkan.tune(GroupRational(32), torch.zeros(20, 32), budget=BUDGET)
    assert seen[0] == "grkan 1/1 forward/p5q4-A-c32-g1x8-f32-last, 20 rows, cpu"
    steps = [at for at in seen if isinstance(at, float)]
    assert steps == sorted(steps) and steps[-1] == 1 and len(set(steps)) > 2
    assert seen[-1] == "closed"
    assert "tuning" not in capsys.readouterr().err


def test_progress_that_is_not_wanted(capsys):
    with torch.no_grad():
        grkan.tune(GroupRational(32), torch.zeros(21, 32), budget=BUDGET, progress=False)
    assert "tuning" not in capsys.readouterr().err


def test_what_can_not_be_tuned():
    module, x = GroupRational(16), torch.zeros(2, 16)
    with pytest.raises(InvalidArgument, match="effort 'much' is unknown; use quick") as caught:
        grkan.tune(module, x, effort="much")
    assert caught.value.field == "effort"
    for budget in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="budget"):
            grkan.tune(module, x, budget=budget)
    with pytest.raises(InvalidArgument, match="no GR-KAN call was made"):
        grkan.tune(nn.Linear(4, 4), torch.zeros(1, 4))
    with pytest.raises(TypeError, match="take no sample"):
        grkan.tune(grkan.record(module, x), x)
    with pytest.raises(ValueError, match="x has 15 channels"):
        grkan.tune(module, torch.zeros(2, 15))
    with pytest.raises(TypeError, match="not str"):
        grkan.tune("p5q4-A-c16-g1x8-f32-last")


# ---------------------------------------------------------------- explain


def test_explain_a_module():
    found = grkan.explain(GroupRational(136), 1000)
    assert found["forward"]["task"] == "forward/p5q4-A-c136-g1x8-f32-last"
    assert found["backward"]["task"] == "backward.dx.da.db/p5q4-A-c136-g1x8-f32-last"
    for direction, document in found.items():
        assert document["rows"] == 1000 and document["evidence"] == "default"
        assert document["schedule"] in str(found) and direction in str(found)
    json.dumps(found)


def test_explain_says_what_is_called():
    def problem(module, *size, **options):
        return grkan.explain(module, *size, **options)["forward"]["problem"]

    assert problem(GRKANLayer(24, 8), 5) == "p5q4-A-c24-g1x8-f32-last"
    assert problem(GroupRational(24), 5, dtype=torch.bfloat16) == "p5q4-A-c24-g1x8-bf16-last"
    first = GroupRational(24, channel_dim=1, num_groups=3)
    assert problem(first, 5, 49) == "p5q4-A-c24-g1x3-f32-first"
    assert problem(first, 5) == "p5q4-A-c24-g1x3-f32-last"
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert problem(GroupRational(24), 5) == "p5q4-A-c24-g1x8-f32:bf16-last"
    from grkan.compat.kat_rational import KAT_Group2D
    from grkan.compat.rational_kat import FlashKAT_Group

    assert problem(KAT_Group2D(4, "swish"), 2, 9, channels=8) == "p5q4-A-c8-g1x4-f32-first"
    assert problem(FlashKAT_Group(16, 1, 8, 6, 4, "swish"), 2) == "p5q4-A-c16-g1x8-f32-last"
    with pytest.raises(InvalidArgument, match="KAT_Group2D does not know its channels"):
        grkan.explain(KAT_Group2D(4, "swish"), 2)


def test_explain_a_problem():
    text = "p5q4-B-c104-g8-f32-last"
    by_text = grkan.explain(text, 3000)
    assert grkan.explain(grkan.Problem.parse(text), 3000) == by_text
    assert by_text["backward"]["device"] == "cpu"
    winner = tuned_by_the_command(f"forward/{text}", 3000)
    assert grkan.explain(text, 3000)["forward"]["evidence"] == "default"
    winner["schedule"] = winner["default"]["schedule"].replace("@slice256", "@slice64")
    store(cache(), winner)
    now = grkan.explain(text, 3000)  # as a process that begins now
    assert (
        now["forward"]["schedule"] == winner["schedule"] and now["forward"]["grade"] == "measured"
    )
    assert f"measured {winner['date'][:10]} at 3000 rows" in str(now)
    gpu = grkan.explain(text, 3000, device="virtual:h200")["forward"]
    assert gpu["target"] == "sm_90" and gpu["device"] == "virtual:h200"


def test_explain_a_call():
    x = torch.randn(6, 8, 5, 5, requires_grad=True)
    for call in grkan.record(GroupRational(8, channel_dim=1), x):
        ((direction, document),) = grkan.explain(call).items()
        assert direction == call.direction and document["task"] == call.task
        assert (document["rows"], document["inner"]) == (6, 25)
        assert grkan.explain(call, 70, 3)[direction]["rows"] == 70


def test_what_can_not_be_explained():
    module = GroupRational(16)
    for rows, inner, field in ((0, 1, "rows"), (-3, 1, "rows"), (4, 0, "inner")):
        with pytest.raises(InvalidArgument, match="use 1 or more") as caught:
            grkan.explain(module, rows, inner)
        assert caught.value.field == field
    with pytest.raises(InvalidArgument, match="use 1 or more"):
        grkan.explain(grkan.record(module, torch.zeros(2, 16))[0], 0)
    with pytest.raises(TypeError, match="needs rows"):
        grkan.explain(module)
    with pytest.raises(InvalidArgument, match="inner is 7"):
        grkan.explain(module, 4, 7)
    with pytest.raises(TypeError, match="not Linear; "):
        grkan.explain(nn.Linear(3, 3), 4)
    with pytest.raises(TypeError, match="not list"):
        grkan.explain([], 4)
    with pytest.raises(InvalidArgument):
        grkan.explain("p5q4", 4)
    with pytest.raises((InvalidArgument, NoDevice)):
        grkan.explain("p5q4-A-c16-g1x8-f32-last", 4, device="virtual:none")


def test_functions_are_recorded_too():
    x, _, a, b = case(3, (9, 16), groups=(1, 8))
    tunings = grkan.tune(lambda: group_rational(x, a, b), budget=BUDGET, progress=False)
    assert [t.rows for t in tunings] == ["9"]


def test_explain_of_what_has_a_device():
    with pytest.raises(InvalidArgument, match="device is for a problem"):
        grkan.explain(GroupRational(24), rows=5, device="virtual:h200")
    for rows in (2**64 + 5, 2**63, 0):
        with pytest.raises(InvalidArgument, match="is the size of no call"):
            grkan.explain("p5q4-A-c64-g8-f32-last", rows=rows)
    with pytest.raises(TypeError):
        grkan.explain("p5q4-A-c64-g8-f32-last", rows=5.5)
