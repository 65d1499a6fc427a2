#!/usr/bin/env python3
"""Writes the cases of runtime/src/metrics/told/cases.txt: texts, and their BLEU as sacrebleu has it.

A case is a line `= BLEU`, and then a line `told<TAB>wanted` for each text. Needs `pip install sacrebleu`.
"""

import random
import sys

import sacrebleu


def changed(rng, words, vocabulary):
    """The words with some left out, replaced, doubled or exchanged."""
    out = []
    for word in words:
        luck = rng.random()
        if luck < 0.1:
            continue
        out.append(rng.choice(vocabulary) if luck < 0.2 else word)
        if luck > 0.95:
            out.append(word)
    if len(out) > 2 and rng.random() < 0.3:
        i = rng.randrange(len(out) - 1)
        out[i], out[i + 1] = out[i + 1], out[i]
    return out


def case(rng, count, lengths, vocabulary, near):
    texts = []
    for _ in range(count):
        wanted = [rng.choice(vocabulary) for _ in range(rng.randint(*lengths))]
        told = changed(rng, wanted, vocabulary) if rng.random() < near else rng.sample(vocabulary, rng.randint(0, 6))
        texts.append((" ".join(told), " ".join(wanted)))
    return texts


def main():
    rng = random.Random(1)
    vocabulary = "a the man dog two in of on , . and red runs street with it's so-so über".split()
    cases = [case(rng, *how, vocabulary, near) for how in ((1, (5, 9)), (3, (1, 6)), (20, (4, 14))) for near in (1.0, 0.8, 0.3)]
    cases += [case(rng, 2, (2, 3), vocabulary, 1.0), case(rng, 30, (1, 30), vocabulary, 0.95)]
    cases += [[("a dog", "a dog")], [("", "a dog")], [("a b c d e", "a b c d e")], [("a b c d", "a x y d e f")]]
    for texts in cases:
        told, wanted = [t for t, _ in texts], [w for _, w in texts]
        score = sacrebleu.corpus_bleu(told, [wanted], tokenize="none", force=True).score
        sys.stdout.write(f"= {score!r}\n" + "".join(f"{t}\t{w}\n" for t, w in texts))


if __name__ == "__main__":
    main()
