"""The first ten training losses of dlc beside PyTorch's, from the same weights and the same batches.

    python examples/bench/compare_losses.py --dlc target/release/dlc --data-root DATA [--only T1 T2 T3 T4 T7]

For each benchmark (T1: bench/mlp.dl, T2: lenet.dl, T3: vgg.dl, T4: resnet20.dl, T7: unet.dl) this takes dlc's own first weights,
moves them a little, so that biases count too, draws an order of examples, lets dlc train on them (`--init`, `--order`,
`--log-steps`) and PyTorch in 64 and 32 bits, and prints the losses. dlc may differ from the 64-bit run by at most the larger of
1e-4 relative and twice what 32-bit PyTorch has differed at that step or before; under fast numerics, the larger of 1e-3 and ten
times that. The exit code says whether it does. T1 and T2 see the pictures of DATA, the folder that holds fashion-mnist/; the others
see pictures drawn here. Needs torch and numpy.

In T4, whose rate of 0.1 makes a rounding that moves one element across the bound of a ReLU grow some eighty times a step, it is
chance whether two runs that have parted stay within twice of each other. `--instead` puts another run in dlc's place: `native` is
32-bit PyTorch without oneDNN, which adds up in another order; `rounded` computes everything in 64 bits and only rounds the
results of convolutions and of batch norm to 32 bits, which nothing that stores 32-bit numbers can do without.
"""
import argparse
import gzip
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import optim

from compare_networks import moved, read_model
from torch_layers import Table, pool

HERE = pathlib.Path(__file__).resolve().parent


def fashion(root, rng, count):
    """Pictures and labels of Fashion-MNIST, all of them."""
    def read(name, skip):
        with gzip.open(pathlib.Path(root) / "fashion-mnist" / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=skip)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    return dict(images=images, labels=read("train-labels-idx1-ubyte.gz", 8))


def drawn(root, rng, count):
    """Coloured noise of 32x32, lighter from class to class."""
    labels = rng.integers(0, 10, count).astype(np.uint8)
    images = np.clip(rng.normal(60 + 12 * labels[:, None, None, None], 60, (count, 32, 32, 3)), 0, 255)
    return dict(images=images.astype(np.uint8), labels=labels)


def spots(root, rng, count):
    """Noise of 64x64 with a light rectangle, which the mask shows."""
    masks = np.zeros((count, 64, 64), np.uint8)
    for mask, (top, left, height, width) in zip(masks, rng.integers(8, 32, (count, 4))):
        mask[top : top + height, left : left + width] = 1
    images = np.clip(rng.normal(90 + 70 * masks[..., None], 50, (count, 64, 64, 3)), 0, 255)
    return dict(images=images.astype(np.uint8), masks=masks)


def scaled(images):
    return images.astype(np.float32) * np.float32(1 / 255)


def standardized(images):
    """Each channel with mean 0 and deviation 1 over all pictures, as `standardize(over = [h, w])`."""
    exact = images.astype(np.float64)
    return ((exact - exact.mean((0, 1, 2))) / exact.std((0, 1, 2))).astype(np.float32)


def mlp(net, x):
    x = F.relu(net.dense("dense[0]", x.flatten(1)))
    return net.dense("dense[2]", F.relu(net.dense("dense[1]", x)))


def lenet(net, x):
    for i in range(2):
        x = pool(F.max_pool2d, F.relu(net.conv(f"conv[{i}]", x, pad=2)), 2)
    return net.dense("dense[1]", F.relu(net.dense("dense[0]", x.flatten(1))))


def vgg(net, x):
    for stage in range(3):
        for i in range(2):
            x = F.relu(net.conv(f"Stage[{stage}]/conv[{i}]", x, pad=1))
        x = pool(F.max_pool2d, x, 2)
    return net.dense("dense[1]", F.relu(net.dense("dense[0]", x.flatten(1))))


def resnet20(net, x):
    def norm_conv(path, i, x, stride=1, pad=1):
        return net.batch_norm(f"{path}/batch_norm[{i}]", net.conv(f"{path}/conv[{i}]", x, stride, pad))

    x = F.relu(norm_conv("logits", 0, x))
    for i in range(9):
        path, stride = f"logits/Residual[{i}]", 2 if i in (3, 6) else 1
        f = norm_conv(path, 1, F.relu(norm_conv(path, 0, x, stride)))
        x = F.relu(f + (x if stride == 1 else norm_conv(path, 2, x, stride, 0)))
    return net.dense("dense", x.mean((1, 2)))


def unet(net, x, path="scores/UNet[0]", depth=2):
    def double(i, x):
        for k in range(2):
            x = F.relu(net.conv(f"{path}/Double[{i}]/conv[{k}]", x, pad=1))
        return x

    y = e = double(0, x)
    if depth > 0:
        y = unet(net, pool(F.max_pool2d, e, 2), f"{path}/UNet[0]", depth - 1)
        y = double(1, torch.cat([pool(F.interpolate, y, scale_factor=2), e], -1))
    return y if depth < 2 else net.conv("scores/conv", y)


def sgd(rate, decay=0.0):
    return lambda weights: optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)


def adam(weights):
    return optim.Adam(weights, lr=1e-3)


