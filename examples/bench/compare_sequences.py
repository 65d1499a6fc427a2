"""The first ten training losses of recurrent networks and of attention beside PyTorch's, from the same weights and batches.

    python examples/bench/compare_sequences.py --dlc target/release/dlc [--only T5 T6 rnn lstm gru attention]

T5 and T6 are bench/char_lstm.dl and bench/mini_gpt.dl on symbols drawn here instead of a text; the others are a layer of the
standard library each, between an embedding and a dense layer (`lstm` and `gru` also backwards). The bound is that of
compare_losses.py: the larger of 1e-4 relative to the run in 64 bits and twice what PyTorch in 32 bits has differed at that step
or before. The exit code says whether all keep it. Needs torch and numpy.
"""
import argparse
import math
import pathlib
import re
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import optim

from compare_losses import dlc_losses, first_weights
from torch_layers import Table

HERE = pathlib.Path(__file__).resolve().parent
DATA = """data corpus {
  source = npz("examples.npz")
  field tokens: char[t] = array("tokens")
  field next: char[t] = array("next")
  split = in_order(train = 100%)   # allow(missing_validation)
}
"""
SMALL = """dim t = 24
dim char = 17

{data}
model Net(tokens: char[t]) -> logits: [t, char] {{
  logits = tokens |> embed(20) |> {layers} |> dense(char)
}}

train Net on corpus {{
  loss      = cross_entropy(logits, next)
  optimizer = adam(lr = 5e-3)
  batch     = 8
  epochs    = 1
}}
"""


def scan(x, size, cell, states, reverse=False):
    """The first state after every element of [batch, t, ..]."""
    state = [x.new_zeros(len(x), size) for _ in range(states)]
    found = []
    for xt in reversed(x.unbind(1)) if reverse else x.unbind(1):
        state = cell(xt, *state)
        found.append(state[0])
    return torch.stack(found[::-1] if reverse else found, 1)


def gates(net, path, x, bias=True):
    y = torch.einsum("bk,kgc->gbc", x, net[path + ".weight"])
    return y + net[path + ".bias"][:, None] if bias else y


def rnn(net, path, x, reverse=False):
    recur = net[path + "/dense[1].weight"]
    cell = lambda xt, h: [torch.tanh(net.dense(path + "/dense[0]", xt) + h @ recur)]
    return scan(x, len(recur), cell, 1, reverse)


def lstm(net, path, x, reverse=False):
    def cell(xt, h, m):
        i, f, g, o = gates(net, path + "/dense[0]", xt) + gates(net, path + "/dense[1]", h, False)
        m = torch.sigmoid(f) * m + torch.sigmoid(i) * torch.tanh(g)
        return [torch.sigmoid(o) * torch.tanh(m), m]

    return scan(x, len(net[path + "/dense[1].weight"]), cell, 2, reverse)


