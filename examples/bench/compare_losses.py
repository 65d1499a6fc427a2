"""The first ten training losses of dlc beside PyTorch's, from the same weights and the same batches.

    python examples/bench/compare_losses.py --dlc target/release/dlc --data-root DATA

DATA holds the folder fashion-mnist/. For both benchmarks (T1: bench/mlp.dl, T2: bench/lenet.dl) this draws weights and an
order of examples, lets dlc train on them (`--init`, `--order`, `--log-steps`) and PyTorch in 64 and 32 bits, and prints the
losses. dlc may differ from the 64-bit run by at most the larger of 1e-4 relative and twice what 32-bit PyTorch differs; the
exit code says whether it does. Needs torch and numpy.
"""
import argparse
import gzip
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent

# Program, batch, and the weights by path: dense [in, out], convolution [kh, kw, in, out].
WORKLOADS = {
    "T1": dict(
        program="mlp.dl",
        batch=128,
        weights={
            "Mlp.logits/dense[0]": (784, 512),
            "Mlp.logits/dense[1]": (512, 256),
            "Mlp.logits/dense[2]": (256, 10),
        },
    ),
    "T2": dict(
        program="lenet.dl",
        batch=64,
        weights={
            "LeNet.logits/conv[0]": (5, 5, 1, 32),
            "LeNet.logits/conv[1]": (5, 5, 32, 64),
            "LeNet.logits/dense[0]": (3136, 1024),
            "LeNet.logits/dense[1]": (1024, 10),
        },
    ),
}


def draw_weights(shapes, rng):
    """Uniform weights of the usual size, and small biases that are not zero, so that they are compared too."""
    arrays = {}
    for path, shape in shapes.items():
        receptive = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
        arrays[path + ".weight"] = rng.uniform(-limit, limit, shape).astype(np.float32)
        arrays[path + ".bias"] = rng.uniform(-0.01, 0.01, shape[-1:]).astype(np.float32)
    return arrays


def read_idx(path, skip):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=skip)


def training_data(root):
    folder = pathlib.Path(root) / "fashion-mnist"
    images = read_idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    return images, read_idx(folder / "train-labels-idx1-ubyte.gz", 8)


def forward(name, weights, x):
    """The same network on [n, h, w, c], with weights in dlc's layout."""
    layers = list(WORKLOADS[name]["weights"])
    if name == "T1":
        x = x.flatten(1)
    for i, path in enumerate(layers):
        w, b = weights[path + ".weight"], weights[path + ".bias"]
        if w.dim() == 4:
            x = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding=2)
            x = F.max_pool2d(F.relu(x), 2).permute(0, 2, 3, 1)
            continue
        x = x.flatten(1) @ w + b
        if i + 1 < len(layers):
            x = F.relu(x)
    return x


def torch_losses(name, arrays, images, labels, order, steps, dtype):
    weights = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in arrays.items()}
    if name == "T1":
        optimizer = torch.optim.Adam(weights.values(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(weights.values(), lr=0.01, momentum=0.9)
    batch, losses = WORKLOADS[name]["batch"], []
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        x = torch.tensor(images[rows].astype(np.float32) * np.float32(1 / 255)).to(dtype)
        y = torch.tensor(labels[rows].astype(np.int64))
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(name, weights, x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def dlc_losses(name, dlc, root, arrays, order, steps, threads):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        np.savez(folder / "W.npz", **arrays)
        (folder / "order.txt").write_text("".join(f"{row}\n" for row in order))
        # Without a validation part, positions in the training part are rows of the files.
        text = (HERE / WORKLOADS[name]["program"]).read_text()
        program = folder / "program.dl"
        program.write_text(text.replace("official(val = 10%)", "official"))
        command = [dlc, "run", program, "--train", "--data-root", pathlib.Path(root).resolve(), "--epochs", "1"]
        command += ["--threads", str(threads), "--init", folder / "W.npz", "--order", folder / "order.txt"]
        command += ["--log-steps", folder / "losses.csv", "--out", folder / "run", "--quiet"]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        lines = (folder / "losses.csv").read_text().split()
    losses = [float(line.split(",")[-1]) for line in lines if line[0].isdigit()]
    return np.array(losses[:steps])


def compare(name, args, images, labels):
    rng = np.random.default_rng(args.seed)
    arrays = draw_weights(WORKLOADS[name]["weights"], rng)
    count = WORKLOADS[name]["batch"] * args.steps
    order = rng.permutation(len(images))[:count]
    exact = torch_losses(name, arrays, images, labels, order, args.steps, torch.float64)
    single = torch_losses(name, arrays, images, labels, order, args.steps, torch.float32)
    ours = dlc_losses(name, args.dlc, args.data_root, arrays, order, args.steps, args.threads)
    allowed = np.maximum(1e-4 * np.abs(exact), 2 * np.abs(single - exact))
    print(f"{name}\nstep        float64    |dlc - f64|    |f32 - f64|        allowed")
    for i in range(args.steps):
        print(f"{i + 1:4} {exact[i]:14.8f} {abs(ours[i] - exact[i]):14.2e} {abs(single[i] - exact[i]):14.2e} {allowed[i]:14.2e}")
    good = bool(np.all(np.abs(ours - exact) <= allowed))
    worst = float(np.max(np.abs(ours - exact) / np.abs(exact)))
    print(f"{name}: {'within' if good else 'OUTSIDE'} the bound; largest relative difference {worst:.1e}\n")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    images, labels = training_data(args.data_root)
    results = [compare(name, args, images, labels) for name in WORKLOADS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
