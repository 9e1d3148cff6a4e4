"""The PyTorch extension that `grkan emit --torch-extension` writes, built against the PyTorch
installed. Its operators are registered for CPU tensors here, which tests/support/extension takes
to the virtual GPU and back: all of the extension runs but PyTorch's own CUDA."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from torch_support import assert_close, case, expected, torch

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests/support/extension"
OPS = "_grkan_test_cuda"
LIST = """
{"problem": "p5q4-A-c24-g1x4-f32-last", "rows": 40}
{"problem": "p3q2-N-c8-g2-f64-last", "rows": 40}
{"problem": "p2q3-C-c6-g6-f32:bf16-first", "rows": 3, "inner": 12}
{"task": "backward.dx/p5q4-A-c24-g2-bf16:bf16:bf16-last", "rows": 40}
"""
FIRST = {"groups": (6, 6), "degrees": (2, 3), "variant": "C", "y_kind": "bf16"}


def _tool(name: str) -> str | None:
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which(name) or shutil.which(name, path=f"{home}/bin")


def _run(*words: object) -> None:
    ran = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{words}\n{ran.stdout}{ran.stderr}"


def _build(folder: Path, built: Path, nvcc: str) -> None:
    """The package `grkan_test` in `built`, as kernel-builder would make it but for CUDA."""
    sources = sorted((folder / "csrc/sm_90").glob("*.cu"))
    flags = ["-arch=compute_90", "-std=c++17", "-fmad=false", "-diag-suppress=177", "-t", "2"]
    _run(nvcc, "-ptx", *flags, "-odir", built, *sources)
    symbols = [f"{source.stem}_sm_90{part}" for source in sources for part in ("", "_second_pass")]
    (built / "stubs.cpp").write_text("".join(f'extern "C" void {s}() {{}}\n' for s in symbols))
    headers = Path(torch.__file__).parent / "include"
    compile_all = [
        "c++",
        "-std=c++20",  # from 2.12 on kernel-builder's, too
        "-O0",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fPIC",
        "-c",
        f"-DTORCH_EXTENSION_NAME={OPS}",
        "-DTORCH_TARGET_VERSION=0x020a000000000000",
        "-DUSE_CUDA=1",
        f"-I{SUPPORT}",
        f"-I{folder}/csrc",
        f"-isystem{sysconfig.get_path('include')}",
        f"-isystem{headers}",
        f"-isystem{Path(nvcc).resolve().parents[1] / 'include'}",
    ]
    objects = []
    for source in (
        *(folder / "csrc").glob("*.cpp"),
        folder / "torch-ext/torch_binding.cpp",
        *(SUPPORT / name for name in ("host_tensors.cpp", "virtual_runtime.cpp")),
        built / "stubs.cpp",
    ):
        objects.append(built / f"{source.stem}.o")
        renamed = ["-Dqueue=queue_on_device"] if source.name == "queue.cpp" else []
        _run(*compile_all, *renamed, source, "-o", objects[-1])
    package = built / "grkan_test"
    shutil.copytree(folder / "torch-ext/grkan_test", package)
    torch_libraries = Path(torch.__file__).parent / "lib"
    _run("c++", "-shared", "-Wl,-Bsymbolic", *objects, "-o", package / f"{OPS}.abi3.so",
         f"-L{torch_libraries}", "-ltorch_cpu", "-lc10", "-ldl")  # fmt: skip
    (package / "_ops.py").write_text(
        f"import torch\n\nfrom . import {OPS}\n\nops = torch.ops.{OPS}\n\n\n"
        f'def add_op_namespace_prefix(name):\n    return f"{OPS}::{{name}}"\n'
    )


class Extension:
    """The package, its operators, and the checks of the virtual GPU."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder = folder
        os.environ["GRKAN_TEST_PTX"] = str(built)
        self.package = importlib.import_module("grkan_test")
        self.ops = getattr(torch.ops, OPS)
        module = importlib.import_module("grkan_test.rational")
        module._DEVICES = ("cpu", "meta")
        library = ctypes.CDLL(str(built / f"grkan_test/{OPS}.abi3.so"))
        self._report = library.grkan_test_report
        self._report.restype = ctypes.c_char_p

    def launches(self) -> int:
        """How many since the last call, all without findings."""
        launches = json.loads(self._report())["launches"]
        for launch in launches:
            assert launch["findings"] == [], launch["findings"]
        return len(launches)


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    if "GRKAN_LIBRARY_DIR" not in os.environ:
        pytest.skip("GRKAN_LIBRARY_DIR does not name the libraries of a build")
    libraries = Path(os.environ["GRKAN_LIBRARY_DIR"])
    grkan = libraries.parent / "bin/grkan"
    driver = libraries / "libgrkan_virtual_cuda.so"
    nvcc = _tool("nvcc")
    if nvcc is None or shutil.which("c++") is None:
        pytest.skip("no nvcc, or no C++ compiler")
    if not grkan.exists() or not driver.exists():
        pytest.skip(f"no {grkan}, or no {driver}")
    os.environ["GRKAN_TEST_DRIVER"] = str(driver)
    os.environ["GRKAN_VIRTUAL"] = "model=h200,threads=2"
    folder = tmp_path_factory.mktemp("extension")
    (folder / "list.jsonl").write_text(LIST)
    built = folder / "built"
    built.mkdir()
    _run(grkan, "emit", "--torch-extension", folder / "made", "--problems", folder / "list.jsonl",
         "--gpu", "h200", "--name", "grkan-test")  # fmt: skip
    _build(folder / "made", built, nvcc)
    sys.path.insert(0, str(built))
    try:
        yield Extension(folder, built)
    finally:
        sys.path.remove(str(built))


