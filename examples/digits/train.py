"""Trains four small vision transformers on handwritten digits, on the CPU, and compares them:
GELU; GR-KAN by grkan's kernels, by plain PyTorch operations, and by torch.compile of those.

    python train.py                          # a few minutes; a table, digits.json and digits.svg
    python train.py --epochs 2 --no-compile  # a look

The digits are scikit-learn's (1,797 images of 8 x 8, of the UCI repository): three quarters to
train on, the rest to test.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from model import DigitTransformer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

BATCH = 64
NAMES = {
    "gelu": "GELU",
    "grkan": "GR-KAN, grkan",
    "plain": "GR-KAN, plain PyTorch",
    "compiled": "GR-KAN, torch.compile",
}
Data = tuple[Tensor, Tensor, Tensor, Tensor]


def load() -> Data:
    """Images and labels to train on, then those to test on; pixels in [-1, 1]."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    train_x, test_x = (
        torch.tensor(p, dtype=torch.float32).view(-1, 8, 8) / 8 - 1 for p in parts[:2]
    )
    train_y, test_y = (torch.tensor(p) for p in parts[2:])
    return train_x, train_y, test_x, test_y


def make(name: str, seed: int) -> tuple[nn.Module, nn.Module]:
    """(The model, what is called for it); the three with GR-KAN start with the same numbers."""
    torch.manual_seed(seed)
    model = DigitTransformer("plain" if name == "compiled" else name)
    return model, torch.compile(model) if name == "compiled" else model


def train(name: str, data: Data, epochs: int, seed: int) -> dict:
    """Losses and accuracies of each epoch, and the median time of a step."""
    train_x, train_y, test_x, test_y = data
    model, called = make(name, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = len(train_x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * steps)
    order = torch.Generator().manual_seed(seed)
    times, losses, accuracies = [], [], []
    for _ in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(train_x), generator=order)[: steps * BATCH].split(BATCH):
            begin = time.perf_counter()
            loss = nn.functional.cross_entropy(called(train_x[chosen]), train_y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            times.append(time.perf_counter() - begin)
            total += loss.item()
        losses.append(total / steps)
        with torch.inference_mode():
            accuracies.append((model(test_x).argmax(1) == test_y).float().mean().item())
    # The first epoch compiles and warms up.
    late = times[steps:] or times[1:]
    return {"loss": losses, "accuracy": accuracies, "step_ms": 1e3 * statistics.median(late)}


def gradient_errors(data: Data, seed: int) -> dict[str, float]:
    """The first step's gradients of all coefficients against float64: largest error over all,
    relative to the largest gradient of its tensor."""

    def gradients(name: str, kind: torch.dtype) -> dict[str, Tensor]:
        model, called = make(name, seed)
        model.to(kind)
        loss = nn.functional.cross_entropy(called(data[0][:BATCH].to(kind)), data[1][:BATCH])
        loss.backward()
        coefficients = ("numerator", "denominator")
        return {n: p.grad for n, p in model.named_parameters() if n.endswith(coefficients)}

    exact = gradients("plain", torch.float64)
    return {
        name: max(
            ((g.double() - exact[n]).abs().max() / exact[n].abs().max()).item()
            for n, g in gradients(name, torch.float32).items()
        )
        for name in ("grkan", "plain")
    }


def draw(results: dict[str, dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (loss, accuracy, step) = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    colours = dict(zip(NAMES, ("#777777", "#1f6fb2", "#d1495b", "#e09f3e"), strict=True))
    for name, result in results.items():
        epochs = range(1, len(result["loss"]) + 1)
        style = {"color": colours[name], "label": NAMES[name], "linewidth": 1.6}
        if name in ("plain", "compiled"):  # they lie on grkan's
            style["linestyle"] = ":" if name == "plain" else "--"
        loss.plot(epochs, result["loss"], **style)
        accuracy.plot(epochs, [100 * a for a in result["accuracy"]], **style)
    loss.set(title="Loss in training", xlabel="epoch", yscale="log")
    accuracy.set(title="Right on unseen digits, %", xlabel="epoch", ylim=(80, 100))
    accuracy.legend(frameon=False, fontsize=8)
    names = list(results)
    bars = step.barh(
        [NAMES[n] for n in names],
        [results[n]["step_ms"] for n in names],
        color=[colours[n] for n in names],
    )
    step.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    step.set(title=f"A step, ms ({torch.get_num_threads()} threads)")
    step.invert_yaxis()
    step.margins(x=0.12)
    for axes in (loss, accuracy, step):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--epochs", type=int, default=40)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options.add_argument("--out", type=Path, default=Path(), help="folder of digits.json and .svg")
    chosen = options.parse_args()

    data = load()
    names = [name for name in NAMES if name != "compiled" or not chosen.no_compile]
    errors = gradient_errors(data, chosen.seed)
    results = {}
    print(f"{'':24}{'right':>8}{'loss':>10}{'a step':>10}{'gradients off by':>19}")
    for name in names:
        results[name] = result = train(name, data, chosen.epochs, chosen.seed)
        print(
            f"{NAMES[name]:24}{result['accuracy'][-1]:8.1%}{result['loss'][-1]:10.4f}"
            f"{result['step_ms']:7.1f} ms{f'{errors[name]:.1e}' if name in errors else '':>19}"
        )
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "digits.json").write_text(json.dumps({"gradient_errors": errors, **results}))
    draw(results, chosen.out / "digits.svg")


if __name__ == "__main__":
    main()
