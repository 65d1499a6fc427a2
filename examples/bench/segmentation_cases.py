"""Makes runtime/src/metrics/classes/cases.json: scores and classes of points, and what torchmetrics says of them.

pip install torch torchmetrics; python examples/bench/segmentation_cases.py

Points of all pictures are counted together. A point that is ignored counts nowhere. The mean is over the classes that occur, in the truth or
in what was taken for it; one that occurs in neither has no score, and one that is ignored altogether is in no mean.
"""

import json
import math
import pathlib
import random

import torch
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex
from torchmetrics.segmentation import DiceScore, MeanIoU

OUT = pathlib.Path(__file__).parents[2] / "runtime/src/metrics/classes/cases.json"
H, W = 4, 5


def case(seed, pictures, classes, ignored=0.0, ignore=None, absent=(), unseen=(), background=(), blank=()):
    """`ignore`: the class whose points count nowhere, or `classes`, which is none of them. `absent`: classes without points; `unseen`: those that
    are never told; `background`: pictures of class 0 alone; `blank`: pictures of which no point counts. Scores are small whole numbers: many
    are alike, and the first of the largest wins."""
    r = random.Random(seed)
    ignore = classes if ignore is None else ignore
    known = [c for c in range(classes) if c not in absent and c != ignore]
    truth, scores = [], []
    for picture in range(pictures):
        fixed = 0 if picture in background else ignore if picture in blank else None
        points = [fixed if fixed is not None else ignore if r.random() < ignored else r.choice(known) for _ in range(H * W)]
        truth.append(points)
        lean = lambda point, c: r.randint(0, 3) + (point == c and r.random() < 0.7) - 9 * (c in unseen)
        scores.append([[lean(point, c) for c in range(classes)] for point in points])
    return {"classes": classes, "ignore": ignore, "truth": truth, "scores": scores}


def number(x):
    return None if math.isnan(x) else x


def equal(a, b):
    assert a == b or math.isnan(a) and math.isnan(b) or abs(a - b) < 1e-6, (a, b)


def expected(classes, ignore, truth, scores):
    truth = torch.tensor(truth).reshape(-1, H, W)
    scores = torch.tensor(scores, dtype=torch.float64).reshape(-1, H, W, classes).movedim(-1, 1)
    told = scores.argmax(dim=1)
    rules = {"num_classes": classes, "ignore_index": ignore, "validate_args": False}
    iou, f1 = MulticlassJaccardIndex(average="macro", **rules), MulticlassF1Score(average="macro", **rules)
    for at in range(len(truth)):
        for metric in (iou, f1):
            metric.update(scores[at : at + 1], truth[at : at + 1])
    iou = iou.compute().item()

    # What torchmetrics calls segmentation knows no ignored points: here are those that count, as one picture.
    keep = truth != ignore
    told, truth = told[keep][None], truth[keep][None]
    each_iou = MeanIoU(num_classes=classes, per_class=True, input_format="index")
    each_dice = DiceScore(num_classes=classes, average="none", aggregation_level="global", input_format="index")
    for metric in (each_iou, each_dice):
        metric.update(told, truth)
    each_iou = [x if x >= 0 else math.nan for x in each_iou.compute().tolist()]
    each_dice = each_dice.compute().tolist()
    # Of a class that is ignored and told all the same its F1 score makes a 0 in the mean; its IoU leaves it out, and so is it done here.
    mean = lambda each: [x for c, x in enumerate(each) if c != ignore and not math.isnan(x)]
    dice = sum(mean(each_dice)) / len(mean(each_dice)) if mean(each_dice) else math.nan
    if mean(each_iou):
        equal(iou, sum(mean(each_iou)) / len(mean(each_iou)))
    if mean(each_dice) and ignore >= classes:
        equal(dice, f1.compute().item())
        whole = DiceScore(num_classes=classes, average="macro", aggregation_level="global", input_format="index")
        whole.update(told, truth)
        equal(dice, whole.compute().item())
    return {
        "iou": number(iou) if mean(each_iou) else None,
        "dice": number(dice),
        "each_iou": [number(x) for x in each_iou],
        "each_dice": [number(x) for x in each_dice],
    }


cases = [case(seed, 3, 2 + seed % 4) for seed in range(4)]
cases += [case(10 + seed, 4, 2 + seed % 4, ignored=0.3) for seed in range(4)]
cases += [case(20 + at, 3, 5, ignored=0.1, absent=absent) for at, absent in enumerate([(0,), (4,), (1, 3)])]
cases += [case(30 + at, 3, 5, ignored=0.1, absent=both, unseen=both) for at, both in enumerate([(0,), (4,), (1, 3)])]
cases += [case(40, 3, 4, unseen=(2,)), case(41, 3, 4, ignored=0.2, unseen=(0, 3))]
cases += [case(50, 3, 3, background=(0, 2)), case(51, 3, 3, ignored=0.2, background=(0, 1, 2)), case(52, 2, 2, background=(0, 1), unseen=(1,))]
cases += [case(60, 3, 3, ignored=0.2, blank=(0,)), case(61, 2, 4, absent=(2,), blank=(1,)), case(62, 2, 3, blank=(0, 1))]
cases += [case(70 + c, 3, 4, ignored=0.2, ignore=c) for c in range(4)] + [case(75, 3, 3, ignored=0.2, ignore=0, unseen=(0,), blank=(1,))]
for one in cases:
    one["expected"] = expected(**one)
OUT.parent.mkdir(exist_ok=True)
OUT.write_text("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n")
for one in cases:
    print(one["expected"])
