"""The networks of compare_networks.py: each as a program of dlc and as PyTorch, tables in dlc's layout (features last)."""
import math
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import optim

from torch_layers import pool

# Shape of one example, and the number of classes of index fields.
FIELDS = {
    "image": ((10, 8, 3), None),
    "signal": ((17, 4), None),
    "volume": ((6, 5, 4, 2), None),
    "token": ((6,), 11),
    "label": ((), 5),
    "mask": ((8, 8), 3),
    "square": ((8, 8, 2), None),
    "target": ((3,), None),
    "hit": ((3,), 2),
    "photo": ((23, 20, 16), None),
    "series": ((150, 20), None),
    "tall": ((9, 12, 10, 8), None),
}
TYPES = {
    "image": "[h: 10, w: 8, c: 3]",
    "signal": "[t: 17, c: 4]",
    "volume": "[z: 6, h: 5, w: 4, c: 2]",
    "token": "word[place: 6]",
    "label": "kind",
    "mask": "area[h: 8, w: 8]",
    "square": "[h: 8, w: 8, c: 2]",
    "target": "[out: 3]",
    "hit": "[out: 3]",
    "photo": "[h: 23, w: 20, c: 16]",
    "series": "[t: 150, c: 20]",
    "tall": "[z: 9, h: 12, w: 10, c: 8]",
}


@dataclass
class Case:
    fields: list
    model: str
    train: str
    loss: Callable
    optimizer: Callable
    schedule: Callable = lambda step, total: 1
    clip: float = 0
    types: dict = None

    def __post_init__(self):
        self.types = TYPES


def classify(body):
    return (
        f"dim kind = 5\nmodel Net(image: [h: 10, w: 8, c: 3]) -> logits: [kind] {{\n"
        f"  logits = image |> {body} |> dense(kind)\n}}"
    )


def sgd(**more):
    return lambda w: optim.SGD(w, lr=0.1, **more)


CROSS = "loss = cross_entropy(logits, label)"
PICTURES = ["image", "label"]
NETWORKS = {}


def network(name, fields, model, train, optimizer, **more):
    def add(loss):
        NETWORKS[name] = Case(fields, model, train, loss, optimizer, **more)
        return loss

    return add


@network("strided", PICTURES, classify("""
    conv(6, 3, stride = 2) |> tanh |> conv(7, 3, stride = 2, pad = 1) |> gelu |> flatten"""),
         f"{CROSS} optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = true, decay = 0.01)",
         sgd(momentum=0.9, nesterov=True, weight_decay=0.01))
def strided(net, x):
    y = net.conv("conv[0]", x["image"], 2, [(0, 1), (0, 1)])
    y = F.gelu(net.conv("conv[1]", torch.tanh(y), 2, 1))
    return F.cross_entropy(net.dense("dense", y.flatten(1)), x["label"])


@network("grouped", PICTURES, classify("""
    conv(6, 3, groups = 3, pad = none) |> silu |> conv(6, 3, groups = 6) |> elu |> conv(8, 2, groups = 2) |>
    mean(over = [h, w])"""),
         f"{CROSS} optimizer = adam(lr = 0.01)", lambda w: optim.Adam(w, lr=0.01))
def grouped(net, x):
    y = F.silu(net.conv("conv[0]", x["image"], groups=3))
    y = F.elu(net.conv("conv[1]", y, pad=1, groups=6))
    y = net.conv("conv[2]", y, pad=[(0, 1), (0, 1)], groups=2)
    return F.cross_entropy(net.dense("dense", y.mean((1, 2))), x["label"])


@network("batch_norm", PICTURES, classify("""
    conv(6, 3, bias = false) |> batch_norm |> relu |> max_pool(2) |> conv(5, 3, dilation = 2, bias = false) |>
    batch_norm |> leaky_relu |> flatten"""),
         f"{CROSS} optimizer = sgd(lr = 0.1, momentum = 0.9)", sgd(momentum=0.9))
def batch_norm(net, x):
    y = F.relu(net.batch_norm("batch_norm[0]", net.conv("conv[0]", x["image"], pad=1)))
    y = pool(F.max_pool2d, y, 2)
    y = F.leaky_relu(net.batch_norm("batch_norm[1]", net.conv("conv[1]", y, pad=2, dilation=2)))
    return F.cross_entropy(net.dense("dense", y.flatten(1)), x["label"])


