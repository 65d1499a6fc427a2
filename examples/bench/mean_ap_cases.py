"""Makes runtime/src/metrics/average_precision/cases.json: boxes, and what pycocotools and Pascal VOC's rules say of them.

pip install numpy pycocotools; python examples/bench/mean_ap_cases.py
"""

import contextlib
import io
import json
import pathlib
import random

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = pathlib.Path(__file__).parents[2] / "runtime/src/metrics/average_precision/cases.json"


def box(r):
    left, top = r.randint(0, 40) / 2, r.randint(0, 40) / 2
    return [left, top, left + r.randint(2, 30) / 2, top + r.randint(2, 30) / 2]


def near(r, b):
    moved = [x + r.choice([-2, -1, -0.5, 0, 0, 0, 0.5, 1, 2]) for x in b]
    return moved if moved[0] < moved[2] and moved[1] < moved[3] else b


def case(seed, pictures, classes, many=False, scores=9, crowds=0.2, empty=(), blind=(), untold=(), twins=False):
    """`scores`: how many there are, so that many are alike. `crowds`: the share of objects that are ignored, or by class. `empty`: pictures
    without objects; `blind`: pictures of which nothing is told. `untold`: classes without objects. `twins`: each object is there twice."""
    r = random.Random(seed)
    share = lambda c: crowds[c] if isinstance(crowds, list) else crowds
    sure = lambda: r.randint(1, scores) / 10
    truth, found = [], []
    for picture in range(pictures):
        count = 0 if picture in empty else r.choice([0, 0, 1, 3, 6]) if not (empty or blind or untold or twins) else r.choice([1, 3, 6])
        objects = [[r.choice([c for c in range(classes) if c not in untold]), *box(r)] for _ in range(count)]
        objects = [[*o, int(r.random() < share(o[0]))] for o in objects]
        seen = [[o[0] if r.random() < 0.9 else r.randrange(classes), sure(), *near(r, o[1:5])]
                for o in objects for _ in range(r.choice([0, 1, 1, 2]))]
        seen += [[r.randrange(classes), sure(), *box(r)] for _ in range(130 if many else r.choice([0, 1, 3]))]
        if twins:
            objects += [[*o[:5], int(r.random() < share(o[0]))] for o in objects]
            seen += [[s[0], sure(), *s[2:]] for s in seen if r.random() < 0.5]
        if picture in blind:
            seen = []
        r.shuffle(seen)
        truth.append(objects)
        found.append(seen)
    return {"truth": truth, "found": found}


def coco(truth, found):
    ids = range(1, len(truth) + 1)
    classes = 1 + max([o[0] for p in truth + found for o in p])
    wide = lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]
    notes = [{"image_id": i, "category_id": 1 + o[0], "bbox": wide(o[1:5]), "area": (o[3] - o[1]) * (o[4] - o[2]), "iscrowd": o[5]}
             for i, p in zip(ids, truth) for o in p]
    for at, note in enumerate(notes):
        note["id"] = at + 1
    gt = COCO()
    gt.dataset = {"images": [{"id": i} for i in ids], "annotations": notes,
                  "categories": [{"id": 1 + c, "name": str(c)} for c in range(classes)]}
    gt.createIndex()
    told = [{"image_id": i, "category_id": 1 + o[0], "score": o[1], "bbox": wide(o[2:])} for i, p in zip(ids, found) for o in p]
    if told:
        dt = gt.loadRes(told)
    else:
        dt = COCO()
        dt.dataset = {**gt.dataset, "annotations": []}
        dt.createIndex()
    e = COCOeval(gt, dt, "bbox")
    e.evaluate()
    e.accumulate()
    e.summarize()
    return {"coco": e.stats[0], "coco50": e.stats[1], "coco75": e.stats[2]}


def share(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def voc(truth, found, eleven, least=0.5):
    """As the development kit of Pascal VOC has it, but for its points of a width of one."""
    each = []
    for c in sorted({o[0] for p in truth for o in p}):
        count = sum(o[0] == c and not o[5] for p in truth for o in p)
        if count == 0:
            continue
        ranked = [(-o[1], i, k) for i, p in enumerate(found) for k, o in enumerate(p) if o[0] == c]
        ranked.sort(key=lambda x: x[0])
        taken, right, wrong = set(), [], []
        for _, i, k in ranked:
            shares = [(share(found[i][k][2:], o[1:5]), -g) for g, o in enumerate(truth[i]) if o[0] == c]
            best, g = max(shares, default=(-1, 0))
            tp = fp = 0
            if best >= least:
                if not truth[i][-g][5]:
                    tp, fp = (0, 1) if (i, g) in taken else (1, 0)
                    taken.add((i, g))
            else:
                fp = 1
            right.append(tp)
            wrong.append(fp)
        right, wrong = np.cumsum(right), np.cumsum(wrong)
        recall = right / count
        precision = right / np.maximum(right + wrong, np.finfo(np.float64).eps)
        if eleven:
            each.append(sum(max(precision[recall >= t], default=0) for t in np.arange(0, 1.1, 0.1)) / 11)
        else:
            r, p = np.concatenate(([0], recall, [1])), np.concatenate(([0], precision, [0]))
            p = np.maximum.accumulate(p[::-1])[::-1]
            i = np.where(r[1:] != r[:-1])[0]
            each.append(float(np.sum((r[i + 1] - r[i]) * p[i + 1])))
    return float(np.mean(each)) if each else -1.0


cases = [case(seed, 6, 1 + seed % 3) for seed in range(12)] + [case(99, 2, 1, many=True)]
cases += [case(101 + seed, 5, 2, scores=1) for seed in range(3)] + [case(110 + seed, 5, 2, scores=2, twins=True) for seed in range(3)]
cases += [case(120, 4, 2, empty=(0, 2)), case(121, 3, 2, empty=(0, 1, 2)), case(122, 4, 2, blind=(1, 3)), case(123, 2, 2, blind=(0, 1))]
cases += [case(130, 5, 3, untold=(1,)), case(131, 5, 3, untold=(0, 2))]
cases += [case(140, 4, 2, crowds=[1, 0.3], twins=True), case(141, 3, 2, crowds=1), case(144, 6, 1, crowds=0.5, twins=True)]
cases += [case(150, 2, 1, many=True, scores=2, crowds=0.5)]
for one in cases:
    with contextlib.redirect_stdout(io.StringIO()):
        one["expected"] = coco(**one)
    one["expected"] |= {"voc": voc(one["truth"], one["found"], False), "voc11": voc(one["truth"], one["found"], True)}
    # Both say -1 where there is nothing to find.
    one["expected"] = {k: float(v) if v >= 0 else None for k, v in one["expected"].items()}
OUT.write_text("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n")
for one in cases:
    print(one["expected"])
