"""Tunes a list of problems (docs/tuning.md) over the nodes of a Ray cluster.

    python grkan_ray.py kat.jsonl --cache tuned --gpu h200 -- --effort quick

The list is cut into parts with `grkan tune --shard k/N`. Each part is a Ray task that tunes into a
cache folder of its own on its node and sends that folder back; `grkan cache merge` brings what came
back into --cache. A part whose worker or node dies is tuned again, on the same node going on where
it stopped.

What is tuned decides who gets a part, and with what of a node:
  --gpu MODEL    predicted, for a GPU that is not here: any node, one CPU
  --device cuda  timed: each kind of GPU in the cluster gets every part, one GPU each
  --device cpu   timed: each kind of node gets every part, a whole node each
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

INVALID_CALL = 2  # grkan's exit code for a call that no retry mends


@dataclasses.dataclass
class Job:
    """What the parts of a run have in common; goes to the nodes."""

    grkan: str  # the command, by a path that every node has
    words: list  # of `grkan tune`, beside list, shard and cache
    text: str  # the list
    parts: int
    run: str  # names the folders of this run on the nodes
    environment: dict  # variables of the driver that decide the result


@dataclasses.dataclass
class Outcome:
    """What a part gave."""

    exit_code: int
    message: str  # the last line of standard error
    tuned: int  # tasks
    files: dict  # of the cache folder: bytes by path


@dataclasses.dataclass(frozen=True)
class Part:
    number: int  # k of --shard k/N
    kind: str  # of the node or GPU it is tuned for


@dataclasses.dataclass
class Slots:
    """What a node has room for."""

    kind: str
    count: int  # parts at a time
    takes: dict  # Ray's options for one part


# ---- on a node


class Failed(Exception):
    """Ends the driver with this message and exit code: 2 where the call is wrong."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def run_command(words, environment=None, text=""):
    return subprocess.run(
        words,
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("grkan: ") if lines else ""


def folder_of(run):
    return pathlib.Path(tempfile.gettempdir()) / f"grkan-ray-{os.getuid()}-{run}"


def tune_part(job, number):
    """Tunes a part in a folder that a second try on this node finds again."""
    folder = folder_of(job.run) / f"{number}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A command must not outlive its worker: the next one would be timed beside it.
    guard = ["setpriv", "--pdeathsig", "KILL", "--"]
    words = [job.grkan, "tune", "--problems", "-", "--shard", f"{number}/{job.parts}"]
    words += ["--cache", str(folder), "--json", *job.words]
    done = run_command(guard + words, job.environment, job.text)
    files = {}
    for name in ("winners", "binaries", "measurements"):
        for path in (folder / name).rglob("*"):
            if path.is_file():
                files[str(path.relative_to(folder))] = path.read_bytes()
    try:
        tuned = len(json.loads(done.stdout).get("results", []))
    except ValueError:  # it was killed
        tuned = 0
    return Outcome(done.returncode, last_line(done.stderr), tuned, files)


def describe_node(grkan):
    """What `grkan devices` tells; raises where there is no grkan."""
    try:
        done = run_command([grkan, "devices", "--json"])
    except OSError as error:
        raise RuntimeError(f"{grkan} can't be run ({error.strerror}); use --grkan PATH") from None
    if done.returncode != 0:
        raise RuntimeError(f"{grkan} devices failed: {last_line(done.stderr)}")
    return json.loads(done.stdout)


def remove_folder(run):
    shutil.rmtree(folder_of(run), ignore_errors=True)


# ---- on the driver


def on_node(node, function, **options):
    """A Ray task that runs on that node alone. Failures are ours to handle: Ray retries none."""
    here = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(function).options(scheduling_strategy=here, max_retries=0, **options)


def reason_of(error):
    """A line from what Ray raised: the task's own exception, or why it has none."""
    cause = getattr(error, "cause", None)
    return last_line(str(cause)) if cause else str(error).strip().split("\n")[0].split(". ")[0]


def alive_nodes():
    return {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}


def slots_of(mode, node, devices):
    """What a node has room for; None where it can't take part."""
    cpus = node["Resources"].get("CPU", 0)
    gpus = int(node["Resources"].get("GPU", 0))
    if mode == "predicted":
        return Slots("predicted", int(cpus), {"num_cpus": 1}) if cpus >= 1 else None
    if mode == "gpu":
        names = [n for n in node["Resources"] if n.startswith("accelerator_type:")]
        kind = names[0].split(":", 1)[1] if names else "GPU"
        return Slots(kind, gpus, {"num_gpus": 1}) if gpus >= 1 else None
    # The CPU: with all of its CPUs taken, nothing else that asks Ray runs beside it.
    cpu = devices["devices"][0]
    kind = f"{cpu['model']}, {cpu['architecture']}, {cpu['threads']} threads"
    return Slots(kind, 1, {"num_cpus": cpus}) if cpus > 0 else None


class Driver:
    def __init__(self, job, mode, retries, say):
        self.job = job
        self.mode = mode
        self.retries = retries
        self.say = say
        self.slots = {}  # by node
        self.waiting = {}  # parts by kind
        self.running = {}  # (part, node) by Ray's reference
        self.tries = collections.Counter()
        self.outcomes = {}  # by part
        self.failures = {}  # messages by part
        self.started = time.monotonic()

    def find_nodes(self):
        """Asks nodes that are new what they are; a kind that is new gets every part."""
        new = {id: node for id, node in alive_nodes().items() if id not in self.slots}
        asked = {id: on_node(id, describe_node, num_cpus=0).remote(self.job.grkan) for id in new}
        for node, reference in asked.items():
            try:
                self.slots[node] = slots_of(self.mode, new[node], ray.get(reference))
            except ray.exceptions.RayError as error:
                self.slots[node] = None
                address = new[node]["NodeManagerAddress"]
                self.say(f"node {address} is not used: {reason_of(error)}")
            slots = self.slots[node]
            if slots and slots.kind not in self.waiting:
                parts = [Part(k, slots.kind) for k in range(1, self.job.parts + 1)]
                self.waiting[slots.kind] = collections.deque(parts)

    def start_parts(self):
        alive = alive_nodes()
        for node, slots in self.slots.items():
            if node not in alive or not slots:
                continue
            busy = sum(1 for _, other in self.running.values() if other == node)
            waiting = self.waiting[slots.kind]
            for _ in range(min(slots.count - busy, len(waiting))):
                part = waiting.popleft()
                task = on_node(node, tune_part, **slots.takes).remote(self.job, part.number)
                self.running[task] = (part, node)

    def try_again(self, part, message):
        self.tries[part] += 1
        if self.tries[part] > self.retries:
            self.failures[part] = f"{message} ({self.tries[part]} tries)"
            return
        self.say(f"part {part.number} for {part.kind} is tuned again: {message}")
        self.waiting[part.kind].appendleft(part)

    def finish_part(self, reference):
        part, _ = self.running.pop(reference)
        try:
            outcome = ray.get(reference)
        except ray.exceptions.RayError as error:  # the worker or the node died
            self.try_again(part, reason_of(error))
            return
        if outcome.exit_code == INVALID_CALL:
            raise Failed(outcome.message, INVALID_CALL)
        if outcome.exit_code < 0:
            self.try_again(part, f"grkan was ended by signal {-outcome.exit_code}")
            return
        # grkan has tried: what it could tune is there, and what failed would fail again.
        self.outcomes[part] = outcome
        if outcome.exit_code != 0:
            self.failures[part] = outcome.message

    def show_progress(self):
        done = len(self.outcomes.keys() | self.failures.keys())
        total = self.job.parts * len(self.waiting)
        if done:
            left = (time.monotonic() - self.started) / done * (total - done)
            self.say(f"{done} of {total} parts, about {left:.0f} s left")

    def run(self):
        self.find_nodes()
        if not self.waiting:
            raise Failed("no node of the cluster can tune this; see --help")
        while True:
            self.start_parts()
            if not self.running:
                break
            ready, _ = ray.wait(list(self.running), timeout=5)
            for reference in ready:
                self.finish_part(reference)
            if ready:
                self.show_progress()
            self.find_nodes()
        for kind, parts in self.waiting.items():
            for part in parts:
                self.failures[part] = f"no node for {kind} is left"

    def clean_nodes(self):
        alive = alive_nodes()
        used = [node for node, slots in self.slots.items() if slots and node in alive]
        ray.wait(
            [on_node(node, remove_folder, num_cpus=0).remote(self.job.run) for node in used],
            num_returns=len(used),
            timeout=30,
        )


def merge(grkan, cache, outcomes):
    """Into `cache`; returns the document of grkan cache merge, None where nothing came back."""
    outcomes = [outcome for outcome in outcomes if outcome.files]
    if not outcomes:
        return None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="grkan-ray-merge-"))
    sources = []
    for number, outcome in enumerate(outcomes):
        sources.append(str(folder / f"{number}"))
        for name, content in outcome.files.items():
            path = folder / f"{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    done = run_command([grkan, "cache", "merge", "--json", "--cache", cache, *sources])
    if done.returncode != 0:
        raise Failed(f"{last_line(done.stderr)}; what was tuned lies in {folder}")
    shutil.rmtree(folder)
    return json.loads(done.stdout)


