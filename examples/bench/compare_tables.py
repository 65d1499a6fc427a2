"""The records of compare.py as tables in markdown."""
import statistics

MODES = {"train": "Training", "infer1": "Inference, batch 1", "infer32": "Inference, batch 32"}


class Load:
    """What was measured of one network in one mode with one number of threads."""

    def __init__(self, records):
        ours = [record for record in records if record["framework"] == "dlc"]
        ours = [record for record in ours if record["other_cores"] <= 0.1] or ours
        self.ms = statistics.median(record["median_ms"] for record in ours)
        self.first_s = statistics.median(record["first_s"] for record in ours)
        self.memory = max(record["peak_rss_mb"] for record in ours)
        self.gflop = ours[0]["gflop"]
        self.disturbed = ours[0]["other_cores"] > 0.1
        self.peers, self.failed = {}, {}
        for record in records:
            who = f"{record['framework']} {record['variant']}"
            if "error" in record:
                self.failed[who] = record["error"]
            elif record["framework"] != "dlc":
                known = self.peers.get(who)
                self.peers[who] = record if known is None or record["median_ms"] < known["median_ms"] else known

    def fastest(self):
        return min(self.peers, key=lambda who: self.peers[who]["median_ms"])

    def least(self, key):
        """The least of any peer, with its name."""
        who = min((who for who in self.peers if key in self.peers[who]), key=lambda who: self.peers[who][key], default=None)
        return "" if who is None else f"{number(self.peers[who][key])} ({who})"


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 1 else f"{x:.3f}"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def head(cells):
    return [row(cells), "|" + "|".join([" --- "] + [" ---: "] * (len(cells) - 1)) + "|"]


def star(disturbed):
    return "*" if disturbed else ""


def summary(loads, titles, peak):
    """dlc beside the fastest peer; memory and start beside the least of any peer."""
    lines = head(["load", "dlc ms", "fastest peer", "ms", "ratio", "dlc % of peak", "peer %", "dlc MB", "least of a peer",
                  "dlc first s", "soonest of a peer"])
    for name, load in loads.items():
        share = lambda ms: f"{1e5 * load.gflop / ms / peak:.0f}" if peak else ""  # noqa: E731
        if not load.peers:
            lines.append(row([titles[name], number(load.ms), "none ran", *[""] * 8]))
            continue
        who = load.fastest()
        ms = load.peers[who]["median_ms"]
        times = [number(load.ms) + star(load.disturbed), who, number(ms) + star(load.peers[who]["other_cores"] > 0.1)]
        times += [f"**{ms / load.ms:.2f}**", share(load.ms), share(ms)]
        rest = [number(load.memory), load.least("peak_rss_mb"), number(load.first_s), load.least("first_s")]
        lines.append(row([titles[name], *times, *rest]))
    return lines


def everyone(loads, titles):
    """Every peer's time; the fastest of a row in bold."""
    peers = sorted({who for load in loads.values() for who in load.peers})
    lines = head(["load", "dlc", *peers])
    for name, load in loads.items():
        best = min([load.ms, *(record["median_ms"] for record in load.peers.values())])
        bold = lambda ms: f"**{number(ms)}**" if ms == best else number(ms)  # noqa: E731
        cells = [bold(load.ms) + star(load.disturbed)]
        for who in peers:
            record = load.peers.get(who)
            cells.append(bold(record["median_ms"]) + star(record["other_cores"] > 0.1) if record else "")
        lines.append(row([titles[name], *cells]))
    failed = {(name, who): error for name, load in loads.items() for who, error in load.failed.items()}
    for (name, who), error in failed.items():
        last = error.strip().splitlines()[-1] if error.strip() else "no message"
        lines += ["", f"{name}, {who} failed: {last}"]
    return lines


def tables(records, titles):
    """All tables: for each mode and number of threads dlc beside the best, then everyone."""
    lines = []
    for threads in sorted({record["threads"] for record in records}):
        mine = [record for record in records if record["threads"] == threads]
        peak = max((record["gflop_s"] for record in mine if record["mode"] == "peak"), default=None)
        label = f"{threads} thread{'s' if threads > 1 else ''}"
        if peak:
            lines += [f"Peak with {label}, of a large matrix product: {peak:.0f} GFLOP/s", ""]
        for mode, title in MODES.items():
            of_mode = [record for record in mine if record["mode"] == mode]
            loads = {name: [record for record in of_mode if record["workload"] == name] for name in titles}
            loads = {name: Load(found) for name, found in loads.items() if found}
            if loads:
                lines += [f"### {title}, {label}", "", *summary(loads, titles, peak), ""]
                lines += ["Milliseconds of everyone:", "", *everyone(loads, titles), ""]
    return "\n".join(lines)
