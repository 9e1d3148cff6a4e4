"""Tunes a list over a local Ray cluster of two nodes, kills a worker in the middle, and holds the
winners to those of a run without Ray, byte for byte.

GRKAN_LONG: the same with winners predicted for a GPU, which takes minutes."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import ray
    from ray.cluster_utils import Cluster
except ImportError as error:
    print(f"SKIP: {sys.executable} has no Ray ({error}); scripts/test installs it into build/venv")
    sys.exit(77)  # CTest's word for it

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "integrations" / "ray"))
import grkan_ray  # noqa: E402

GRKAN = os.environ["GRKAN_COMMAND"]
DATED = {"SOURCE_DATE_EPOCH": "1764000000"}  # the driver's alone: it tells its nodes
TASKS = [
    "forward/p5q4-A-c32-g8-f32-last",
    "backward.dx.da.db/p5q4-A-c32-g8-f32-last",
    "forward/p5q4-A-c64-g8-f32-last",
    "backward.dx/p5q4-A-c64-g8-f32-last",
    "forward/p5q4-A-c96-g8-f32-last",
]

# Stands before grkan: notes which node it runs on and whether another part runs there too, and
# kills its worker in the third part that is begun.
WRAPPER = """#!/bin/sh
[ "$1" = tune ] || exec {grkan} "$@"
for n in 1 2 3 4 5 6 7 8 9; do mkdir {notes}/begun-$n 2>/dev/null && break; done
if [ $n = 3 ]; then
  kill -9 $PPID
  sleep 0.3
  mkdir {notes}/orphan