def gru(net, path, x, reverse=False):
    def cell(xt, h):
        (xr, xz, xn), (hr, hz, hn) = gates(net, path + "/dense[0]", xt), gates(net, path + "/dense[1]", h)
        z = torch.sigmoid(xz + hz)
        return [(1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h]

    return scan(x, len(net[path + "/dense[1].weight"]), cell, 1, reverse)


def transformer(net, path, x):
    n = net.layer_norm(path + "/layer_norm[0]", x)
    parts = torch.einsum("btd,dphk->btphk", n, net[path + "/attention[0]/dense[0].weight"])
    q, k, v = (parts + net[path + "/attention[0]/dense[0].bias"]).unbind(2)
    scores = torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(q.shape[-1])
    later = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
    share = torch.softmax(scores.masked_fill(later, -math.inf), -1)
    a = x + net.dense(path + "/attention[0]/dense[1]", torch.einsum("bhts,bshk->bthk", share, v).flatten(2))
    f = net.dense(path + "/dense[0]", net.layer_norm(path + "/layer_norm[1]", a))
    return a + net.dense(path + "/dense[1]", F.gelu(f))


def char_lstm(net, x):
    return lstm(net, "logits/lstm[0]", x)


def mini_gpt(net, x):
    x = x + net["logits/positional[0].place"]
    for i in range(4):
        x = transformer(net, f"logits/transformer[{i}]", x)
    return net.layer_norm("logits/layer_norm[0]", x)


def both(layer, name):
    return lambda net, x: layer(net, f"logits/{name}[1]", layer(net, f"logits/{name}[0]", x), reverse=True)


def adam(rate):
    return lambda weights: optim.Adam(weights, lr=rate)


# Program, batch, elements, symbols, layers between embedding and the last dense layer, and optimizer.
WORKLOADS = {
    "T5": ("char_lstm.dl", 32, 64, 65, char_lstm, adam(2e-3)),
    "T6": ("mini_gpt.dl", 12, 64, 65, mini_gpt, lambda w: optim.AdamW(w, lr=1e-3, weight_decay=0.1)),
    "rnn": ("rnn(24) |> rnn(20, reverse = true)", 8, 24, 17, both(rnn, "rnn"), adam(5e-3)),
    "lstm": ("lstm(24) |> lstm(20, reverse = true)", 8, 24, 17, both(lstm, "lstm"), adam(5e-3)),
    "gru": ("gru(24) |> gru(20, reverse = true)", 8, 24, 17, both(gru, "gru"), adam(5e-3)),
    "attention": (
        "transformer(heads = 4, causal = true)", 8, 24, 17,
        lambda net, x: transformer(net, "logits/transformer[0]", x), adam(5e-3),
    ),
}


def program(name):
    source = WORKLOADS[name][0]
    if not source.endswith(".dl"):
        return SMALL.format(data=DATA, layers=source)
    return re.sub(r"data corpus \{.*?\n\}\n", lambda _: DATA, (HERE / source).read_text(), flags=re.S)


def torch_losses(name, start, data, order, steps, dtype):
    _, batch, _, _, layers, optimizer = WORKLOADS[name]
    net = Table({path: torch.tensor(w, dtype=dtype) for path, w in start.items()})
    optimizer = optimizer(net.weights())
    losses = []
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        x, y = (torch.tensor(data[field][rows]) for field in ("tokens", "next"))
        optimizer.zero_grad()
        logits = net.dense("logits/dense[0]", layers(net, net["logits/embed[0].weight"][x]))
        loss = F.cross_entropy(logits.movedim(-1, 1), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def compare(name, args):
    _, batch, t, symbols, *_ = WORKLOADS[name]
    rng = np.random.default_rng(args.seed)
    count = batch * args.steps
    tokens = np.cumsum(rng.integers(0, 3, (count, t + 1)), 1) % symbols
    data = dict(tokens=tokens[:, :-1], next=tokens[:, 1:])
    order = rng.permutation(count)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "program.dl").write_text(program(name))
        np.savez(folder / "examples.npz", **data)
        start = first_weights(args, folder, rng)
        ours = dlc_losses(args, folder, order, args.steps)
    exact, single = (torch_losses(name, start, data, order, args.steps, ty) for ty in (torch.float64, torch.float32))
    allowed = np.maximum(1e-4 * np.abs(exact), 2 * np.maximum.accumulate(np.abs(single - exact)))
    good = bool(np.all(np.abs(ours - exact) <= allowed))
    worst, theirs = (float(np.max(np.abs(losses - exact) / np.abs(exact))) for losses in (ours, single))
    verdict = "within" if good else "OUTSIDE"
    print(f"{name}: {verdict} the bound; loss {exact[0]:.4f} to {exact[-1]:.4f}; largest relative difference "
          f"{worst:.1e}, of 32-bit PyTorch {theirs:.1e}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--numerics", choices=["strict", "fast"], default="fast")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results = [compare(name, args) for name in args.only]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
