#!/usr/bin/env python3
"""The house stands as docs/design.md draws it: who includes whom, and where kinds of schedules are named.

Reads the table of folders there. Fails with a line for each include that the table does not allow, each folder
that has sources and no row, each arrow of the picture that is not in the table (or the other way round), and
each place outside their rooms that names CpuSchedule or CudaSchedule.
"""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
DESIGN = (ROOT / "docs/design.md").read_text()
SOURCES = (".h", ".cpp", ".c", ".cu", ".h.in")
# The rooms of one kind of device, and the one place that says which target has which.
OF_SCHEDULES = re.compile(r"^(cpu|cuda|codegen/cpu|codegen/cuda|runtime/backends\.cpp|tests/|bench/)")


def table():
    """Folder -> the folders that it may include."""
    section = DESIGN[DESIGN.index("## The folders"):]
    rows = {}
    for line in section.splitlines()[1:]:
        if line.startswith("## "):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            rows[cells[0].strip("`/")] = set(re.findall(r"`(\w+)/`", cells[2]))
    return rows


def picture():
    """The arrows of the picture: (from, to)."""
    mermaid = re.search(r"```mermaid\n(.*?)```", DESIGN, re.S).group(1)
    arrows = set()
    for line in mermaid.splitlines():
        found = re.match(r"\s*([\w &]+?)\s*-->\s*([\w &]+)", line)
        if found:
            for start in found.group(1).split("&"):
                for end in found.group(2).split("&"):
                    arrows.add((start.strip(), end.strip()))
    return arrows


def files():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if name.endswith(SOURCES) and (ROOT / name).is_file()]


class Structure(unittest.TestCase):
    def test_folders_include_what_the_table_allows(self):
        rows = table()
        wrong = []
        for name in files():
            folder = name.split("/")[0]
            if folder not in rows:
                wrong.append(f"{name}: docs/design.md has no row for {folder}/")
                continue
            for line in (ROOT / name).read_text(errors="replace").splitlines():
                found = re.match(r'\s*#\s*include "(\w+)/', line)
                if found and found.group(1) in rows and found.group(1) not in rows[folder] | {folder}:
                    wrong.append(f"{name}: includes {found.group(1)}/, which {folder}/ may not")
        self.assertEqual(wrong, [])

    def test_the_picture_is_the_table(self):
        product = {"core", "cpu", "cuda", "cache", "codegen", "tuner", "runtime", "compiler", "cli", "virtual_gpu",
                   "templates"}
        rows = table()
        expected = {(a, b) for a in product for b in rows[a] if b in product and b != "core"}
        drawn = {(a, b) for a, b in picture() if b != "core"}
        self.assertEqual(sorted(drawn), sorted(expected))

    def test_kinds_of_schedules_are_named_in_their_rooms(self):
        wrong = []
        for name in files():
            if OF_SCHEDULES.match(name):
                continue
            for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
                if re.search(r"\b(CpuSchedule|CudaSchedule)\b", line):
                    wrong.append(f"{name}:{number}: {line.strip()}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