def warm_cosine(step, total):
    rise = min((step + 1) / 3, 1)
    over = min(max((step - 3) / (total - 3), 0), 1)
    return rise * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * over)))


@network("residual", PICTURES, classify("""
    residual(4) |> residual(6, stride = 2) |> squeeze_excite(2) |> mean(over = [h, w])"""),
         """
  loss = cross_entropy(logits, label, smooth = 0.1)
  optimizer = adamw(lr = 0.01, decay = 0.1)
  schedule = cosine(warmup = 3 steps, floor = 0.1)""",
         lambda w: optim.AdamW(w, lr=0.01, weight_decay=0.1), schedule=warm_cosine)
def residual(net, x):
    def block(path, x, stride, pad):
        y = F.relu(net.batch_norm(path + "/batch_norm[0]", net.conv(path + "/conv[0]", x, stride, pad)))
        y = net.batch_norm(path + "/batch_norm[1]", net.conv(path + "/conv[1]", y, pad=1))
        return F.relu(y + net.batch_norm(path + "/batch_norm[2]", net.conv(path + "/conv[2]", x, stride)))

    y = block("residual[1]", block("residual[0]", x["image"], 1, 1), 2, [(0, 1), (0, 1)])
    s = F.relu(net.dense("squeeze_excite/dense[0]", y.mean((1, 2))))
    s = torch.sigmoid(net.dense("squeeze_excite/dense[1]", s))
    y = (y * s[:, None, None]).mean((1, 2))
    return F.cross_entropy(net.dense("logits/dense", y), x["label"], label_smoothing=0.1)


@network("unet", ["square", "mask"], """dim area = 3
block Double(x: [h, w, c], ch) -> y { y = x |> repeat 2 { conv(ch, 3, bias = false) |> batch_norm |> relu } }
block UNet(x: [h, w, c], ch, depth) -> y {
  e = x |> Double(ch)
  y = if depth == 0 then e
      else e |> max_pool(2) |> UNet(2 * ch, depth - 1) |> conv_transpose(ch, 2, stride = 2) |>
    concat(e, over = c) |> Double(ch)
}
model Net(square: [h: 8, w: 8, c: 2]) -> scores: [h: 8, w: 8, area] { scores = square |> UNet(4, 2) |>
    conv(area, 1) }""",
         "loss = cross_entropy(scores, mask) optimizer = adamw(lr = 0.01, clip = 0.5)",
         lambda w: optim.AdamW(w, lr=0.01, weight_decay=0.01), clip=0.5)
def unet(net, x):
    def double(path, x):
        for i in range(2):
            x = F.relu(net.batch_norm(f"{path}/batch_norm[{i}]", net.conv(f"{path}/conv[{i}]", x, pad=1)))
        return x

    def level(path, x, depth):
        e = double(f"{path}/Double[0]", x)
        if depth == 0:
            return e
        y = level(f"{path}/UNet", pool(F.max_pool2d, e, 2), depth - 1)
        y = torch.cat([net.conv_transpose(f"{path}/conv_transpose", y, 2), e], -1)
        return double(f"{path}/Double[1]", y)

    y = net.conv("scores/conv", level("Net.scores/UNet", x["square"], 2))
    return F.cross_entropy(y.movedim(-1, 1), x["mask"])


@network("transposed", ["square", "mask"], """dim area = 3
model Net(square: [h: 8, w: 8, c: 2]) -> scores: [h: 8, w: 8, area] {
  scores = square |> conv(4, 3, stride = 2) |> relu |> conv(5, 3, stride = 2) |> sigmoid |>
    conv_transpose(6, 3, stride = 2) |> relu |> conv_transpose(area, 4, stride = 2)
}""", "loss = cross_entropy(scores, mask) optimizer = rmsprop(lr = 0.01, decay = 0.01)",
         lambda w: optim.RMSprop(w, lr=0.01, weight_decay=0.01))
def transposed(net, x):
    y = F.relu(net.conv("conv[0]", x["square"], 2, [(0, 1), (0, 1)]))
    y = torch.sigmoid(net.conv("conv[1]", y, 2, [(0, 1), (0, 1)]))
    y = F.relu(net.conv_transpose("conv_transpose[0]", y, 2)[:, :4, :4])
    y = net.conv_transpose("conv_transpose[1]", y, 2, 1)
    return F.cross_entropy(y.movedim(-1, 1), x["mask"])