def tasks_of(entry):
    directions = [""] if "task" in entry else [entry.get("direction", "both")]
    if directions == ["both"]:
        directions = ["forward", "backward"]
    return {f"{direction} {entry.get('task', entry.get('problem'))}" for direction in directions}


def parts_of(text):
    """A part for each task of the list. What is wrong with a line is grkan's to say."""
    tasks = set()
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # a comment, or wrong
            continue
        if isinstance(entry, dict):
            tasks |= tasks_of(entry)
    return max(1, len(tasks))


def mode_of(arguments):
    if arguments.gpu:
        return "predicted"
    return "gpu" if arguments.device == "cuda" else "cpu"


def words_of(arguments):
    if arguments.gpu:
        return ["--gpu", arguments.gpu, *arguments.tune]
    # Ray shows a task the GPU it was given as the first and only one.
    return ["--device", "cuda:0" if arguments.device == "cuda" else "cpu", *arguments.tune]


def parse_arguments(words):
    # What stands behind -- is for grkan tune.
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", help="problems, a line of JSON each; -: standard input")
    parser.add_argument("--cache", required=True, help="the folder that the results go to")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--gpu", help="predict for this GPU model (grkan devices lists them)")
    what.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="time on the nodes'")
    parser.add_argument("--grkan", default="grkan", help="the command, as every node finds it")
    parser.add_argument("--address", help="of the cluster; else Ray's own rules")
    parser.add_argument("--parts", type=int, help="of the list; else one for each task")
    parser.add_argument("--retries", type=int, default=3, help="of a part whose worker died")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args(words[:split])
    if arguments.parts is not None and arguments.parts < 1:
        parser.error(f"argument --parts: {arguments.parts} is not 1 or more")
    if arguments.retries < 0:
        parser.error(f"argument --retries: {arguments.retries} is not 0 or more")
    arguments.tune = words[split + 1 :]
    return arguments


