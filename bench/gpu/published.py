"""Times the published kernels on a GPU, beside this library through its C ABI, from PyTorch.

    python3 bench/gpu/published.py --flashkat CHECKOUT --grkan build/lib/libgrkan.so
                                   [--rows 25216] [--channels 768] [--rounds 30]

CHECKOUT: github.com/OSU-STARLAB/FlashKAT, whose rational_kat/kernels/ has FlashKAT's Triton kernels
and, in rational_triton.py, those that KAT was published with. Needs PyTorch with Triton and a CUDA
device. All work on the same tensors, which take turns so that none is in the cache; calls are
queued behind one another and timed by events, in rounds over all of them. Answers are
compared with PyTorch's own of the formula in double: y and dx on the first rows, da and db on all.
The library takes the winner that its cache has (GRKAN_CACHE_DIR), else its default schedule.
"""

import argparse
import ctypes
import importlib.util
import statistics
import sys

import torch

DEGREES = (5, 4)
FORWARD, BACKWARD = 1, 2
ALL_GRADIENTS = 7
CHECKED_ROWS = 64
WARM = 2


class Problem(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_int32) for name in ("numerator_degree", "denominator_degree", "variant", "layout",
                                            "x_type", "y_type")
    ] + [(name, ctypes.c_int64) for name in ("channels", "numerator_groups", "denominator_groups")]


class ForwardArgs(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("rows", ctypes.c_int64), ("inner", ctypes.c_int64),
                ("x", ctypes.c_void_p), ("x_stride", ctypes.c_int64), ("y", ctypes.c_void_p),
                ("y_stride", ctypes.c_int64), ("a", ctypes.c_void_p), ("b", ctypes.c_void_p),
                ("workspace", ctypes.c_void_p), ("workspace_size", ctypes.c_size_t),
                ("stream", ctypes.c_void_p)]


class BackwardArgs(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("rows", ctypes.c_int64), ("inner", ctypes.c_int64),
                ("x", ctypes.c_void_p), ("x_stride", ctypes.c_int64), ("dy", ctypes.c_void_p),
                ("dy_stride", ctypes.c_int64), ("dx", ctypes.c_void_p), ("dx_stride", ctypes.c_int64),
                ("a", ctypes.c_void_p), ("b", ctypes.c_void_p), ("da", ctypes.c_void_p),
                ("db", ctypes.c_void_p), ("accumulate", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("workspace", ctypes.c_void_p), ("workspace_size", ctypes.c_size_t),
                ("stream", ctypes.c_void_p)]


class Grkan:
    """A plan of the library for one problem on cuda:0."""

    def __init__(self, path, problem, rows):
        self.library = ctypes.CDLL(path)
        self.library.grkan_last_error.restype = ctypes.c_char_p
        context, self.plan, parsed = ctypes.c_void_p(), ctypes.c_void_p(), Problem()
        self.call("grkan_context_create", None, ctypes.byref(context))
        self.call("grkan_problem_parse", problem.encode(), ctypes.byref(parsed))
        self.call("grkan_plan_create", context, ctypes.byref(parsed), b"cuda:0", ALL_GRADIENTS,
                  ctypes.byref(self.plan))
        one = ctypes.c_int64(1)
        self.call("grkan_plan_prepare", self.plan, ctypes.c_int64(rows), ctypes.c_int64(rows), one, one)
        size = ctypes.c_size_t()
        self.call("grkan_plan_workspace_size", self.plan, BACKWARD, one, ctypes.byref(size))
        self.workspace = torch.empty(size.value, dtype=torch.uint8, device="cuda")
        self.channels = parsed.channels

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments) != 0:
            raise RuntimeError(f"{name}: {self.library.grkan_last_error().decode()}")

    def forward(self, x, y, a, b):
        args = ForwardArgs(ctypes.sizeof(ForwardArgs), x.shape[0], 1, x.data_ptr(), self.channels, y.data_ptr(),
                           self.channels, a.data_ptr(), b.data_ptr(), self.workspace.data_ptr(),
                           self.workspace.numel(), torch.cuda.current_stream().cuda_stream)
        self.call("grkan_forward", self.plan, ctypes.byref(args))

    def backward(self, x, dy, dx, a, b, da, db):
        args = BackwardArgs(ctypes.sizeof(BackwardArgs), x.shape[0], 1, x.data_ptr(), self.channels, dy.data_ptr(),
                            self.channels, dx.data_ptr(), self.channels, a.data_ptr(), b.data_ptr(), da.data_ptr(),
                            db.data_ptr(), 0, 0, self.workspace.data_ptr(), self.workspace.numel(),
                            torch.cuda.current_stream().cuda_stream)
        self.call("grkan_backward", self.plan, ctypes.byref(args))


