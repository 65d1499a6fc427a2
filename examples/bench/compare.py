"""dlc beside its peers: time, memory and start-up on the same networks, one after the other on the same machine.

    python examples/bench/compare.py --python VENV/bin/python --python-tf VENV_TF/bin/python [--best] [--only T3 T4] [--threads 1]

The peers are measured by the files of `--peers` (one process for each measurement; a training step is forward, loss, backward and
update on one resident batch; one-thread runs are pinned to the first core), dlc by `dlc bench --json` under the same conditions.
dlc runs before, between and after the peers and the median of its medians counts, of runs from whose cores other processes took at
most a tenth where there are such; a peer runs once, and once more where it was disturbed, and the faster run counts. What stays
disturbed has a `*`. `--best` runs only the three configurations of each load that were fastest so far. `--losses` compares losses
first (compare_losses.py).

Prints tables in markdown; a ratio is the time of the fastest peer divided by dlc's. This file needs only the standard library.
"""
import argparse
import itertools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import compare_tables

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

PROGRAMS = {
    "T1": "mlp.dl", "T2": "lenet.dl", "T3": "vgg.dl", "T4": "resnet20.dl", "T5": "char_lstm.dl", "T6": "mini_gpt.dl",
    "T7": "unet.dl", "I1": "mobilenet_v2.dl", "I2": "resnet50.dl",
}
# Weights of the peers that dlc does not have: PyTorch's LSTM adds two biases.
MORE = {"T5": 4 * 256}
BATCHES = {"infer1": 1, "infer32": 32}

# `file:variant` of the peers' folder. `arena` tells malloc to keep freed memory, `tuned` has channels last and the fused optimizer.
ALL = {
    "train": [
        "torch:eager", "torch:eager-fused", "torch:eager-tuned", "torch:eager-arena", "torch:compile", "torch:compile-tuned",
        "torch:compile-arena", "jax:jit", "jax:jit-tuned", "tf:keras", "tf:xla",
    ],
    "infer1": [
        "ort:cpu", "openvino:cpu", "torch:eager", "torch:eager-tuned", "torch:eager-arena", "torch:compile-tuned",
        "torch:compile-arena", "jax:jit", "tf:keras",
    ],
}
ALL["infer32"] = ALL["infer1"]

EAGER, COMPILED, ENGINES = "torch:eager-arena", "torch:compile-tuned", ["openvino:cpu", "ort:cpu"]
BEST = {
    "train": {
        "T1": ["jax:jit-tuned", EAGER, "jax:jit"],
        "T2": [EAGER, "tf:keras", "torch:eager-tuned"],
        "T3": ["tf:keras", EAGER, "torch:eager-tuned"],
        "T4": ["torch:compile-arena", EAGER, "torch:eager-tuned"],
        "T5": [EAGER, "torch:eager-tuned", "tf:keras"],
        "T6": [EAGER, "torch:compile-arena", "tf:xla"],
        "T7": ["tf:keras", EAGER, "torch:eager-tuned"],
    },
    "infer1": {name: [*ENGINES, "jax:jit" if name in ("T1", "T4") else COMPILED] for name in PROGRAMS},
    "infer32": {
        "T1": [*ENGINES, "jax:jit"],
        "T2": [COMPILED, "openvino:cpu", "tf:keras"],
        "T3": [*ENGINES, "tf:keras"],
        "T4": [*ENGINES, COMPILED],
        "T5": [*ENGINES, "torch:eager-tuned"],
        "T6": [*ENGINES, COMPILED],
        "T7": [COMPILED, "openvino:cpu", "tf:keras"],
    },
}


