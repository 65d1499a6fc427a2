"""How fast bench/mini_gpt.dl tells a text, beside PyTorch with its own cache of keys and values.

    python examples/bench/compare_generation.py --dlc target/release/dlc [--symbols 2000] [--threads 1 2] [--rounds 3]

The network learns for a moment from a text that is drawn here; then dlc (`dlc run MODEL.dlm --prompt .. --json`) and PyTorch
continue the same prompt from the same weights, always with the likeliest symbol. Both keep the keys and values of what they have
read, and go on in the same way where the window of 64 is full: with its last half, read at once. PyTorch is tried as it comes
(caches made before, attention over what is kept only), traced and frozen, and compiled with and without packed weights (all three
with an attention over the whole window and a mask, so that no size changes); its fastest form counts. Both are measured from the
first symbol to the last; of all rounds, which take turns, the fastest counts. The exit code says whether the texts are the same.
Needs torch and numpy.
"""
import argparse
import json
import math
import pathlib
import random
import string
import sys
import tempfile
import time
import warnings

import torch
import torch._inductor.config as inductor
import torch.nn.functional as F

from compare_networks import dlc, read_model
from torch_layers import Table

HERE = pathlib.Path(__file__).resolve().parent
SYMBOLS = sorted(string.ascii_letters + string.digits + " .\n")
WINDOW, WIDTH, HEADS, LAYERS = 64, 128, 4, 4
FORMS = ["plain", "traced", "compiled", "compiled-packed"]


def drawn_text(count):
    """Words of all symbols, some more frequent than others, in sentences."""
    rng = random.Random(0)
    words = ["".join(rng.choices(SYMBOLS[2:], k=rng.randint(1, 8))) for _ in range(300)]
    text = "".join(SYMBOLS)
    while len(text) < count:
        sentence = rng.choices(words, [1 / (i + 1) for i in range(len(words))], k=rng.randint(3, 12))
        text += " ".join(sentence) + rng.choice([". ", ".\n"])
    return text