@network("one_axis", ["signal", "target"], """model Net(signal: [t: 17, c: 4]) -> y: [out: 3] {
  y = signal |> conv(6, 5, stride = 2) |> mish |> avg_pool(3, stride = 2, pad = 1) |>
    conv(5, 3, dilation = 2, pad = none) |> softplus |> flatten |> dense(out: 3)
}""", "loss = huber(y, target, delta = 0.5) optimizer = adam(lr = 0.01, decay = 0.05, b1 = 0.8, b2 = 0.95)",
         lambda w: optim.Adam(w, lr=0.01, betas=(0.8, 0.95), weight_decay=0.05))
def one_axis(net, x):
    y = F.mish(net.conv("conv[0]", x["signal"], 2, [(2, 2)]))
    y = pool(F.avg_pool1d, y, 3, 2, 1, count_include_pad=False)
    y = F.softplus(net.conv("conv[1]", y, dilation=2))
    return F.huber_loss(net.dense("dense", y.flatten(1)), x["target"], delta=0.5)


@network("three_axes", ["volume", "target"], """model Net(volume: [z: 6, h: 5, w: 4, c: 2]) -> y: [out: 3] {
  y = volume |> conv(4, 3, stride = [2, 1, 2]) |> relu6 |> conv(5, [2, 3, 1], pad = none) |> selu |>
    max_pool([1, 2, 1]) |> flatten |> dense(out: 3)
}""", "loss = mae(y, target) optimizer = sgd(lr = 0.05, momentum = 0.5, clip = 1.0)",
         lambda w: optim.SGD(w, lr=0.05, momentum=0.5), clip=1.0)
def three_axes(net, x):
    y = F.relu6(net.conv("conv[0]", x["volume"], (2, 1, 2), [(0, 1), (1, 1), (0, 1)]))
    y = pool(F.max_pool3d, F.selu(net.conv("conv[1]", y)), (1, 2, 1))
    return F.l1_loss(net.dense("dense", y.flatten(1)), x["target"])


@network("attention", ["token", "target"], """dim word = 11
model Net(token: word[place: 6]) -> y: [out: 3] {
  e = token |> embed(d: 8)
  n = e |> layer_norm
  q, k, v = n |> dense(part: 3, head: 2, key: 4, bias = false) |> unstack(over = part)
  ks = k |> view(place -> s)
  vs = v |> view(place -> s)
  a = dot(q, ks, over = key) / 2 |> softmax(over = s)
  m = dot(a, vs, over = s) |> order([place, head, key]) |> view(head, key -> d) |> dense(d: 8)
  r = e + m
  f = r + (r |> layer_norm |> dense(16) |> gelu_tanh |> dense(d: 8))
  y = f[place: 1..5] |> mean(over = place) |> dense(out: 3)
}""", "loss = mse(y, target) optimizer = adam(lr = 0.01, clip = 0.3)",
         lambda w: optim.Adam(w, lr=0.01), clip=0.3)
def attention(net, x):
    e = net["embed.weight"][x["token"]]
    n = net.layer_norm("n/layer_norm", e)
    parts = torch.einsum("btd,dphk->btphk", n, net["q/dense.weight"])
    q, k, v = parts.unbind(2)
    a = torch.softmax(torch.einsum("bthk,bshk->bths", q, k) / 2, -1)
    m = torch.einsum("bths,bshk->bthk", a, v).flatten(2)
    r = e + net.dense("m/dense", m)
    f = net.dense("f/dense[0]", net.layer_norm("f/layer_norm", r))
    f = r + net.dense("f/dense[1]", F.gelu(f, approximate="tanh"))
    return F.mse_loss(net.dense("y/dense", f[:, 1:5].mean(1)), x["target"])


@network("upsampled", ["square", "mask"], """dim area = 3
model Net(square: [h: 8, w: 8, c: 2]) -> scores: [h: 8, w: 8, area] {
  a = square |> avg_pool(2) |> conv(4, 3) |> relu
  b = a |> upsample(2, "linear")
  c = a |> max_pool(3, stride = 2, pad = 1) |> conv(3, 1) |> upsample(4)
  scores = concat(b, square, c, over = c) |> conv(area, 3)
}""", """
  loss { rough = cross_entropy(scores, mask) small = 0.01 * mean(scores ^ 2) }
  optimizer = sgd(lr = 0.1, decay = 0.01)
  schedule = steps(at = [4 steps, 8 steps], by = 0.2)""",
         sgd(weight_decay=0.01), schedule=lambda step, total: 0.2 ** ((step >= 4) + (step >= 8)))
