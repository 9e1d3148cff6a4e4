"""grkan.torch on a machine with a GPU: right, in streams and graphs, and how fast. It needs nothing
but PyTorch and the wheel, and takes minutes.

    pip install grkan-*.whl
    python bench/gpu/torch_check.py [--device cuda:0] [--quick]

Each check prints a line; the exit status is 1 where one failed. Values are held to float64 on the
CPU, by plain PyTorch operations. Times are medians of CUDA graphs' replays, in turn.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import traceback
from collections.abc import Callable

import torch
from torch import Tensor, nn

import grkan
from grkan.torch import GroupRational, composite, group_rational, set_determinism

KINDS = {
    "f32": torch.float32,
    "f64": torch.float64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
}
# Of the largest value: some roundings, of sums that cancel too.
TOLERANCE = {
    torch.float32: 1e-5,
    torch.float64: 1e-13,
    torch.float16: 1.5e-3,
    torch.bfloat16: 1.2e-2,
}


class Case:
    """Tensors on the device, and the same numbers in float64 on the CPU."""

    def __init__(
        self,
        device: torch.device,
        shape: tuple[int, ...],
        channel_dim: int = -1,
        kind: str = "f32",
        out_kind: str | None = None,
        groups: tuple[int, int] = (1, 8),
        variant: str = "A",
        seed: int = 0,
    ) -> None:
        random = torch.Generator().manual_seed(seed)

        def normal(*size: int) -> Tensor:
            return torch.randn(*size, generator=random, dtype=torch.float64)

        held = KINDS["f64" if kind == "f64" else "f32"]
        self.options = {"variant": variant, "channel_dim": channel_dim}
        self.out_dtype = KINDS[out_kind or kind]
        terms = 5 if variant == "C" else 4
        given = (normal(*shape), normal(groups[0], 6), normal(groups[1], terms))
        kinds = (KINDS[kind], held, held)
        self.inputs = [t.to(k).to(device) for t, k in zip(given, kinds)]
        self.dy = normal(*shape).to(self.out_dtype).to(device)

    def exact(self) -> list[Tensor]:
        leaves = [t.detach().double().cpu().requires_grad_() for t in self.inputs]
        y = composite.group_rational(*leaves, **self.options)
        return [y.detach(), *torch.autograd.grad(y, leaves, self.dy.double().cpu())]

    def ours(self) -> list[Tensor]:
        leaves = [t.detach().requires_grad_() for t in self.inputs]
        y = group_rational(*leaves, **self.options, out_dtype=self.out_dtype)
        return [y.detach(), *torch.autograd.grad(y, leaves, self.dy)]


def must_agree(found: list[Tensor], exact: list[Tensor]) -> str:
    """The largest error over what is allowed; raises past 1."""
    worst = 0.0
    for name, value, right in zip(("y", "dx", "da", "db"), found, exact):
        if not torch.isfinite(value).all():
            raise AssertionError(f"{name} is not finite")
        allowed = TOLERANCE[value.dtype] * right.abs().max().item()
        error = (value.double().cpu() - right).abs().max().item()
        if error > allowed:
            raise AssertionError(f"{name} is off by {error:.2e}, allowed are {allowed:.2e}")
        worst = max(worst, error / allowed if allowed else 0.0)
    return f"{worst:.2f} of what is allowed"


def check_types(device: torch.device) -> str:
    pairs = [(k, None) for k in KINDS]
    pairs += [("f32", "f16"), ("f32", "bf16"), ("f16", "f32"), ("bf16", "f32")]
    told = []
    for (kind, out), variant in itertools.product(pairs, "ABCS"):
        case = Case(device, (257, 768), kind=kind, out_kind=out, variant=variant)
        told.append(must_agree(case.ours(), case.exact()))
    return f"{len(told)} of {len(told)}; at most {max(told)}"


def check_shapes(device: torch.device) -> str:
    shapes = [
        ((768,), -1, (1, 8)),
        ((1, 768), -1, (1, 8)),
        ((4, 197, 192), -1, (1, 8)),
        ((2, 24, 7, 9), 1, (1, 4)),
        ((2, 24, 7, 9), 1, (24, 24)),
        ((3, 5, 30), 1, (5, 5)),
        ((0, 768), -1, (1, 8)),
    ]
    for shape, channel_dim, groups in shapes:
        case = Case(device, shape, channel_dim, groups=groups)
        exact, found = case.exact(), case.ours()
        if 0 not in shape:
            must_agree(found, exact)
        elif any(t.abs().sum() != 0 for t in found):
            raise AssertionError("an empty batch has gradients")
    last = torch.randn(2, 24, 7, 9, device=device).to(memory_format=torch.channels_last)
    y = group_rational(last, *Case(device, (1, 24), groups=(1, 4)).inputs[1:], channel_dim=1)
    if not y.is_contiguous(memory_format=torch.channels_last):
        raise AssertionError("channels_last was not kept")
    return f"{len(shapes)} shapes, channels_last"


def check_streams(device: torch.device) -> str:
    """A call must wait for what its own stream has queued, and for nothing else."""
    case = Case(device, (4096, 768))
    exact = case.exact()
    stream = torch.cuda.Stream(device)
    x = torch.zeros_like(case.inputs[0])
    torch.cuda.synchronize(device)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)
        x.copy_(case.inputs[0])
        y = group_rational(x, *case.inputs[1:])
    stream.synchronize()
    return must_agree([y], exact)


def check_second_device(device: torch.device) -> str:
    """The tensors' device counts, not the current one."""
    other = torch.device("cuda", (device.index + 1) % torch.cuda.device_count())
    if other == device:
        return "SKIP: one GPU"
    case = Case(other, (512, 768))
    with torch.cuda.device(device):
        return must_agree(case.ours(), case.exact())