class Bench:
    """Starts processes, one at a time, and keeps what they print."""

    def __init__(self, args):
        sys.path.insert(0, str(args.peers))
        import run_all
        import workloads

        self.args, self.run_all, self.workloads, self.records = args, run_all, workloads, []

    def launch(self, command, threads, extra=()):
        """The JSON lines of a process, or why there are none; and how many of its cores others kept busy."""
        count = str(threads)
        names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]
        environment = dict(os.environ, **{name: count for name in names}, **dict(extra))
        if threads == 1 and shutil.which("taskset"):
            command = ["taskset", "-c", "0", *command]
        with self.run_all.lock():
            if not self.args.hurry:
                self.run_all.wait_quiet(threads)
            environment["BENCH_T0"] = repr(time.time())
            before, own, began = busy(threads), children(), time.perf_counter()
            try:
                done = subprocess.run(command, env=environment, cwd=self.args.peers, capture_output=True, text=True,
                                      timeout=self.args.limit)
            except subprocess.TimeoutExpired:
                return [], f"not done after {self.args.limit:.0f} s", 0.0
            others = busy(threads) - before - (children() - own)
        found = self.run_all.records(done.stdout)
        error = None if done.returncode == 0 and found else (done.stderr or done.stdout)[-600:]
        return found, error, max(0.0, others / (time.perf_counter() - began))

    def keep(self, record):
        self.records.append(record)
        if self.args.json:
            with open(self.args.json, "a") as file:
                file.write(json.dumps(record) + "\n")
        what = f"{record['median_ms']:.3f} ms" if "median_ms" in record else record.get("gflop_s") or record.get("error")
        keys = ("framework", "variant", "mode", "workload", "batch", "threads")
        print(time.strftime("%H:%M:%S"), *(record[key] for key in keys if key in record), what, file=sys.stderr, flush=True)

    def ours(self, name, mode, threads):
        """One run of dlc, with the cost that the peers' folder counts for the network, the same for all."""
        load = self.workloads.get(name)
        batch = BATCHES.get(mode, load.batch)
        command = [str(self.args.dlc), "bench", str(HERE / PROGRAMS[name]), "--json", "--batch", str(batch)]
        command += ["--threads", str(threads)] + (["--train"] if mode == "train" else [])
        found, error, others = self.launch(command, threads)
        if error:
            sys.exit(f"{' '.join(command)}\n{error}")
        record = found[-1]
        if record["weights"] + MORE.get(name, 0) != load.graph.params():
            sys.exit(f"{PROGRAMS[name]} has {record['weights']} weights, {name} of the peers {load.graph.params()}")
        record.pop("kernels")
        flop = load.train_flops() if mode == "train" else load.infer_flops(batch)
        record.update(variant="", mode=mode, workload=name, gflop=flop / 1e9, other_cores=round(others, 2))
        record.update(gflop_s=1e-6 * flop / record["median_ms"], first_s=record.pop("first_step_s"))
        self.keep(record)

    def theirs(self, name, modes, threads, case):
        """One run of a peer; those that infer measure all batches in one process, of which the wanted are kept."""
        file, variant = case.split(":")
        python = self.args.python_tf if file == "tf" else self.args.python
        command = [python, f"{file}_bench.py", "train" if modes == ["train"] else "infer", name, "--threads", str(threads)]
        command += ["--variant", variant, "--seconds", str(self.args.seconds)]
        for _ in range(1 + self.args.again):
            with tempfile.TemporaryDirectory() as cache:
                extra = dict(TORCHINDUCTOR_CACHE_DIR=cache, PEERS_DATA=str(self.args.onnx), PYTHONDONTWRITEBYTECODE="1")
                extra |= self.run_all.ARENA if variant.endswith("arena") else {}
                found, error, _ = self.launch(command, threads, extra)
            if error:
                return self.keep(dict(framework=file, variant=variant, mode=modes[0], workload=name, threads=threads, error=error))
            for record in found:
                mode = "train" if modes == ["train"] else f"infer{record['batch']}"
                if mode in modes:
                    self.keep(dict(record, mode=mode))
            if all(record["other_cores"] <= 0.1 for record in found):
                return None

    def load(self, name, modes, threads):
        """dlc, a peer, dlc, the next peer, ..., dlc."""
        cases = [(BEST[mode][name] if self.args.best else ALL[mode]) for mode in modes]
        for case in [None, *dict.fromkeys(itertools.chain(*cases))]:
            if case:
                self.theirs(name, modes, threads, case)
            for mode in modes:
                self.ours(name, mode, threads)

    def peak(self, threads):
        found, error, _ = self.launch([self.args.python, "peak.py", "--threads", str(threads)], threads)
        if error:
            sys.exit(f"peak.py: {error}")
        for record in found:
            self.keep(record)


