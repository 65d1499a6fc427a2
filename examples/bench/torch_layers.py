"""Layers in PyTorch on tables in dlc's layout: features last; dense `[in, out]`, convolution `[k.., in, out]`."""
import torch
import torch.nn.functional as F


class Table:
    """Weights by the end of their path (`[0]` may be left out), and the layers in dlc's layout."""

    def __init__(self, tables):
        self.tables, self.training = tables, True

    @staticmethod
    def plain(path):
        return "/" + path.replace("[0]", "").replace(".", "/")

    def named(self, end):
        return [name for name in self.tables if self.plain(name).endswith(self.plain(end))]

    def weights(self):
        kept = [t for name, t in self.tables.items() if not name.endswith((".mean", ".variance"))]
        return [t.requires_grad_() for t in kept]

    def __getitem__(self, end):
        found = self.named(end)
        assert len(found) == 1, f"{end}: {found} of {list(self.tables)}"
        return self.tables[found[0]]

    def bias(self, path):
        return self[path + ".bias"] if self.named(path + ".bias") else None

    def dense(self, path, x):
        y = torch.tensordot(x, self[path + ".weight"], dims=1)
        bias = self.bias(path)
        return y if bias is None else y + bias

    def conv(self, path, x, stride=1, pad=0, dilation=1, groups=1):
        """`pad`: one number, or before and after for every sliding axis."""
        w, rank = self[path + ".weight"], x.dim() - 2
        x = x.movedim(-1, 1)
        if not isinstance(pad, int):
            x, pad = F.pad(x, [side for axis in reversed(pad) for side in axis]), 0
        convolve = [F.conv1d, F.conv2d, F.conv3d][rank - 1]
        w = w.movedim(-1, 0).movedim(-1, 1)
        return convolve(x, w, self.bias(path), stride, pad, dilation, groups).movedim(1, -1)

    def conv_transpose(self, path, x, stride, pad=0, extra=0):
        w = self[path + ".weight"].movedim(-1, 0).movedim(-1, 0)
        return F.conv_transpose2d(x.movedim(-1, 1), w, self.bias(path), stride, pad, extra).movedim(1, -1)

    def batch_norm(self, path, x):
        mean, variance = self[path + ".mean"], self[path + ".variance"]
        scale, shift = self[path + ".scale"], self[path + ".shift"]
        return F.batch_norm(x.movedim(-1, 1), mean, variance, scale, shift, self.training, 0.1, 1e-5).movedim(1, -1)

    def layer_norm(self, path, x):
        return F.layer_norm(x, x.shape[-1:], self[path + ".scale"], self[path + ".shift"], 1e-5)


def pool(f, x, *more, **named):
    return f(x.movedim(-1, 1), *more, **named).movedim(1, -1)