def load_module(checkout, name):
    spec = importlib.util.spec_from_file_location(name, f"{checkout}/rational_kat/kernels/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def formula(x, a, b):
    """P/Q of denominator A, in x's type; a and b are [groups, coefficients]."""
    groups = a.shape[0]
    shaped = x.reshape(x.shape[0], groups, -1)
    powers = torch.stack([shaped**i for i in range(DEGREES[0] + 1)])
    p = (a.T[:, None, :, None] * powers).sum(0)
    q = 1 + (b.abs().T[:, None, :, None] * shaped.abs() ** torch.arange(
        1, DEGREES[1] + 1, device=x.device)[:, None, None, None]).sum(0)
    return (p / q).reshape(x.shape)


def seconds(run, repeats):
    run()  # the others are queued behind it
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) * 1e-3 / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flashkat", required=True)
    parser.add_argument("--grkan", required=True)
    parser.add_argument("--rows", type=int, default=25216)
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("SKIP: PyTorch sees no CUDA device")
        return 0
    flash = load_module(options.flashkat, "flash_rational_triton")
    kat = load_module(options.flashkat, "rational_triton")
    rows, channels, groups = options.rows, options.channels, options.groups
    torch.manual_seed(1)
    torch.zeros(1, device="cuda")
    grkan = Grkan(options.grkan, f"p5q4-A-c{channels}-g{groups}-f32-last", rows)
    a = torch.rand(groups, 6, device="cuda") * 0.2 - 0.1
    b = torch.rand(groups, 4, device="cuda") * 0.2 - 0.1
    bytes_of_set = 3 * rows * channels * 4
    l2 = torch.cuda.get_device_properties(0).L2_cache_size
    sets = []
    for _ in range(3 * l2 // bytes_of_set + 2):
        x = torch.randn(rows, channels, device="cuda")
        sets.append((x, torch.randn_like(x), torch.empty_like(x)))
    da, db = torch.empty_like(a), torch.empty_like(b)
    turn = 0

    def next_set():
        nonlocal turn
        turn += 1
        return sets[turn % len(sets)]

    def grkan_forward():
        x, _, out = next_set()
        grkan.forward(x, out, a, b)

    def grkan_backward():
        x, dy, out = next_set()
        grkan.backward(x, dy, out, a, b, da, db)

    def flash_forward():
        flash.rational_fwd_triton(next_set()[0], a, b)

    def flash_backward():
        x, dy, _ = next_set()
        return flash.rational_bwd_triton(dy[None], x[None], a, b)

    def kat_forward():
        kat.rational_fwd_triton(next_set()[0], a, b, groups)

    def kat_backward():
        x, dy, _ = next_set()
        return kat.rational_bwd_triton(dy, x, a, b, groups)

    def gelu_forward():
        torch.nn.functional.gelu(next_set()[0])

    def copy():
        x, _, out = next_set()
        out.copy_(x)

    # Answers, of all rows for da and db.
    x, dy, out = sets[0]
    reference_a, reference_b = a.double().requires_grad_(), b.double().requires_grad_()
    total_a, total_b = torch.zeros_like(a, dtype=torch.float64), torch.zeros_like(b, dtype=torch.float64)
    for begin in range(0, rows, 4096):
        part = x[begin:begin + 4096].double().requires_grad_()
        y = formula(part, reference_a, reference_b)
        gradients = torch.autograd.grad(y, (part, reference_a, reference_b), dy[begin:begin + 4096].double())
        total_a += gradients[1]
        total_b += gradients[2]
        if begin == 0:
            first_y, first_dx = y[:CHECKED_ROWS].detach(), gradients[0][:CHECKED_ROWS]

    def error(value, reference):
        return float((value.double() - reference).norm() / reference.norm())

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {rows} rows, {channels} channels, "
          f"{groups} groups, f32; {len(sets)} sets of tensors")
    print("relative errors against double (norms): y, dx (first rows); da, db")
    grkan.forward(x, out, a, b)
    errors = [error(out[:CHECKED_ROWS], first_y)]
    grkan.backward(x, dy, out, a, b, da, db)
    errors += [error(out[:CHECKED_ROWS], first_dx), error(da, total_a), error(db, total_b)]
    print("  grkan    ", " ".join(f"{e:.2e}" for e in errors))
    y = flash.rational_fwd_triton(x, a, b)
    dx, fda, fdb = flash.rational_bwd_triton(dy[None], x[None], a, b)
    print("  FlashKAT ", " ".join(f"{e:.2e}" for e in (error(y[:CHECKED_ROWS], first_y),
                                                       error(dx[0][:CHECKED_ROWS], first_dx),
                                                       error(fda, total_a), error(fdb, total_b))))

    if options.rows * options.channels <= 1 << 25:  # slow
        y = kat.rational_fwd_triton(x, a, b, groups)
        dx, kda, kdb = kat.rational_bwd_triton(dy, x, a, b, groups)
        print("  KAT      ", " ".join(f"{e:.2e}" for e in (error(y[:CHECKED_ROWS], first_y),
                                                           error(dx[:CHECKED_ROWS], first_dx),
                                                           error(kda, total_a), error(kdb, total_b))))

    timed = {"grkan forward": grkan_forward, "FlashKAT forward": flash_forward, "KAT forward": kat_forward,
             "torch gelu forward": gelu_forward, "torch copy": copy,
             "grkan backward": grkan_backward, "FlashKAT backward": flash_backward,
             "KAT backward": kat_backward}
    results = {name: [] for name in timed}
    for turn_of_all in range(-WARM, options.rounds):
        for name, run in timed.items():
            slow = name == "KAT backward"
            if slow and turn_of_all >= 2:
                continue
            result = seconds(run, 1 if slow else 10)
            if turn_of_all >= 0:
                results[name].append(result)
    for name, values in results.items():
        moved = (2 if "backward" not in name else 3) * x.numel() * x.element_size()
        middle = statistics.median(values)
        print(f"{name:<20} {middle * 1e6:12.2f} us {moved / middle * 1e-9:8.0f} GB/s of {moved * 1e-6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
