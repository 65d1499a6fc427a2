"""Small networks of many kinds: losses, weights and statistics of dlc after ten steps beside PyTorch's in 64-bit floats.

    python examples/bench/compare_networks.py --dlc target/release/dlc [NAME...]

Both start from the same weights and see the same examples in the same order. Each loss may differ by at most 2e-4 relative, each
weight after the last step by 2e-3 of the largest of its table (of its largest change, where that is larger), the loss of the
test part (batch norm on running statistics, no dropout) by 1e-3. The networks stand in `networks.py`. Needs torch and numpy.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

from networks import FIELDS, NETWORKS
from torch_layers import Table

BATCH, STEPS, TEST = 12, 10, 30
HERE = pathlib.Path(__file__).resolve().parent


def examples(rng):
    """Random examples of every field; 120 to train on, 30 to test on."""
    n = BATCH * STEPS + TEST
    arrays = {}
    for name, (shape, high) in FIELDS.items():
        draw = rng.normal(0, 1, (n, *shape)) if high is None else rng.integers(0, high, (n, *shape))
        arrays[name] = draw.astype(np.float32 if high is None else np.int64)
    return arrays


def program(case):
    used = "".join(f"  field {name}: {case.types[name]} = array(\"{name}\")\n" for name in case.fields)
    total = BATCH * STEPS + TEST
    split = f"in_order(train = {100 * BATCH * STEPS // total}%, test = {100 * TEST // total}%)"
    data = f"data examples {{\n  source = npz(\"examples.npz\")\n{used}  split = {split}\n}}\n"
    recipe = f"train Net on examples {{\n{case.train}\n  batch = {BATCH}\n  epochs = 1\n}}\n"
    return f"{case.model}\n{data}{recipe}"


def read_model(path):
    """The tensors of a safetensors file."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header, body = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
    return tensors


def dlc(args, *words):
    command = [args.dlc, *(str(w) for w in words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def moved(start, rng, by=0.05):
    """Weights that are not as they begin: small biases and scales count too."""
    return {
        name: w if name.endswith((".mean", ".variance")) else (w + rng.normal(0, by, w.shape)).astype(np.float32)
        for name, w in start.items()
    }


def ours(case, args, folder, arrays, rng):
    (folder / "net.dl").write_text(program(case))
    np.savez(folder / "examples.npz", **{name: arrays[name] for name in case.fields})
    dlc(args, "build", folder / "net.dl", "-o", folder / "start.dlm")
    start = moved(read_model(folder / "start.dlm"), rng)
    np.savez(folder / "W.npz", **start)
    (folder / "order.txt").write_text("".join(f"{row}\n" for row in range(BATCH * STEPS)))
    flags = ["--init", folder / "W.npz", "--order", folder / "order.txt", "--log-steps", folder / "losses.csv"]
    flags += ["--out", folder / "run", "--quiet", "--threads", args.threads, "--cpu", args.cpu]
    flags += ["--no-fuse"] if args.no_fuse else []
    dlc(args, "run", folder / "net.dl", "--train", *flags)
    lines = (folder / "losses.csv").read_text().split()
    losses = np.array([float(line.split(",")[-1]) for line in lines if line[0].isdigit()])
    record = json.loads((folder / "run" / "run.json").read_text())
    return start, losses, read_model(folder / "run" / "last.dlm"), record["metrics"]["test.loss"]


def theirs(case, start, arrays):
    tables = {name: torch.tensor(w, dtype=torch.float64) for name, w in start.items()}
    net = Table(tables)
    weights = net.weights()
    optimizer = case.optimizer(weights)
    rate = optimizer.param_groups[0]["lr"]
    tensors = {name: torch.tensor(a) for name, a in arrays.items()}
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
    losses = []
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        optimizer.param_groups[0]["lr"] = rate * case.schedule(step, STEPS)
        optimizer.zero_grad()
        loss = case.loss(net, {name: t[rows] for name, t in tensors.items()})
        loss.backward()
        if case.clip:
            torch.nn.utils.clip_grad_norm_(weights, case.clip)
        optimizer.step()
        losses.append(loss.item())
    net.training = False
    with torch.no_grad():
        test = case.loss(net, {name: t[BATCH * STEPS :] for name, t in tensors.items()}).item()
    return np.array(losses), {name: t.detach().numpy() for name, t in tables.items()}, test


def compare(name, args):
    case, rng = NETWORKS[name], np.random.default_rng(args.seed)
    arrays = examples(rng)
    with tempfile.TemporaryDirectory() as folder:
        start, losses, end, test = ours(case, args, pathlib.Path(folder), arrays, rng)
    exact, exact_end, exact_test = theirs(case, start, arrays)
    loss_error = float(np.max(np.abs(losses - exact) / np.maximum(np.abs(exact), 1e-3)))
    worst, where = 0.0, ""
    for path, table in exact_end.items():
        scale = max(np.max(np.abs(table)), np.max(np.abs(table - start[path])))
        error = float(np.max(np.abs(end[path] - table)) / scale)
        if not error <= worst:
            worst, where = error, path
    test_error = abs(test - exact_test) / max(abs(exact_test), 1e-3)
    good = loss_error <= 2e-4 and worst <= 2e-3 and test_error <= 1e-3
    print(f"{name:22} {loss_error:9.1e} {worst:9.1e} {test_error:9.1e}  {'ok' if good else 'DIFFERS  ' + where}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", default="native")
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("largest relative difference of   losses   weights      test")
    results = [compare(name, args) for name in args.names or NETWORKS]
    print(f"{sum(results)} of {len(results)} agree")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
