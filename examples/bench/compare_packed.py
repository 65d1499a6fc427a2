"""The first ten training losses of a classifier that reads texts of any length in both directions, beside PyTorch's packed sequences.

    python examples/bench/compare_packed.py --dlc target/release/dlc

Draws lines of 1 to 24 words, lets dlc train on them (`dim t <= 24`; --init, --order, --log-steps) and PyTorch, whose GRU reads
`pack_padded_sequence`, in 64 and 32 bits from the same weights and batches. The bound is that of compare_losses.py. Needs torch and numpy.
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
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from compare_networks import moved, read_model

HERE = pathlib.Path(__file__).resolve().parent
BATCH, WIDTH, HIDDEN = 16, 16, 24

PROGRAM = """
dim t <= 24
dim word
dim mood = ["neg", "pos"]

data lines {
  source = lines(neg = "neg.txt", pos = "pos.txt")
  field tokens: word[t] = line |> words
  field feels: mood = file
  split = in_order(train = 100%)   # allow(missing_validation)
}

model Net(tokens: word[t]) -> logits: [mood] {
  x  = tokens |> embed(16)
  fw = x |> gru(24) |> last(over = t)
  bw = x |> gru(24, reverse = true) |> first(over = t)
  logits = concat(fw, bw, over = c) |> dense(mood)
}

train Net on lines {
  loss = cross_entropy(logits, feels)
  optimizer = adam(lr = 1e-2)
  batch = 16
  epochs = 1
}
"""


def vocabulary(path):
    """The words of a model in the order of their numbers."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    dims = header["__metadata__"]["dims"]
    dims = json.loads(dims) if isinstance(dims, str) else dims
    return next(dim["names"] for dim in dims if dim["name"] == "word")


class Net(torch.nn.Module):
    def __init__(self, start, dtype):
        super().__init__()
        tensor = lambda path: torch.tensor(start[path], dtype=dtype)
        table = tensor("Net.x/embed[0].weight")
        self.embed = torch.nn.Embedding.from_pretrained(table, freeze=False)
        self.gru = torch.nn.GRU(WIDTH, HIDDEN, batch_first=True, bidirectional=True, dtype=dtype)
        with torch.no_grad():
            for suffix, path in (("", "fw"), ("_reverse", "bw")):
                for part, i in (("ih", 0), ("hh", 1)):
                    w = tensor(f"Net.{path}/gru[0]/dense[{i}].weight")
                    getattr(self.gru, f"weight_{part}_l0{suffix}").copy_(w.reshape(w.shape[0], -1).T)
                    getattr(self.gru, f"bias_{part}_l0{suffix}").copy_(tensor(f"Net.{path}/gru[0]/dense[{i}].bias").reshape(-1))
        self.weight = torch.nn.Parameter(tensor("Net.logits/dense[0].weight"))
        self.bias = torch.nn.Parameter(tensor("Net.logits/dense[0].bias"))

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return torch.cat([last[0], last[1]], -1) @ self.weight + self.bias


def torch_losses(start, texts, labels, order, steps, dtype):
    net = Net(start, dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        rows = order[step * BATCH : (step + 1) * BATCH]
        lengths = [len(texts[row]) for row in rows]
        tokens = torch.zeros(BATCH, max(lengths), dtype=torch.long)
        for at, row in enumerate(rows):
            tokens[at, : lengths[at]] = torch.tensor(texts[row])
        optimizer.zero_grad()
        loss = F.cross_entropy(net(tokens, lengths), torch.tensor(labels[rows]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    count = BATCH * args.steps
    labels = (np.arange(count) >= count // 2).astype(np.int64)
    words = [f"w{i}" for i in range(40)]
    lines = [" ".join(rng.choice(words[10 * label : 30 + 10 * label], rng.integers(1, 25))) for label in labels]
    order = rng.permutation(count)
    dlc = lambda *rest: subprocess.run([args.dlc, *map(str, rest)], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "program.dl").write_text(PROGRAM)
        (folder / "neg.txt").write_text("\n".join(lines[: count // 2]) + "\n")
        (folder / "pos.txt").write_text("\n".join(lines[count // 2 :]) + "\n")
        (folder / "order.txt").write_text("".join(f"{row}\n" for row in order))
        dlc("build", folder / "program.dl", "-o", folder / "start.dlm")
        start = moved(read_model(folder / "start.dlm"), rng, 0.01)
        np.savez(folder / "W.npz", **start)
        number = {word: i for i, word in enumerate(vocabulary(folder / "start.dlm"))}
        flags = ["--init", folder / "W.npz", "--order", folder / "order.txt", "--log-steps", folder / "losses.csv"]
        dlc("run", folder / "program.dl", "--train", "--out", folder / "run", "--quiet", *flags)
        rows = (folder / "losses.csv").read_text().split()
    ours = np.array([float(row.split(",")[-1]) for row in rows if row[0].isdigit()])[: args.steps]
    texts = [[number[word] for word in line.split()] for line in lines]
    exact, single = (torch_losses(start, texts, labels, order, args.steps, d) for d in (torch.float64, torch.float32))
    allowed = np.maximum(1e-4 * np.abs(exact), 2 * np.maximum.accumulate(np.abs(single - exact)))
    for i in range(args.steps):
        print(f"{i + 1:4} {exact[i]:14.8f} {abs(ours[i] - exact[i]):14.2e} {abs(single[i] - exact[i]):14.2e} {allowed[i]:14.2e}")
    worst, theirs = (float(np.max(np.abs(losses - exact) / np.abs(exact))) for losses in (ours, single))
    good = bool(np.all(np.abs(ours - exact) <= allowed))
    print(f"{'within' if good else 'OUTSIDE'} the bound; largest relative difference {worst:.1e}, of 32-bit PyTorch {theirs:.1e}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
