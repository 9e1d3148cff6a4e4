"""Learns from recorded tables what the cost models miss, judges it by tables it never saw, and
writes it as the data that the product ships (core/learned.h).

    python bench/lab/learn/train.py [--tables build/bench/lab/tables] [--more FILE ...] [--judge]
                                    [--left-out FILE]

--more: measurements of caches, as `grkan cache export --measurements` writes them: of CPUs, and of
GPUs for what is learnt by estimates.
--judge: prints how good it is and writes nothing.
--left-out: also writes what trees that never saw a table say of its candidates, GPUs' from code,
for bench_replay --prior and the --left-out of bench_gpu_prediction and bench_cpu_prediction.

How it is judged. What is said of a table is said by trees that never saw it: they were grown on the
other tables, and their size was chosen, by the least squared error, on these others too (each of
five parts of them left out in turn). How far a prediction may be wrong, and by how much the best
must be ahead of the default, is taken from the errors in the other tables likewise. A CPU's table
is left out together with those of the same problem, whatever their direction and machine.

What is learnt: the logarithm of a candidate's time, less `physics` times the logarithm of the cost
model's, up to a constant of each table; candidates near the best count most.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tables import read_facts, read_measured
from terms import BEFORE, predict

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parents[3]
COVERAGE = 0.9  # Learned::kCoverage
# How many trees of how many leaves: which is chosen each time by tables that are not judged.
SIZES = ((100, 8), (100, 15), (200, 15))
CLIP = 0.7  # logarithms: how far one candidate's miss may pull
# Folders of kernels for an older target than the machine's: no such machine was timed.
OLDER_KERNELS = "-v3"
DIGITS = 6  # processors differ in the last of a logarithm's; trees shall not


@dataclass
class Tables:
    """Candidates of some tables, one after another, as bench_features tells them."""

    features: list[str]
    names: list[str]
    device: list[str]  # of each table
    known_as: list[str]  # to predictions
    table: NDArray[np.int64]  # of each candidate, its place in names
    schedule: list[str]
    x: Array
    log_ratio: Array  # to the table's first candidate
    log_us: Array
    log_physics: Array
    rounds: Array
    in_space: Mask
    default: NDArray[np.int64]  # of each table: its default of now, where it has that, or of then

    @staticmethod
    def read(text: str, device: str) -> Tables:
        lines = text.splitlines()
        columns = lines[0].split("\t")
        words = [line.split("\t") for line in lines[1:]]
        names = list(dict.fromkeys(row[0] for row in words))
        place = {name: number for number, name in enumerate(names)}
        table = np.array([place[row[0]] for row in words])
        numbers = np.array([[float(word) for word in row[3:]] for row in words])
        first = [int(np.argmax(table == number)) for number in range(len(names))]
        now = numbers[:, 4] == 1
        default = [
            int(np.argmax((table == number) & now)) if now[table == number].any() else begin
            for number, begin in enumerate(first)
        ]
        return Tables(
            features=columns[9:],
            names=names,
            device=[device] * len(names),
            known_as=[words[at][2] for at in first],
            table=table,
            schedule=[row[1] for row in words],
            x=numbers[:, 6:],
            log_ratio=np.log(numbers[:, 1]),
            log_us=np.log(numbers[:, 0]),
            log_physics=np.log(numbers[:, 5]),
            rounds=numbers[:, 2],
            in_space=numbers[:, 3] == 1,
            default=np.array(default),
        )

    @staticmethod
    def joined(parts: list[Tables]) -> Tables:
        tables = np.cumsum([0] + [len(part.names) for part in parts])
        candidates = np.cumsum([0] + [len(part.x) for part in parts])
        return Tables(
            features=parts[0].features,
            names=[name for part in parts for name in part.names],
            device=[device for part in parts for device in part.device],
            known_as=[name for part in parts for name in part.known_as],
            table=np.concatenate([p.table + t for p, t in zip(parts, tables, strict=False)]),
            schedule=[schedule for part in parts for schedule in part.schedule],
            x=np.concatenate([part.x for part in parts]),
            log_ratio=np.concatenate([part.log_ratio for part in parts]),
            log_us=np.concatenate([part.log_us for part in parts]),
            log_physics=np.concatenate([part.log_physics for part in parts]),
            rounds=np.concatenate([part.rounds for part in parts]),
            in_space=np.concatenate([part.in_space for part in parts]),
            default=np.concatenate(
                [p.default + c for p, c in zip(parts, candidates, strict=False)]
            ),
        )

    def each(self) -> Iterable[tuple[int, Mask]]:
        for number in range(len(self.names)):
            yield number, self.table == number

    def regret(self) -> Array:
        """Logarithms, behind the best of the space that was timed to the end."""
        regret = np.zeros(len(self.x))
        for number, rows in self.each():
            space = rows & self.in_space
            space[self.default[number]] = True
            to_the_end = space & (2 * self.rounds >= self.rounds[space].max())
            regret[rows] = self.log_ratio[rows] - self.log_ratio[to_the_end].min()
        return np.maximum(regret, 0)

    def weight(self) -> Array:
        """Near the best a candidate counts most; each table counts the same."""
        weight = np.exp(-self.regret() / 0.3) + 0.1
        for _, rows in self.each():
            weight[rows] *= 1000 / weight[rows].sum()
        return np.round(weight, DIGITS)

    def some(self, wanted: Mask) -> Tables:
        """Of each table whether it stays."""
        rows = wanted[self.table]
        place = np.cumsum(rows) - 1
        number = np.cumsum(wanted) - 1
        return Tables(
            features=self.features,
            names=[name for name, stays in zip(self.names, wanted, strict=True) if stays],
            device=[device for device, stays in zip(self.device, wanted, strict=True) if stays],
            known_as=[name for name, stays in zip(self.known_as, wanted, strict=True) if stays],
            table=number[self.table[rows]],
            schedule=[
                schedule for schedule, stays in zip(self.schedule, rows, strict=True) if stays
            ],
            x=self.x[rows],
            log_ratio=self.log_ratio[rows],
            log_us=self.log_us[rows],
            log_physics=self.log_physics[rows],
            rounds=self.rounds[rows],
            in_space=self.in_space[rows],
            default=place[self.default[wanted]],
        )

    def ratio_to_default(self, log_cost: Array) -> Array:
        return log_cost - log_cost[self.default][self.table]


@dataclass
class Learner:
    """A backend's: what is learnt, and from which tables."""

    tables: Tables
    physics: float  # the share of the cost model's logarithm
    group: Callable[[str, str], str]  # tables (name, device) of one group are left out together
    apart: dict[str, Callable[[str, str], str]]  # harder: all of one kind are left out
    folds: int
    target: Array = field(init=False)
    weights: Array = field(init=False)

    def __post_init__(self) -> None:
        t = self.tables
        self.weights = t.weight()
        target = t.log_ratio - self.physics * t.log_physics
        for _, rows in t.each():
            target[rows] -= np.average(target[rows], weights=self.weights[rows])
        self.target = np.round(np.clip(target, -CLIP, CLIP), DIGITS)

    def fit(self, rows: Mask, size: tuple[int, int]) -> lightgbm.Booster:
        trees, leaves = size
        parameters = {
            "objective": "regression",
            "num_leaves": leaves,
            "learning_rate": 0.1,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.5,
            "lambda_l2": 5.0,
            "seed": 1,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(self.tables.x[rows], self.target[rows], weight=self.weights[rows])
        return lightgbm.train(parameters, data, trees)

    def folds_of(self, group: Callable[[str, str], str], most: int) -> NDArray[np.int64]:
        """Of each candidate the fold it is left out in: whole groups, in the order they come."""
        names = [group(n, d) for n, d in zip(self.tables.names, self.tables.device, strict=True)]
        number = {name: at % most for at, name in enumerate(dict.fromkeys(names))}
        return np.array([number[name] for name in names])[self.tables.table]

    def best_size(self, rows: Mask) -> tuple[int, int]:
        fold = self.folds_of(self.group, 5)
        errors = []
        for size in SIZES:
            error = 0.0
            for left_out in range(5):
                judged = rows & (fold == left_out)
                if not judged.any():
                    continue
                said = self.fit(rows & (fold != left_out), size).predict(self.tables.x[judged])
                error += float(np.sum(self.weights[judged] * (said - self.target[judged]) ** 2))
            errors.append(error)
        return SIZES[int(np.argmin(errors))]

    def left_out(self, group: Callable[[str, str], str], most: int) -> Array:
        """The logarithm of each candidate's cost, by trees that saw nothing of its group."""
        fold = self.folds_of(group, most)
        cost = self.physics * self.tables.log_physics
        for left_out in np.unique(fold):
            judged = fold == left_out
            trees = self.fit(~judged, self.best_size(~judged))
            cost[judged] += trees.predict(self.tables.x[judged])
        return cost


def band_of(tables: Tables, log_cost: Array, some: Mask) -> tuple[float, float]:
    """Between which the error of a predicted ratio to the default lies in COVERAGE of the
    candidates that are predicted to be no slower than it, each table counting the same."""
    predicted = tables.ratio_to_default(log_cost)
    error = tables.ratio_to_default(tables.log_ratio) - predicted
    judged = some & tables.in_space & (predicted <= 0)
    judged[tables.default] = False
    counts = np.bincount(tables.table[judged], minlength=len(tables.names))
    return ends_of(error, judged, counts, tables.table)


def quantiles(values: Array) -> str:
    percent = [100 * np.quantile(values, q) for q in (0.5, 0.9, 1)]
    return f"{percent[0]:5.1f} {percent[1]:5.1f} {percent[2]:6.1f}"


def judge(tables: Tables, log_cost: Array, what: str) -> None:
    """A line: how the order is, the first, the first 8, and what is taken in the place of the
    default, where it is ahead by more than the errors in all other tables allow."""
    regret = np.expm1(tables.regret())
    ranks, first, few, taken, took, inside = [], [], [], [], 0, 0.0
    predicted = tables.ratio_to_default(log_cost)
    true = tables.ratio_to_default(tables.log_ratio)
    for number, rows in tables.each():
        candidates = np.flatnonzero(
            rows & (tables.in_space | (tables.default[number] == np.arange(len(rows))))
        )
        order = candidates[np.argsort(log_cost[candidates], kind="stable")]
        ranks.append(spearmanr(log_cost[candidates], tables.log_ratio[candidates])[0])
        first.append(regret[order[0]])
        few.append(regret[order[:8]].min())
        low, high = band_of(tables, log_cost, tables.table != number)
        ahead = predicted[order[0]] + high < 0
        took += ahead
        taken.append(true[order[0]] if ahead else 0.0)
        better = candidates[(predicted[candidates] <= 0) & (candidates != tables.default[number])]
        error = (true - predicted)[better]
        inside += np.mean((error >= low) & (error <= high)) if len(better) else COVERAGE
    ratio = np.exp(taken)
    near = int(np.sum(np.array(few) <= 0.05))
    columns = [
        f"{np.median(ranks):5.2f} {min(ranks):5.2f} ",
        quantiles(np.array(first)),
        quantiles(np.array(few)),
        f"{near:3} of {len(taken)} ",
        f"{took:3} {np.exp(np.mean(taken)):6.3f} {ratio.max():6.3f}",
        f"{np.sum(ratio > 1.02):3} {np.sum(ratio > 1.03):3}",
        f"{100 * inside / len(taken):4.0f}",
    ]
    print(f"{what:36}", *columns, flush=True)


HEADING = """Columns:
  correlation of ranks, median and least
  how far the predicted best is behind the best measured, in %: median, 9 of 10, worst
  the same of the best of the first 8
  tables whose first 8 hold one within 5 %
  how often the predicted best takes the default's place, what that makes of the default's time over
  all tables (geometric mean), and at worst; how often over 2 and over 3 %
  how often, in %, the true ratio of what is predicted to be no slower than the default lies within
  its band, which should be 90
"""


def time_band(tables: Tables, log_ns: Array, some: Mask) -> tuple[float, float]:
    """Likewise of the time itself: measured over predicted, of the default and what is predicted to
    be no slower."""
    judged = some & tables.in_space & (tables.ratio_to_default(log_ns) <= 0)
    judged[tables.default] = True
    counts = np.bincount(tables.table[judged], minlength=len(tables.names))
    return ends_of(tables.log_us + np.log(1e3) - log_ns, judged, counts, tables.table)


def ends_of(
    error: Array, judged: Mask, counts: NDArray[np.int64], table: NDArray[np.int64]
) -> tuple[float, float]:
    weight = 1 / np.maximum(counts, 1)[table[judged]]
    order = np.argsort(error[judged], kind="stable")
    part = np.cumsum(weight[order]) / weight.sum()
    ends = np.interp([(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], part, error[judged][order])
    return float(min(ends[0], 0)), float(max(ends[1], 0))


def node_text(node: dict) -> str:
    """A tree as core/learned.h has it: a node, its left branch, its right one."""
    if "leaf_value" in node:
        return f"={node['leaf_value']:.6g}"
    assert node["decision_type"] == "<=", node["decision_type"]
    left, right = node_text(node["left_child"]), node_text(node["right_child"])
    return f"{node['split_feature']}<{node['threshold']:.9g} {left} {right}"


def data_text(
    learner: Learner, trees: lightgbm.Booster, about: dict[str, str], bands: list[str]
) -> str:
    t = learner.tables
    out = io.StringIO()
    print("grkan-learned 1", file=out)
    for name, value in about.items():
        print(name, value, file=out)
    print(f"physics {learner.physics:g}", file=out)
    for band in bands:
        print("band", band, file=out)
    for place, name in enumerate(t.features):
        column = t.x[:, place]
        print(f"feature {name} {column.min():.9g} {column.max():.9g}", file=out)
    for tree in trees.dump_model()["tree_info"]:
        print("tree", node_text(tree["tree_structure"]), file=out)
    return out.getvalue()


def write(path: Path, text: str) -> None:
    path.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path.with_suffix(path.suffix + ".sha256").write_text(f"{digest}  {path.name}\n")
    print(f"{path.relative_to(ROOT)}: {len(text)} bytes")


def told(program: Path, *arguments: str | Path) -> str:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def logged(program: Path, files: list[Path], kind: str) -> list[Tables]:
    parts = []
    for file in files:
        text = told(program, "--log", file, "--kind", kind)
        if text.count("\n") > 1:
            parts.append(Tables.read(text, file.stem))
    return parts


def word(name: str, place: int) -> str:
    """Of a table's name, as "forward-p5q4-A-c768-g1x8-f32-last-3152.jsonl", from its end."""
    return name.removesuffix(".jsonl").split("-")[place]


def problem_of(name: str, device: str) -> str:
    return name.split("-", 1)[1]


KINDS: dict[str, Callable[[str, str], str]] = {
    "width": lambda name, device: word(name, -5),
    "type": lambda name, device: word(name, -3),
    "direction": lambda name, device: word(name, 0),
    "target": lambda name, device: OLDER_KERNELS if OLDER_KERNELS in device else "its own",
}


def bands(learner: Learner, log_cost: Array, unseen: Array, log_ns: dict[str, Array]) -> list[str]:
    """The bands of each basis; the second array orders what was never seen."""
    t = learner.tables
    every = np.ones(len(t.x), bool)
    costs = {"learnt": log_cost, "far": t.log_physics, "unseen": unseen}
    lines = []
    for basis, cost in costs.items():
        ends = (*band_of(t, cost, every), *time_band(t, log_ns[basis], every))
        lines.append(" ".join([basis, *(f"{end:.4f}" for end in ends)]))
    return lines


def gpu_learner(
    program: Path, tables: Path, counts: str, more: list[Path]
) -> tuple[Learner, Array]:
    """And the physics' logarithm as it was before any time of a GPU was known (terms.py)."""
    measured, facts = tables / "measured/h200", tables / "facts/h200"
    told_by = ("--measured", measured, "--facts", facts, "--counts")
    data = Tables.read(told(program, *told_by, counts), "h200")
    others = logged(program, more, "cuda") if counts == "estimated" else []
    learner = Learner(
        tables=Tables.joined([data, *others]),
        physics=1,
        group=lambda name, device: name,
        apart={kind: KINDS[kind] for kind in ("width", "type", "direction")},
        folds=1000,
    )
    known = read_measured(str(measured))
    _, _, launches = read_facts(str(facts), known, "from_code")
    before = np.log(predict(launches, BEFORE)) + np.log(1e3)
    if counts == "estimated":  # as wrong as both
        counted = Tables.read(told(program, *told_by, "from_code"), "h200")
        before += data.log_physics - counted.log_physics
    # Of what is sent in nothing older is known than the model of now.
    return learner, np.concatenate([before, *(other.log_physics for other in others)])


def cpu_learner(program: Path, tables: Path, more: list[Path]) -> Learner:
    parts = []
    for folder in sorted(path for path in (tables / "measured").iterdir() if path.name != "h200"):
        parts.append(Tables.read(told(program, "--measured", folder), folder.name))
    parts += logged(program, more, "cpu")
    return Learner(
        tables=Tables.joined(parts),
        physics=0.5,
        group=problem_of,
        apart={kind: KINDS[kind] for kind in ("type", "direction", "target")},
        folds=16,
    )


def write_left_out(path: Path | None, tables: Tables, log_cost: Array) -> None:
    """Lines of folder, table, schedule and the logarithm of its cost in ns."""
    if path is None:
        return
    with path.open("a") as out:
        for at, place in enumerate(tables.table):
            words = (tables.device[place], tables.names[place], tables.schedule[at])
            print(*words, f"{log_cost[at]:.6g}", sep="\t", file=out)


def learn_gpu(options: argparse.Namespace, counts: str, path: str) -> None:
    gpu, before = gpu_learner(options.program, options.tables, counts, options.more)
    t = gpu.tables
    what = "GPU" if counts == "from_code" else "GPU, estimated"
    judge(t, t.log_physics, f"{what}: the cost model")
    cost = gpu.left_out(gpu.group, gpu.folds)
    judge(t, cost, f"{what}: a table left out")
    if counts == "from_code":
        write_left_out(options.left_out, t, cost)
    for kind, group in gpu.apart.items():
        judge(t, gpu.left_out(group, 1000), f"{what}: a {kind} left out")
    judge(t, before, f"{what}: the cost model, no GPU known")
    if options.judge:
        return
    every = np.ones(len(t.x), bool)
    trees = gpu.fit(every, gpu.best_size(every))
    devices = sorted(set(t.known_as))
    about = {
        "from": f"{len(t.names)} tables of {' '.join(devices)}, {len(t.x)} schedules",
        "devices": " ".join(devices),
        "unseen": "physics",
    }
    times = {"learnt": cost, "far": t.log_physics, "unseen": before}
    write(ROOT / path, data_text(gpu, trees, about, bands(gpu, cost, before, times)))


def learn_cpu(options: argparse.Namespace, path: str) -> None:
    cpu = cpu_learner(options.program, options.tables, options.more)
    t = cpu.tables
    print(f"CPU: {len(t.names)} tables, {len(t.x)} schedules")
    by_device = {
        name: np.array([device == name for device in t.device]) for name in sorted(set(t.device))
    }

    def judge_each(log_cost: Array, what: str) -> None:
        for name, tables in by_device.items():
            judge(t.some(tables), log_cost[tables[t.table]], f"CPU {name}: a {what} left out")

    cost = cpu.left_out(cpu.group, cpu.folds)
    write_left_out(options.left_out, t, cost)
    judge_each(cost, "problem")
    apart = {kind: cpu.left_out(group, 1000) for kind, group in cpu.apart.items()}
    for kind, log_cost in apart.items():
        judge_each(log_cost, kind)
    if options.judge:
        return
    every = np.ones(len(t.x), bool)
    trees = cpu.fit(every, cpu.best_size(every))
    known = zip(t.known_as, t.device, strict=True)
    timed = sorted({name for name, device in known if OLDER_KERNELS not in device})
    about = {
        "from": f"{len(t.names)} tables of {' '.join(timed)}, {len(t.x)} schedules",
        "devices": " ".join(timed),
        "unseen": "trees",
    }
    times = dict.fromkeys(("learnt", "far", "unseen"), t.log_physics)
    write(ROOT / path, data_text(cpu, trees, about, bands(cpu, cost, apart["target"], times)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tables", type=Path, default=ROOT / "build/bench/lab/tables")
    parser.add_argument("--more", type=Path, nargs="*", default=[])
    parser.add_argument("--program", type=Path, default=ROOT / "build/bin/bench_features")
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--left-out", type=Path)
    parser.add_argument("--only", choices=("cuda", "cpu"))
    options = parser.parse_args()

    if options.left_out is not None:
        options.left_out.write_text("")
    print(HEADING)
    if options.only != "cpu":
        learn_gpu(options, "from_code", "cuda/learned.txt")
        learn_gpu(options, "estimated", "cuda/learned_estimated.txt")
    if options.only != "cuda":
        learn_cpu(options, "cpu/learned.txt")


if __name__ == "__main__":
    main()