fi
mkdir {notes}/node-$RAY_RAYLET_PID 2>/dev/null
mkdir {notes}/busy-$RAY_RAYLET_PID 2>/dev/null || mkdir {notes}/shared
{grkan} "$@"
code=$?
rmdir {notes}/busy-$RAY_RAYLET_PID
exit $code
"""


def list_of(tasks):
    return "".join(json.dumps({"task": task, "rows": 200}) + "\n" for task in tasks)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class RayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Present Rays kill what a dead worker leaves; earlier ones left it to the worker.
        os.environ["RAY_process_group_cleanup_enabled"] = "0"
        os.environ["GRKAN_CUDA_DRIVER"] = "/nowhere/libcuda.so.1"
        os.umask(0o077)
        # Ray's own files too: nothing stays. Its sockets need a short path.
        cls.temporary = tempfile.mkdtemp(prefix="grkan_")
        os.environ["TMPDIR"] = cls.temporary
        tempfile.tempdir = cls.temporary
        node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 << 20}
        cls.cluster = Cluster(
            initialize_head=True, head_node_args={**node, "include_dashboard": False}
        )
        cls.cluster.add_node(**node)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.shutdown()
        shutil.rmtree(cls.temporary, ignore_errors=True)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="test_"))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def drive(self, text, words, grkan=GRKAN):
        """The driver's exit code, report (None where there is none) and what it said."""
        path = self.folder / "list.jsonl"
        path.write_text(text)
        call = [sys.executable, grkan_ray.__file__, str(path), "--cache", str(self.folder / "ray")]
        call += ["--grkan", str(grkan), "--address", self.cluster.address, "--json", *words]
        environment = {**os.environ, **DATED}
        done = subprocess.run(
            call, capture_output=True, text=True, check=False, env=environment
        )
        try:
            report = json.loads(done.stdout) if done.stdout else None
        except ValueError:
            self.fail(f"not one JSON document: {done.stdout}{done.stderr}")
        return done.returncode, report, done.stderr

    def tune_here(self, text, words):
        path = self.folder / "reference.jsonl"
        path.write_text(text)
        subprocess.run(
            [GRKAN, "tune", "--problems", path, "--cache", self.folder / "alone", *words],
            check=True,
            capture_output=True,
            env={**os.environ, **DATED},
        )

    def tune_both_ways(self, tasks, driver_words, words):
        notes = self.folder / "notes"
        notes.mkdir()
        wrapper = self.folder / "grkan"
        wrapper.write_text(WRAPPER.format(grkan=GRKAN, notes=notes))
        wrapper.chmod(0o700)
        text = list_of(tasks)
        code, report, said = self.drive(text, driver_words, wrapper)
        self.assertEqual(code, 0, said)
        self.assertEqual(report["tuned"], len(tasks), said)
        self.assertEqual(report["failed"], [])
        self.assertEqual(report["retries"], 1, said)
        self.assertIn("is tuned again: The worker died", said)
        self.assertIn(f"of {len(tasks)} parts, about", said)
        self.tune_here(text, words)
        winners = files_of(self.folder / "ray" / "winners")
        self.assertEqual(len(winners), len(tasks))
        self.assertEqual(winners, files_of(self.folder / "alone" / "winners"))
        for path, binary in files_of(self.folder / "ray" / "binaries").items():
            self.assertEqual(binary, (self.folder / "alone" / "binaries" / path).read_bytes())
        for winner in winners.values():
            name = json.loads(winner)["binary"]
            self.assertTrue((self.folder / f"ray/binaries/{name[:2]}/{name}.grkan").exists())
        return {path.name.rsplit("-", 1)[0] for path in notes.iterdir()}, notes

    def test_killed_worker_and_the_winners_of_a_run_without_ray(self):
        words = ["--effort", "instant"]
        seen, notes = self.tune_both_ways(TASKS, ["--", *words], words)
        self.assertNotIn("orphan", seen, "the command outlived its worker")
        self.assertNotIn("shared", seen, "two timing tasks shared a node")
        self.assertEqual(len(list(notes.glob("node-*"))), 2, "both nodes had a part")
        # Nothing is left on the nodes.
        self.assertEqual(list(pathlib.Path(tempfile.gettempdir()).glob("grkan-ray-*")), [])

    @unittest.skipUnless(os.environ.get("GRKAN_LONG"), "takes minutes: set GRKAN_LONG")
    def test_predicted_for_a_gpu(self):
        words = ["--effort", "instant"]
        self.tune_both_ways(
            TASKS[:3], ["--gpu", "h200", "--", *words], ["--gpu", "h200", *words]
        )

    def test_what_fails_is_told_and_the_rest_is_merged(self):
        too_large = '{"task": "forward/p5q4-A-c32-g8-f32-first", "inner": 4000000000000}\n'
        code, report, said = self.drive(
            too_large + list_of(TASKS[:1]), ["--", "--budget", "0.2s"]
        )
        self.assertEqual(code, 1)
        self.assertIsNotNone(report, said)
        self.assertEqual(report["tuned"], 1)
        self.assertEqual(len(report["failed"]), 1)
        self.assertIn("refused", report["failed"][0]["message"])
        self.assertEqual(report["retries"], 0, "what grkan refuses is not tried again")
        self.assertEqual(len(files_of(self.folder / "ray" / "winners")), 1)

    def test_wrong_calls(self):
        code, report, said = self.drive('{"tusk": 5}\n', [])
        self.assertEqual((code, report), (2, None))
        self.assertIn('standard input, line 1: unknown field "tusk"', said)
        code, _, said = self.drive(list_of(TASKS), ["--", "--effort", "much"])
        self.assertEqual(code, 2)
        self.assertIn("unknown effort 'much'", said)
        code, _, said = self.drive(list_of(TASKS), [], "/nowhere/grkan")
        self.assertEqual(code, 1)
        self.assertIn("/nowhere/grkan can't be run", said)
        code, _, said = self.drive(list_of(TASKS), ["--device", "cuda"])
        self.assertEqual(code, 1)
        self.assertIn("no node of the cluster can tune this", said)

    def test_parts(self):
        self.assertEqual(grkan_ray.parts_of("# none\n\n"), 1)
        self.assertEqual(grkan_ray.parts_of(list_of(TASKS + TASKS)), len(TASKS))
        kat = (ROOT / "examples" / "kat.jsonl").read_text()
        self.assertEqual(grkan_ray.parts_of(kat), 20)
        self.assertEqual(grkan_ray.parts_of("[1]\n5\n{}}\nnull\n"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