def read_list(path):
    try:
        return sys.stdin.read() if path == "-" else pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} can't be read: {error}") from None


def tune_list(arguments, say):
    """Returns the report; Ray is connected."""
    text = read_list(arguments.list)
    job = Job(
        grkan=arguments.grkan,
        words=words_of(arguments),
        text=text,
        parts=arguments.parts or parts_of(text),
        run=uuid.uuid4().hex[:12],
        environment={n: os.environ[n] for n in ("SOURCE_DATE_EPOCH",) if n in os.environ},
    )
    driver = Driver(job, mode_of(arguments), arguments.retries, say)
    try:
        driver.run()
    finally:
        # What is there is kept whatever ended the run: Ctrl-C too.
        outcomes = list(driver.outcomes.values())
        merged = merge(arguments.grkan, arguments.cache, outcomes)
        driver.clean_nodes()
    for part, message in driver.failures.items():
        say(f"part {part.number} for {part.kind} failed: {message}")
    return {
        "kinds": sorted(driver.waiting),
        "parts": job.parts,
        "tuned": sum(outcome.tuned for outcome in outcomes),
        "retries": sum(driver.tries.values()),
        "failed": [
            {"part": part.number, "kind": part.kind, "message": message}
            for part, message in driver.failures.items()
        ],
        "merge": merged,
    }


def main(words):
    arguments = parse_arguments(words)

    def say(line):
        print(f"grkan_ray: {line}", file=sys.stderr, flush=True)

    try:
        describe_node(arguments.grkan)  # it merges here, at the end
        ray.init(address=arguments.address, log_to_driver=False, logging_level="WARNING")
        # The nodes get this module's functions by value: they need not have the file.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        with contextlib.redirect_stdout(sys.stderr):  # Ray prints what it has to say
            report = tune_list(arguments, say)
    except Failed as error:
        say(error)
        return error.code
    except (ConnectionError, RuntimeError) as error:
        say(error)
        return 1
    finally:
        ray.shutdown()
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        merged = report["merge"] or {"winners": 0, "conflicts": []}
        print(
            f"{report['tuned']} tasks tuned, {merged['winners']} winners new in {arguments.cache}, "
            f"{len(merged['conflicts'])} conflicts, {len(report['failed'])} parts failed"
        )
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    os.umask(0o077)  # what others can write, grkan does not read
    sys.exit(main(sys.argv[1:]))