def upsampled(net, x):
    a = F.relu(net.conv("a/conv", pool(F.avg_pool2d, x["square"], 2), pad=1))
    b = pool(F.interpolate, a, scale_factor=2, mode="bilinear", align_corners=False)
    c = net.conv("c/conv", pool(F.max_pool2d, a, 3, 2, 1))
    c = pool(F.interpolate, c, scale_factor=4, mode="nearest")
    y = net.conv("scores/conv", torch.cat([b, x["square"], c], -1), pad=1)
    return F.cross_entropy(y.movedim(-1, 1), x["mask"]) + 0.01 * (y**2).mean()


@network("shared", ["image", "signal", "hit"], """
model Net(image: [h: 10, w: 8, c: 3], signal: [t: 17, c: 4])
    -> (y: [out: 3], z: [out: 3]) {
  layer f = dense(9)
  a = image |> conv(4, 3, pad = 2) |> hard_sigmoid |> max_pool(3, stride = 2) |> mean(over = [h, w])
  b = signal[t: 2..9] |> max(over = t)
  p = f(a) |> tanh
  q = f(b) |> swish
  y = concat(p, q, over = c) |> dense(out: 3)
  z = p * q |> dense(out: 3, bias = false) |> clamp(-0.5, 2)
}""", """
  loss { first = bce(y, hit) second = 2 * mse(z, hit) }
  optimizer = rmsprop(lr = 0.01, alpha = 0.9)
  schedule = linear(warmup = 2 steps, floor = 0.2)""",
         lambda w: optim.RMSprop(w, lr=0.01, alpha=0.9),
         schedule=lambda step, total: min((step + 1) / 2, 1) * (1 - 0.8 * min(max((step - 2) / (total - 2), 0), 1)))
def shared(net, x):
    hit = x["hit"].double()
    a = pool(F.max_pool2d, F.hardsigmoid(net.conv("conv", x["image"], pad=2)), 3, 2).mean((1, 2))
    b = x["signal"][:, 2:9].amax(1)
    p, q = torch.tanh(net.dense("f", a)), F.silu(net.dense("f", b))
    y = net.dense("y/dense", torch.cat([p, q], -1))
    z = net.dense("z/dense", p * q).clamp(-0.5, 2)
    return F.binary_cross_entropy_with_logits(y, hit) + 2 * F.mse_loss(z, hit)


def climb(step, total):
    if step < 3:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * step / 3))
    over = min(max((step - 3) / (total - 1 - 3), 0), 1)
    return 4e-6 + (1 - 4e-6) * 0.5 * (1 + math.cos(math.pi * over))


@network("separable", PICTURES, classify("""
    separable_conv(8, 3, stride = 2) |> relu |> conv(5, 3, over = h) |> conv(6, 3, over = w, stride = 2) |> relu |>
    flatten |> log_softmax(over = c)"""),
         "loss = nll(log_softmax(logits, over = kind), label) optimizer = adam(lr = 0.02) schedule = one_cycle",
         lambda w: optim.Adam(w, lr=0.02), schedule=climb)
def separable(net, x):
    y = net.conv("separable_conv/conv[0]", x["image"], 2, [(0, 1), (0, 1)], groups=3)
    y = F.relu(net.conv("separable_conv/conv[1]", y))
    n, h, w, c = y.shape
    y = net.conv("logits/conv[0]", y.movedim(2, 1).flatten(0, 1), pad=1).unflatten(0, (n, w)).movedim(1, 2)
    y = net.conv("logits/conv[1]", y.flatten(0, 1), 2, [(0, 1)]).unflatten(0, (n, h))
    y = torch.log_softmax(F.relu(y).flatten(1), -1)
    return F.cross_entropy(net.dense("dense", y), x["label"])


def wide(body, output="photo: [h: 23, w: 20, c: 16]"):
    return f"dim kind = 5\nmodel Net({output}) -> logits: [kind] {{\n  logits = {body} |> dense(kind)\n}}"


@network("wide_strided", ["photo", "label"],
         wide("""
    photo |> conv(48, 3, stride = 2, bias = false) |> batch_norm |> relu |> conv(70, 3, stride = 2, pad = 1) |>
    relu |> conv(33, 5, dilation = 2) |> relu |> avg_pool(2) |> flatten |> dense(130) |> relu"""),
         f"{CROSS} optimizer = sgd(lr = 0.02, momentum = 0.9)", lambda w: optim.SGD(w, lr=0.02, momentum=0.9))
