"""The C ABI as ctypes declares it, held to grkan.h; problems and errors."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grkan
from grkan import _frameworks, _library, errors
from grkan.problem import Problem

ROOT = Path(__file__).parents[2]
HEADER = ROOT / "runtime" / "include" / "grkan.h"
FRAMEWORKS_HEADER = ROOT / "python" / "src" / "recording.h"
FRAMEWORKS_STRUCTS = {"PlanKey": _frameworks.PlanKey, "RecordedCall": _frameworks.RecordedCall}

STRUCTS = {
    "grkan_text": _library.Text,
    "grkan_problem": _library.Problem,
    "grkan_context_options": _library.ContextOptions,
    "grkan_forward_args": _library.ForwardArgs,
    "grkan_backward_args": _library.BackwardArgs,
    "grkan_tune_options": _library.TuneOptions,
}


def header() -> str:
    """grkan.h without comments and line breaks."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


def kind_of(declaration: str):
    """The ctypes type of a C declaration, pointers all being alike."""
    if "*" in declaration:
        return "pointer"
    words = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "size_t": ctypes.c_size_t,
             "grkan_status": ctypes.c_int32, "void": None}  # fmt: skip
    return words[declaration.replace("const ", "").split()[0]]


def kind(declared):
    plain = (ctypes.c_int32, ctypes.c_int64, ctypes.c_size_t, None)
    return declared if declared in plain else "pointer"


def test_every_function_is_declared_as_in_the_header():
    found = re.findall(r"GRKAN_API ([\w ]+?\*? ?)(grkan_\w+)\(([^)]*)\);", header())
    assert len(found) >= 22
    assert {name for _, name, _ in found} == set(_library.FUNCTIONS)
    for result, name, arguments in found:
        declared_result, declared = _library.FUNCTIONS[name]
        assert kind_of(result) == kind(declared_result), name
        expected = [] if arguments == "void" else [kind_of(each) for each in arguments.split(",")]
        assert [kind(each) for each in declared] == expected, name


def test_every_struct_has_the_fields_of_the_header():
    found = re.findall(r"typedef struct (\w+) \{(.*?)\} \w+;", header())
    assert {name for name, _ in found} == set(STRUCTS)
    for name, body in found:
        fields = [re.search(r"(\w+)$", each.strip()).group(1) for each in body.split(";")[:-1]]
        assert [each[0] for each in STRUCTS[name]._fields_] == fields


@pytest.mark.parametrize(
    ("language", "header", "structs"),
    [("c", HEADER, STRUCTS), ("cpp", FRAMEWORKS_HEADER, FRAMEWORKS_STRUCTS)],
)
def test_every_field_lies_where_the_compiler_puts_it(tmp_path, language, header, structs):
    compiler = shutil.which("cc" if language == "c" else "c++")
    if compiler is None:
        pytest.skip(f"no compiler of {language} on this machine")
    lines = []
    for name, struct in structs.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field, _ in struct._fields_:
            place = f"{name}, {field}"
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof({place}));')
    source = tmp_path / f"offsets.{language}"
    include = f'#include "{header}"\n#include <stddef.h>\n#include <stdio.h>\n'
    using = "" if language == "c" else "using namespace grkan::frameworks;\n"
    source.write_text(f"{include}{using}int main(void) {{ {' '.join(lines)} }}\n")
    options = [] if language == "c" else ["-std=c++20", f"-I{ROOT}", f"-I{HEADER.parent}"]
    subprocess.run([compiler, *options, source, "-o", tmp_path / "offsets"], check=True)
    told = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True)
    for line in told.stdout.splitlines():
        name, number = line.split()
        struct, _, field = name.partition(".")
        ours = structs[struct]
        expected = getattr(ours, field).offset if field else ctypes.sizeof(ours)
        assert expected == int(number), name