class Net(torch.nn.Module):
    """One more symbol, with keys and values of those before in tables that are there from the beginning."""

    def __init__(self, tables):
        super().__init__()
        net = Table({path: torch.tensor(w) for path, w in tables.items()})
        keep = torch.nn.ParameterList
        self.embed, self.place = (
            torch.nn.Parameter(net["logits/embed[0].weight"]), torch.nn.Parameter(net["logits/positional[0].place"])
        )

        def dense(path):
            w = net[path + ".weight"]
            return keep([w.flatten(1).T.contiguous(), net[path + ".bias"].flatten()])

        def norm(path):
            return keep([net[path + ".scale"], net[path + ".shift"]])

        self.layers = torch.nn.ModuleList()
        for i in range(LAYERS):
            path = f"logits/transformer[{i}]"
            self.layers.append(torch.nn.ModuleList([
                norm(path + "/layer_norm[0]"), dense(path + "/attention[0]/dense[0]"), dense(path + "/attention[0]/dense[1]"),
                norm(path + "/layer_norm[1]"), dense(path + "/dense[0]"), dense(path + "/dense[1]"),
            ]))
        self.last, self.out = norm("logits/layer_norm[0]"), dense("logits/dense[0]")
        self.register_buffer("keys", torch.zeros(LAYERS, 1, HEADS, WINDOW, WIDTH // HEADS))
        self.register_buffer("values", torch.zeros(LAYERS, 1, HEADS, WINDOW, WIDTH // HEADS))
        self.register_buffer("mask", torch.full((WINDOW, WINDOW), -math.inf).triu(1).view(WINDOW, 1, 1, 1, WINDOW))

    def blocks(self, x, attend):
        for i, (before, qkv, out, after, up, down) in enumerate(self.layers):
            parts = F.linear(F.layer_norm(x, (WIDTH,), *before, 1e-5), *qkv)
            q, k, v = parts.view(1, -1, 3, HEADS, WIDTH // HEADS).transpose(1, 3).unbind(2)
            x = x + F.linear(attend(i, q, k, v).transpose(1, 2).reshape(1, -1, WIDTH), *out)
            x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, (WIDTH,), *after, 1e-5), *up)), *down)
        return F.linear(F.layer_norm(x[:, -1], (WIDTH,), *self.last, 1e-5), *self.out).argmax(-1)

    def read(self, symbols):
        """The symbol after several, which are read at once."""
        count = symbols.shape[1]

        def attend(i, q, k, v):
            self.keys[i, :, :, :count], self.values[i, :, :, :count] = k, v
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

        return self.blocks(F.embedding(symbols, self.embed) + self.place[:count], attend)

    def plain(self, symbol, place):
        """The symbol after one more; attention sees what there is."""
        def attend(i, q, k, v):
            self.keys[i, :, :, place : place + 1], self.values[i, :, :, place : place + 1] = k, v
            return F.scaled_dot_product_attention(q, self.keys[i, :, :, : place + 1], self.values[i, :, :, : place + 1])

        return self.blocks(F.embedding(symbol[None], self.embed) + self.place[place], attend)

    def forward(self, symbol, place):
        """The same with tables of one size: `place` holds one number."""
        mask = self.mask.index_select(0, place)[0]

        def attend(i, q, k, v):
            self.keys[i].index_copy_(2, place, k)
            self.values[i].index_copy_(2, place, v)
            return F.scaled_dot_product_attention(q, self.keys[i], self.values[i], attn_mask=mask)

        return self.blocks(F.embedding(symbol[None], self.embed) + self.place.index_select(0, place), attend)


def stepper(net, form):
    """A function of a symbol and its place."""
    places = [torch.tensor([place]) for place in range(WINDOW)]
    if form == "plain":
        return net.plain
    if form == "traced":
        step = torch.jit.freeze(torch.jit.trace(net.eval(), (torch.tensor([0]), places[0])))
    else:
        torch._dynamo.reset()
        inductor.freezing = form == "compiled-packed"
        step = torch.compile(net.eval(), fullgraph=True, dynamic=False)
    return lambda symbol, place: step(symbol, places[place])


def tell(net, step, prompt, count):
    """So many symbols, and how many came in a second from the first to the last."""
    known, start, read, began = list(prompt), max(0, len(prompt) - WINDOW), 0, None
    for _ in range(count):
        if read == 0:
            symbol = net.read(torch.tensor([known[start:]]))
            read = len(known) - start
        else:
            symbol = step(symbol, read)
            read += 1
        known.append(symbol.item())
        now = time.perf_counter()
        began = began or now
        if len(known) - start > WINDOW:
            start, read = len(known) - WINDOW // 2, 0
    return known[len(prompt) :], (count - 1) / (now - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--model", type=pathlib.Path, help="a .dlm that a run before has made [default: one is trained]")
    parser.add_argument("--keep", type=pathlib.Path, help="where the trained .dlm is kept")
    parser.add_argument("--symbols", type=int, default=2000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    prompt, good = "a", True
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = args.model
        if model is None:
            (folder / "tinyshakespeare").mkdir()
            (folder / "tinyshakespeare/input.txt").write_text(drawn_text(200_000))
            flags = ["--data-root", folder, "--epochs", 2, "--quiet", "--out", folder / "run"]
            dlc(args, "run", HERE / "mini_gpt.dl", "--train", *flags)
            model = folder / "run/best.dlm"
            if args.keep:
                args.keep.write_bytes(model.read_bytes())
        tables = read_model(model)
        for threads in args.threads:
            torch.set_num_threads(threads)
            theirs, ours, texts = {}, 0.0, set()
            with torch.inference_mode():
                forms = {}
                for form in args.forms:
                    net = Net(tables)
                    forms[form] = net, stepper(net, form)
                    tell(*forms[form], [SYMBOLS.index(c) for c in prompt], 2 * WINDOW)
                for _ in range(args.rounds):
                    flags = ["--prompt", prompt, "--limit", args.symbols, "--json", "--threads", threads]
                    told = json.loads(dlc(args, "run", model, *flags))
                    ours = max(ours, told["per_second"])
                    texts.add(told["text"])
                    for form, (net, step) in forms.items():
                        symbols, rate = tell(net, step, [SYMBOLS.index(c) for c in prompt], args.symbols)
                        theirs[form] = max(theirs.get(form, 0.0), rate)
                        texts.add(prompt + "".join(SYMBOLS[at] for at in symbols))
            best = max(theirs, key=theirs.get)
            rates = ", ".join(f"{form} {rate:,.0f}" for form, rate in theirs.items())
            same = "the same text" if len(texts) == 1 else "DIFFERENT TEXTS"
            good &= len(texts) == 1
            print(f"{threads} thread{'s'[: threads - 1]}: dlc {ours:,.0f} symbols a second, PyTorch {theirs[best]:,.0f} ({rates}): "
                  f"{ours / theirs[best]:.1f} times; {same}", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