def check_graph(device: torch.device) -> str:
    """Captured, then replayed on other numbers: the same bits as a call."""
    case = Case(device, (1568, 768))
    run = captured(case.ours)
    random = torch.randn_like(case.inputs[0])
    case.inputs[0].copy_(random)
    found = [t.clone() for t in run()]
    for name, replayed, called in zip(("y", "dx", "da", "db"), found, case.ours()):
        if not torch.equal(replayed, called):
            raise AssertionError(f"{name} of the graph differs")
    return "the same bits"


def check_bits(device: torch.device) -> str:
    """Gradients of coefficients are the same bits in every run."""
    case = Case(device, (25216, 768))
    told = []
    for determinism in ("run_to_run", "gpu_to_gpu"):
        set_determinism(determinism)
        first = case.ours()
        if not all(
            torch.equal(a, b) for _ in range(5) for a, b in zip(first, case.ours(), strict=True)
        ):
            raise AssertionError(f"{determinism}: runs differ")
        told.append(determinism)
    set_determinism("run_to_run")
    return ", ".join(told)


def check_model(device: torch.device) -> str:
    """torch.compile and autocast, beside eager."""
    torch.manual_seed(0)
    model = nn.Sequential(GroupRational(768), nn.Linear(768, 768)).to(device)
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for rows in (64, 96):
        x = torch.randn(rows, 768, device=device)
        torch.testing.assert_close(compiled(x), model(x))
    with torch.autocast("cuda", torch.bfloat16):
        if model[0](x).dtype != torch.bfloat16:
            raise AssertionError("autocast gave float32")
        model(x).float().sum().backward()
    return "two batch sizes, autocast"


CHECKS = (
    check_types,
    check_shapes,
    check_streams,
    check_second_device,
    check_graph,
    check_bits,
    check_model,
)


def captured(call: Callable[[], list[Tensor]]) -> Callable[[], list[Tensor]]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()

    def run() -> list[Tensor]:
        graph.replay()
        return outputs

    return run


def times(device: torch.device) -> None:
    """Forward and backward of an activation, microseconds."""
    for (rows, channels), kind in itertools.product(
        ((25216, 768), (25216, 192), (1568, 768)), ("f32", "bf16")
    ):
        case = Case(device, (rows, channels), kind=kind)
        x = case.inputs[0].detach().requires_grad_()

        def like(function: Callable[[Tensor], Tensor]) -> Callable[[], list[Tensor]]:
            return lambda: list(torch.autograd.grad(function(x), x, case.dy))  # noqa: B023

        runs = {
            "grkan": captured(case.ours),
            "GELU": captured(like(nn.functional.gelu)),
            "SiLU": captured(like(nn.functional.silu)),
        }
        measured: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(30):
            for name, run in runs.items():
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                for _ in range(10):
                    run()
                end.record()
                end.synchronize()
                measured[name].append(100 * begin.elapsed_time(end))
        line = "  ".join(f"{n} {statistics.median(t):8.1f}" for n, t in measured.items())
        print(f"  {rows} x {channels} {kind:5} forward + backward, us: {line}", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--device", default="cuda:0")
    options.add_argument("--quick", action="store_true", help="leave the times out")
    chosen = options.parse_args()
    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} sees no CUDA device")
        return 1
    device = torch.device(chosen.device)
    torch.cuda.set_device(device)
    name = torch.cuda.get_device_name(device)
    print(f"{name}, torch {torch.__version__}, grkan {grkan.__version__}")
    failed = 0
    for check in CHECKS:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            print(f"  {name:14} {check(device)}", flush=True)
        except Exception:
            failed += 1
            print(f"  {name:14} FAILED\n{traceback.format_exc()}", flush=True)
    if not chosen.quick:
        times(device)
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