def test_build_file(extension):
    tomllib = pytest.importorskip("tomllib", reason="no tomllib before Python 3.11")
    made = extension.folder / "made"
    build = tomllib.loads((made / "build.toml").read_text())
    assert build["general"]["name"] == "grkan-test"
    assert build["torch"]["stable-abi"] == {"cuda": "2.10"}
    kernel = build["kernel"]["sm_90"]
    assert kernel["backend"] == "cuda" and kernel["cuda-flags"] == ["-fmad=false"]
    sources = sorted(build["torch"]["src"] + kernel["src"])
    there = [*made.glob("csrc/**/*.*"), *made.glob("torch-ext/torch_binding.*")]
    assert sources == sorted(str(path.relative_to(made)) for path in there)


def _case(seed, shape, **options):
    x, dy, a, b = case(seed, shape, **options)
    return x.requires_grad_(), dy, a.requires_grad_(), b.requires_grad_()


@pytest.mark.parametrize(
    ("shape", "dim", "options"),
    [
        ((37, 24), -1, {}),
        ((2, 3, 5, 24), -1, {}),
        ((11, 8), 1, {"groups": (2, 2), "degrees": (3, 2), "variant": "N", "kind": "f64"}),
        ((3, 6, 3, 4), 1, FIRST),
        ((3, 6, 5), 1, FIRST),  # planes that four columns don't fit
        ((4, 6), 1, FIRST),  # either layout
    ],
)
def test_values_and_gradients(extension, shape, dim, options):
    x, dy, a, b = _case(len(shape), shape, **options)
    variant = options.get("variant", "A")
    out = None if dy.dtype == x.dtype else dy.dtype
    y = extension.package.group_rational(x, a, b, variant=variant, channel_dim=dim, out_dtype=out)
    assert y.dtype == dy.dtype and y.shape == x.shape and y.is_contiguous()
    grads = torch.autograd.grad(y, (x, a, b), dy)
    assert [g.dtype for g in grads] == [x.dtype, a.dtype, b.dtype]
    values, sizes = expected(x, dy, a, b, variant, dim)
    for name, actual in zip(("y", "dx", "da", "db"), (y, *grads)):
        assert_close(name, actual, values, sizes)
    assert extension.launches() == 3  # forward, backward and its second pass


def test_memory_that_does_not_fit_is_copied(extension):
    call = extension.package.group_rational
    x, _, a, b = _case(5, (12, 24))
    with torch.no_grad():
        y = call(x, a, b)
        for view in (
            x.t().contiguous().t(),  # channels outermost
            torch.cat([x, x], 1)[:, :24],  # rows with gaps
            torch.cat([torch.zeros(1), x.flatten()])[1:].view(12, 24),  # not aligned
        ):
            assert torch.equal(call(view, a, b), y)
        assert torch.equal(call(x.view(3, 4, 24).movedim(-1, 1), a, b, channel_dim=1),
                           y.view(3, 4, 24).movedim(-1, 1))  # fmt: skip
        assert torch.equal(call(x, a.t().contiguous().t(), b), y)
    y = call(x, a, b)
    grads = torch.autograd.grad(y, (x, a, b), torch.ones(()).expand(12, 24), retain_graph=True)
    again = torch.autograd.grad(y, (x, a, b), torch.ones(12, 24))
    assert all(torch.equal(g, h) for g, h in zip(grads, again))
    extension.launches()