def wide_strided(net, x):
    y = F.relu(net.batch_norm("batch_norm", net.conv("conv[0]", x["photo"], 2, [(1, 1), (0, 1)])))
    y = F.relu(net.conv("conv[1]", y, 2, 1))
    y = pool(F.avg_pool2d, F.relu(net.conv("conv[2]", y, pad=4, dilation=2)), 2)
    y = F.relu(net.dense("dense[0]", y.flatten(1)))
    return F.cross_entropy(net.dense("dense[1]", y), x["label"])


@network("wide_grouped", ["photo", "label"],
         wide("""
    photo |> conv(64, 3, groups = 4) |> relu |> conv(64, 5, groups = 64, stride = 2) |> relu |> conv(96, 1) |>
    relu |> conv(64, [3, 1], groups = 2, pad = none) |> relu |> max_pool(3, stride = 2) |> flatten"""),
         f"{CROSS} optimizer = sgd(lr = 0.02, decay = 0.01)", lambda w: optim.SGD(w, lr=0.02, weight_decay=0.01))
def wide_grouped(net, x):
    y = F.relu(net.conv("conv[0]", x["photo"], pad=1, groups=4))
    y = F.relu(net.conv("conv[1]", y, 2, [(2, 2), (1, 2)], groups=64))
    y = F.relu(net.conv("conv[2]", y))
    y = pool(F.max_pool2d, F.relu(net.conv("conv[3]", y, groups=2)), 3, 2)
    return F.cross_entropy(net.dense("dense", y.flatten(1)), x["label"])


@network("wide_transposed", ["photo", "label"],
         wide("""
    photo |> conv(40, 3, stride = 3) |> relu |> conv_transpose(56, 3, stride = 2, bias = false) |> batch_norm |>
    relu |> conv_transpose(24, 5, stride = 3) |> relu |> max_pool(4) |> mean(over = [h])|> flatten"""),
         f"{CROSS} optimizer = sgd(lr = 0.05, momentum = 0.9)", lambda w: optim.SGD(w, lr=0.05, momentum=0.9))
def wide_transposed(net, x):
    y = F.relu(net.conv("conv[0]", x["photo"], 3, [(0, 1), (0, 1)]))
    y = F.relu(net.batch_norm("batch_norm", net.conv_transpose("conv_transpose[0]", y, 2)[:, :16, :14]))
    y = F.relu(net.conv_transpose("conv_transpose[1]", y, 3, 1))
    y = pool(F.max_pool2d, y, 4).mean(1).flatten(1)
    return F.cross_entropy(net.dense("dense", y), x["label"])


@network("wide_one_axis", ["series", "label"],
         wide("""
    series |> conv(64, 7, stride = 2) |> relu |> conv(64, 3, dilation = 8) |> gelu |> max_pool(2) |>
    conv(100, 9, pad = none, groups = 4) |> relu |> mean(over = t)""", "series: [t: 150, c: 20]"),
         f"{CROSS} optimizer = sgd(lr = 0.05, momentum = 0.9)", lambda w: optim.SGD(w, lr=0.05, momentum=0.9))
def wide_one_axis(net, x):
    y = F.relu(net.conv("conv[0]", x["series"], 2, [(2, 3)]))
    y = pool(F.max_pool1d, F.gelu(net.conv("conv[1]", y, pad=8, dilation=8)), 2)
    y = F.relu(net.conv("conv[2]", y, groups=4)).mean(1)
    return F.cross_entropy(net.dense("dense", y), x["label"])


@network("wide_three_axes", ["tall", "label"],
         wide("""
    tall |> conv(32, 3) |> relu |> max_pool(2) |> conv(48, 3, stride = [1, 2, 2], bias = false) |> batch_norm |>
    relu |> flatten""", "tall: [z: 9, h: 12, w: 10, c: 8]"),
         f"{CROSS} optimizer = sgd(lr = 0.05, momentum = 0.9)", lambda w: optim.SGD(w, lr=0.05, momentum=0.9))
def wide_three_axes(net, x):
    y = pool(F.max_pool3d, F.relu(net.conv("conv[0]", x["tall"], pad=1)), 2)
    y = F.relu(net.batch_norm("batch_norm", net.conv("conv[1]", y, (1, 2, 2), [(1, 1), (0, 1), (1, 1)])))
    return F.cross_entropy(net.dense("dense", y.flatten(1)), x["label"])