# Program, batch, pictures, what the program does to them, network and optimizer.
WORKLOADS = {
    "T1": ("mlp.dl", 128, fashion, scaled, mlp, adam),
    "T2": ("lenet.dl", 64, fashion, scaled, lenet, sgd(0.01)),
    "T3": ("vgg.dl", 64, drawn, scaled, vgg, sgd(0.01)),
    "T4": ("resnet20.dl", 64, drawn, standardized, resnet20, sgd(0.1, 1e-4)),
    "T7": ("unet.dl", 16, spots, scaled, unet, adam),
}


class Rounded(Table):
    """Results of convolutions and of batch norm rounded to 32 bits, as they must be to be stored, and nothing else."""

    def conv(self, *args, **named):
        return rounded(super().conv(*args, **named))

    def batch_norm(self, *args):
        return rounded(super().batch_norm(*args))


def rounded(y):
    return y + (y.float().double() - y).detach()


def torch_losses(name, start, data, order, steps, dtype, table=Table):
    _, batch, _, prepared, network, optimizer = WORKLOADS[name]
    net = table({path: torch.tensor(w, dtype=dtype) for path, w in start.items()})
    optimizer = optimizer(net.weights())
    images, labels = prepared(data["images"]), data.get("labels", data.get("masks"))
    losses = []
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        x, y = torch.tensor(images[rows]).to(dtype), torch.tensor(labels[rows].astype(np.int64))
        optimizer.zero_grad()
        loss = F.cross_entropy(network(net, x).movedim(-1, 1), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def dlc(args, *words):
    subprocess.run([str(word) for word in (args.dlc, *words)], check=True, stdout=subprocess.DEVNULL)


def whole_program(name):
    """The program with every example in the training part, so that positions in it are rows of the files."""
    text = (HERE / WORKLOADS[name][0]).read_text()
    text = text.replace("official(val = 10%)", "official   # allow(missing_validation)")
    return re.sub(r"in_order\(.*\)", "in_order(train = 100%)   # allow(missing_validation)", text)


def first_weights(args, folder, rng):
    dlc(args, "build", folder / "program.dl", "--data-root", folder, "-o", folder / "start.dlm")
    start = moved(read_model(folder / "start.dlm"), rng, 0.01)
    np.savez(folder / "W.npz", **start)
    return start


def dlc_losses(args, folder, order, steps):
    (folder / "order.txt").write_text("".join(f"{row}\n" for row in order))
    flags = ["--init", folder / "W.npz", "--order", folder / "order.txt", "--log-steps", folder / "losses.csv"]
    flags += ["--threads", args.threads, "--epochs", 1, "--out", folder / "run", "--quiet", "--numerics", args.numerics]
    dlc(args, "run", folder / "program.dl", "--train", "--data-root", folder, *flags)
    lines = (folder / "losses.csv").read_text().split()
    losses = [float(line.split(",")[-1]) for line in lines if line[0].isdigit()]
    return np.array(losses[:steps])


def compare(name, args):
    _, batch, pictures, *_ = WORKLOADS[name]
    rng = np.random.default_rng(args.seed)
    data = pictures(args.data_root, rng, batch * args.steps)
    order = rng.permutation(len(data["images"]))[: batch * args.steps]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "program.dl").write_text(whole_program(name))
        if pictures is fashion:
            (folder / "fashion-mnist").symlink_to(pathlib.Path(args.data_root).resolve() / "fashion-mnist")
        else:
            np.savez(folder / re.search(r'npz\("(.*)"\)', whole_program(name))[1], **data)
        start = first_weights(args, folder, rng)
        ours = dlc_losses(args, folder, order, args.steps) if args.instead is None else None
    exact = torch_losses(name, start, data, order, args.steps, torch.float64)
    single = torch_losses(name, start, data, order, args.steps, torch.float32)
    if args.instead == "native":
        with torch.backends.mkldnn.flags(enabled=False):
            ours = torch_losses(name, start, data, order, args.steps, torch.float32)
    elif args.instead == "rounded":
        ours = torch_losses(name, start, data, order, args.steps, torch.float64, Rounded)
    relative, times = {"strict": (1e-4, 2), "fast": (1e-3, 10)}[args.numerics]
    allowed = np.maximum(relative * np.abs(exact), times * np.maximum.accumulate(np.abs(single - exact)))
    print(f"{name}\nstep        float64    |dlc - f64|    |f32 - f64|        allowed")
    for i in range(args.steps):
        print(f"{i + 1:4} {exact[i]:14.8f} {abs(ours[i] - exact[i]):14.2e} {abs(single[i] - exact[i]):14.2e} {allowed[i]:14.2e}")
    good = bool(np.all(np.abs(ours - exact) <= allowed))
    worst, theirs = (float(np.max(np.abs(losses - exact) / np.abs(exact))) for losses in (ours, single))
    verdict = "within" if good else "OUTSIDE"
    print(f"{name}: {verdict} the bound; largest relative difference {worst:.1e}, of 32-bit PyTorch {theirs:.1e}\n", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--data-root", help="the folder that holds fashion-mnist/, for T1 and T2")
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--numerics", choices=["strict", "fast"], default="fast", help="of dlc, and of the bound")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="of dlc and of PyTorch, whose sums depend on them")
    parser.add_argument("--instead", choices=["native", "rounded"], help="what takes dlc's place")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.data_root is None and any(WORKLOADS[name][2] is fashion for name in args.only):
        parser.error("T1 and T2 need --data-root")
    torch.set_num_threads(args.threads)
    results = [compare(name, args) for name in args.only]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
