"""Time per training step of dlc beside PyTorch, one after the other on the same machine.

    python examples/bench/compare_speed.py --dlc target/release/dlc

For both benchmarks (T1: bench/mlp.dl, T2: bench/lenet.dl) and 1 and 2 threads, this runs `dlc bench --train --json` and
PyTorch in its plain, fused and channels-last forms, each with and without telling malloc to keep freed memory, every one in a
fresh process, in turn, for some rounds. It prints the best median of each and dlc's time divided by the best of PyTorch.
Needs torch; on Linux, one-thread runs are pinned to one core.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {"T1": "mlp.dl", "T2": "lenet.dl"}
VARIANTS = {"T1": ["eager", "fused"], "T2": ["eager", "fused", "channels-last"]}

# glibc gives large blocks back to the kernel at every free; a step then pays for page faults.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "67108864"}


def torch_network(name):
    from torch import nn

    if name == "T1":
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 10),
    )


def torch_child(name, variant, threads, seconds):
    """Runs in a process of its own: prints the median of many steps in milliseconds."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net, last = torch_network(name), variant == "channels-last"
    batch = 128 if name == "T1" else 64
    x = torch.randn(batch, 784) if name == "T1" else torch.randn(batch, 1, 28, 28)
    y = torch.randint(0, 10, (batch,))
    if last:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    fused = None if variant == "eager" else True
    if name == "T1":
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=fused)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(4):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 20 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"median_ms": statistics.median(times)}))


def run(command, threads, extra=None):
    count = str(threads)
    environment = dict(os.environ, OMP_NUM_THREADS=count, MKL_NUM_THREADS=count, **(extra or {}))
    if threads == 1 and shutil.which("taskset"):
        command = ["taskset", "-c", "0"] + command
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])["median_ms"]


def contenders(name, threads, args):
    """Name and a function that measures once."""
    program = str(HERE / PROGRAMS[name])
    ours = [args.dlc, "bench", program, "--train", "--threads", str(threads), "--json"]
    found = {"dlc": lambda: run(ours, threads)}
    for variant in VARIANTS[name]:
        child = [sys.executable, __file__, "--child", name, variant, str(threads), str(args.seconds)]
        found[f"torch {variant}"] = lambda child=child: run(child, threads)
        found[f"torch {variant}, malloc keeps"] = lambda child=child: run(child, threads, KEEP)
    return found


def compare(name, threads, args):
    found = contenders(name, threads, args)
    best = {who: float("inf") for who in found}
    for _ in range(args.rounds):
        for who, measure in found.items():
            best[who] = min(best[who], measure())
    rival = min((who for who in best if who != "dlc"), key=best.get)
    ratio = best["dlc"] / best[rival]
    print(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
    for who, ms in sorted(best.items(), key=lambda item: item[1]):
        print(f"  {ms:9.3f} ms  {who}")
    print(f"  dlc / {rival}: {ratio:.3f}\n", flush=True)
    return ratio


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        name, variant, threads, seconds = sys.argv[2:]
        return torch_child(name, variant, int(threads), float(seconds))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", default=str(HERE.parents[1] / "target/release/dlc"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each PyTorch measurement")
    parser.add_argument("--workloads", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    args = parser.parse_args()
    ratios = [compare(name, threads, args) for name in args.workloads for threads in args.threads]
    print("largest ratio", f"{max(ratios):.3f}")


if __name__ == "__main__":
    main()