def busy(threads):
    """Seconds that the cores of a run were busy so far."""
    cores, total = ({"cpu0"} if threads == 1 else {f"cpu{i}" for i in range(os.cpu_count())}), 0
    for line in open("/proc/stat"):
        name, *ticks = line.split()
        if name in cores:
            ticks = [int(tick) for tick in ticks[:8]]
            total += sum(ticks) - ticks[3] - ticks[4]
    return total / os.sysconf("SC_CLK_TCK")


def children():
    """Seconds of processor time that processes started from here have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare_losses(args):
    names = [name for name in args.only if name.startswith("T")]
    command = [args.python, str(HERE / "compare_losses.py"), "--dlc", str(args.dlc), "--only", *names]
    command += ["--data-root", args.data_root] if args.data_root else []
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dlc", type=pathlib.Path, default=ROOT / "target/release/dlc")
    parser.add_argument("--peers", type=pathlib.Path, default=ROOT / "../shared/bench/peers", help="the folder of the peers' files")
    parser.add_argument("--python", default=sys.executable, help="has torch, jax, onnxruntime, openvino, onnx, onnxscript")
    parser.add_argument("--python-tf", default=sys.executable, help="has tensorflow and keras")
    parser.add_argument("--onnx", type=pathlib.Path, help="exported models, made where there are none [default: a new folder]")
    parser.add_argument("--only", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--modes", nargs="+", default=["train", *BATCHES], choices=["train", *BATCHES], metavar="MODE")
    parser.add_argument("--best", action="store_true", help="only the three fastest known peers of each load")
    parser.add_argument("--seconds", type=float, default=2.5, help="measure peers at least so long")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a process")
    parser.add_argument("--again", type=int, default=1, help="repeat disturbed runs of peers so often")
    parser.add_argument("--hurry", action="store_true", help="do not wait for other processes to end")
    parser.add_argument("--json", type=pathlib.Path, help="append every record to this file")
    parser.add_argument("--losses", action="store_true", help="compare losses first; T1 and T2 need --data-root")
    parser.add_argument("--data-root", help="the folder that holds fashion-mnist/")
    args = parser.parse_args()
    args.dlc, args.peers = args.dlc.resolve(), args.peers.resolve()
    if args.losses and args.data_root is None and {"T1", "T2"} & set(args.only):
        parser.error("--losses needs --data-root for T1 and T2")
    if not (args.peers / "workloads.py").is_file():
        parser.error(f"{args.peers} has no workloads.py; name the peers' folder with --peers")
    return args


def measure(args):
    bench = Bench(args)
    for threads in args.threads:
        bench.peak(threads)
        for name in args.only:
            load = bench.workloads.get(name)
            infer = [mode for mode in args.modes if BATCHES.get(mode) in load.infer_batches]
            for modes in (["train"] if "train" in args.modes and load.batch else [], infer):
                if modes:
                    bench.load(name, modes, threads)
    titles = {name: f"{name} {bench.workloads.get(name).title}" for name in args.only}
    print(compare_tables.tables(bench.records, titles))


def main():
    args = arguments()
    agreed = compare_losses(args) if args.losses else True
    with tempfile.TemporaryDirectory() as folder:
        args.onnx = args.onnx.resolve() if args.onnx else pathlib.Path(folder)
        args.onnx.mkdir(parents=True, exist_ok=True)
        if set(args.modes) & set(BATCHES) and not any(args.onnx.glob("*.onnx")):
            command = [args.python, "export_onnx.py", str(args.onnx)]
            subprocess.run(command, cwd=args.peers, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        measure(args)
    sys.exit(0 if agreed else 1)


if __name__ == "__main__":
    main()