def test_constants_are_those_of_the_header():
    def number(name):
        return int(re.search(rf"\b{name} = (\d+)", header()).group(1))

    assert (_library.DX, _library.DA, _library.DB) == tuple(
        number(f"GRKAN_{name}") for name in ("DX", "DA", "DB")
    )
    assert (_library.FORWARD, _library.BACKWARD) == (
        number("GRKAN_FORWARD"),
        number("GRKAN_BACKWARD"),
    )
    statuses = re.findall(r"GRKAN_(\w+) = (\d+)", header().split("GRKAN_VERSION")[0])
    assert {int(value) for _, value in statuses} == {0, *errors.BY_STATUS}
    lib = _library.library()
    for status, error in errors.BY_STATUS.items():
        assert lib.grkan_status_name(status).decode() == error.status


@pytest.mark.parametrize(
    "text",
    ["p5q4-A-c768-g8-f32-last", "p5q4-A-c768-g1x8-f32:bf16-last", "p0q15-C-c1-g1-f64-first",
     "p3q3-N-c12-g3x4-f16-last", "p1q0-S-c2-g2-bf16:f32-first", "p1q1-B-c7-g7-bf16-last"],
)  # fmt: skip
def test_problem_prints_what_it_parses(text):
    problem = Problem.parse(text)
    assert str(problem) == text
    assert Problem.parse(str(problem)) == problem and len({problem, Problem.parse(text)}) == 1


@pytest.mark.parametrize(
    "change, field",
    [({"numerator_degree": 16}, "numerator_degree"), ({"channels": 0}, "channels"),
     ({"numerator_groups": 5}, "numerator_groups"), ({"variant": "Z"}, "variant"),
     ({"x_type": "f8"}, "x_type"), ({"y_type": "f64"}, "y_type"), ({"layout": "x"}, "layout")],
)  # fmt: skip
def test_wrong_problem_names_its_field(change, field):
    right = dict(numerator_degree=5, denominator_degree=4, variant="A", channels=64,
                 numerator_groups=8, denominator_groups=8)  # fmt: skip
    Problem(**right)
    with pytest.raises(ValueError) as caught:
        Problem(**{**right, **change})
    assert isinstance(caught.value, errors.InvalidArgument) and caught.value.field == field


def test_wrong_text_is_refused():
    with pytest.raises(errors.InvalidArgument, match="expected"):
        Problem.parse("p5q4")


def test_errors_are_of_the_kinds_that_python_has():
    assert issubclass(errors.InvalidArgument, ValueError)
    assert issubclass(errors.OutOfMemory, MemoryError)
    assert issubclass(errors.LibraryMissing, ImportError)
    assert all(issubclass(kind, grkan.GrkanError) for kind in errors.BY_STATUS.values())


def run(script: str, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_missing_library_says_where_it_was_looked_for(tmp_path):
    ran = run("import grkan; grkan.__version__", GRKAN_LIBRARY_DIR=str(tmp_path))
    assert ran.returncode == 1
    assert f"LibraryMissing: {tmp_path}/libgrkan.so.0.1 can't be opened" in ran.stderr
    assert "GRKAN_LIBRARY_DIR" in ran.stderr


def test_foreign_library_is_refused(tmp_path):
    shutil.copy(Path(_library.folder()) / "libgrkan_compiler.so", tmp_path / "libgrkan.so.0.1")
    ran = run("import grkan; grkan.__version__", GRKAN_LIBRARY_DIR=str(tmp_path))
    assert "LibraryMissing" in ran.stderr and "grkan_version" in ran.stderr


def test_import_opens_nothing():
    ran = run("import grkan; print('libgrkan' in open('/proc/self/maps').read())")
    assert ran.stdout.strip() == "False", ran.stderr


def test_names_of_the_package():
    assert re.fullmatch(r"\d+\.\d+\.\d+", grkan.__version__)
    assert grkan.Problem is Problem and "numpy" in dir(grkan)
    with pytest.raises(AttributeError, match="nothing_such"):
        grkan.nothing_such  # noqa: B018


def test_command():
    ran = run("import sys; sys.argv = ['grkan', '--version']; import grkan._command as c; c.main()")
    assert ran.stdout.split()[-1] == grkan.__version__, ran.stderr


def test_command_missing(tmp_path):
    ran = run("import grkan._command as c; c.main()", GRKAN_LIBRARY_DIR=str(tmp_path / "lib"))
    assert ran.returncode == 1 and f"{tmp_path}/bin/grkan can't be run" in ran.stderr