def test_gradients_asked_for(extension):
    x, dy, a, b = _case(7, (9, 24))
    y = extension.package.group_rational(x, a, b)
    whole = torch.autograd.grad(y, (x, a, b), dy)
    ops = extension.ops
    for wanted in range(1, 8):
        parts = ops.backward(dy, x.detach(), a.detach(), b.detach(), "A", -1, wanted)
        for i, (part, all_of_it) in enumerate(zip(parts, whole)):
            if wanted & 1 << i:
                assert torch.equal(part, all_of_it)
            else:
                assert part.numel() == 0
    for given in ((x,), (a,), (b,), (x, b), (a, b)):
        for t in (x, a, b):
            t.requires_grad_(any(t is g for g in given))
        some = torch.autograd.grad(extension.package.group_rational(x, a, b), given, dy)
        for grad, t in zip(some, given):
            assert torch.equal(grad, whole[[t is one for one in (x, a, b)].index(True)])
    # A backward.dx alone, with coefficients of the data's type.
    x, dy, a, b = case(8, (9, 24), groups=(2, 2), kind="bf16")
    arguments = (dy, x, a.bfloat16(), b.bfloat16(), "A", -1)
    dx, _, _ = ops.backward(*arguments, 1)
    assert_close("dx", dx, *expected(x, dy, a.bfloat16(), b.bfloat16()))
    with pytest.raises(RuntimeError, match=r"no kernel was made for backward\.dx\.db/p5q4-A-c24"):
        ops.backward(*arguments, 5)
    extension.launches()


def test_empty_batches(extension):
    x, _, a, b = _case(1, (0, 24))
    y = extension.package.group_rational(x, a, b)
    assert y.shape == (0, 24)
    dx, da, db = torch.autograd.grad(y.sum(), (x, a, b))
    assert dx.shape == (0, 24) and not da.any() and not db.any()
    assert extension.launches() == 0


def test_messages(extension):
    call = extension.package.group_rational
    x, _, a, b = _case(1, (4, 24))

    def refused(match, *arguments, kind=RuntimeError, **options):
        with pytest.raises(kind, match=match):
            call(*arguments, **options)

    listed = (
        r"no kernel was made for forward/p5q4-B-c24-g1x4-f32-last; there are: "
        r"forward/p5q4-A-c24-g1x4-f32-last, backward\.dx\.da\.db/p5q4-A-c24-g1x4-f32-last, .*"
    )
    refused(listed, x, a, b, variant="B")
    refused("forward/p5q4-A-c24-g4-f32-last", x, a.expand(4, 6), b)
    refused("p5q4-A-c24-g1x4-bf16:f32-last", x.bfloat16(), a, b, out_dtype=torch.float32)
    refused("p5q4-A-c24-g1x4-f32-first", x[..., None].expand(4, 24, 3), a, b, channel_dim=1)
    refused("must be float32, float64, float16 or bfloat16", x.int(), a, b)
    refused("one dtype", x, a, b.double())
    refused("5 groups, which do not divide x's 24", x, a, torch.zeros(5, 4))
    refused("numerator must be", x, a[0], b)
    refused("variant must be", x, a, b, variant="AB")
    refused("channel_dim 2 is none", x, a, b, channel_dim=2, kind=ValueError)
    for task in extension.package.TASKS:
        assert task.split("/")[0] in ("forward", "backward.dx.da.db", "backward.dx")
    y = call(x, a, b)
    (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()
    extension.launches()


def test_opcheck_and_gradcheck(extension):
    x, dy, a, b = _case(3, (5, 8), groups=(2, 2), degrees=(3, 2), variant="N", kind="f64")
    call = extension.package.group_rational
    assert torch.autograd.gradcheck(lambda x, a, b: call(x, a, b, variant="N"), (x, a, b))
    plain = [t.detach() for t in (x, a, b)]
    ops = extension.ops
    torch.library.opcheck(ops.forward.default, (*plain, "N", -1, torch.float64))
    torch.library.opcheck(ops.backward.default, (dy, *plain, "N", -1, 7))
    torch.library.opcheck(ops.backward.default, (dy, *plain, "N", -1, 2))
    plain = [t.detach() for t in case(4, (2, 6, 4), **FIRST)]
    plain = [plain[0], *plain[2:]]
    torch.library.opcheck(ops.forward.default, (*plain, "C", 1, torch.bfloat16))
    extension.launches()


def test_compiled_and_exported(extension):
    from torch._dynamo.testing import CompileCounterWithBackend

    call = extension.package.group_rational
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(
        lambda x, a, b: call(x, a, b).tanh(), fullgraph=True, dynamic=True, backend=counter
    )
    for rows in (5, 7, 9):  # no other size is as large: PyTorch would take them for one
        x, _, a, b = _case(rows, (rows, 24))
        eager = call(x, a, b).tanh()
        y = compiled(x, a, b)
        assert torch.equal(y, eager)
        for mine, theirs in zip(
            torch.autograd.grad(y.sum(), (x, a, b)), torch.autograd.grad(eager.sum(), (x, a, b))
        ):
            assert torch.equal(mine, theirs)
    assert counter.frame_count == 1

    class Layer(torch.nn.Module):
        variant, channel_dim, out_dtype = "A", -1, None

        def __init__(self) -> None:
            super().__init__()
            self.numerator, self.denominator = torch.nn.Parameter(a), torch.nn.Parameter(b)

        forward = extension.package.layers.GroupRational.forward

    layer = Layer()
    rows = torch.export.Dim.AUTO
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: rows},))
    other = torch.randn(13, 24)
    assert torch.equal(program.module()(other), layer(other))
    extension.launches()
