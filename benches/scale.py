"""How the cost of an entry grows with the number of entries in its directory. Started by scripts/scale.

For each count, on a vault of its own: that many empty files are made in one directory, listed, looked up in a random
order, and unlinked. Before each of these but the first the vault is mounted anew and all caches are dropped. The plain
directory beside the vault goes through the same, so that what the store itself costs is seen.

What is waited for is measured in this process by the calls alone, without the loop around them as far as that can be. What is made
or unlinked is stored later, by checkpoints and at the unmount. So there is a figure for the unmount, too, and one for both together: in
a larger directory more of the whole falls into the first.
"""

import argparse
import ctypes
import json
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MOUNTS = 5
LOOKUPS_MAX = 100_000
# What the vault takes for an entry, and its journal meanwhile.
BYTES_EACH = 6000
# prctl(2): what daemons leave behind when they end comes to this process.
PR_SET_CHILD_SUBREAPER = 36
OPERATIONS = ["create, in all", "lookup", "list", "list with attributes", "unlink, in all"]


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"scale: {command[0]} {command[1]}: {done.stderr.strip()}")


def timed(work):
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result


class Plain:
    """The directory that vaults lie in, used without one."""

    def __init__(self, back, _wardfs):
        self.back, self.dir = back, f"{back}/plain"
        os.mkdir(self.dir)

    def again(self):
        drop_caches(self.back)

    def peak(self):
        return None

    def cpu(self):
        return None

    def mount_ms(self):
        return None

    def close(self):
        return None

    def open(self):
        pass

    def remove(self):
        shutil.rmtree(self.dir)


class Vault:
    """A vault with the cheapest KDF, since that is not what is measured."""

    def __init__(self, back, wardfs):
        self.back, self.wardfs, self.key = back, wardfs, f"{back}/key"
        self.vault, self.mount, self.dir = f"{back}/vault", f"{back}/mount", f"{back}/mount/entries"
        with open(self.key, "w", encoding="ascii") as key:
            key.write("not a secret\n")
        os.mkdir(self.mount)
        kdf = ["--kdf-memory", 8, "--kdf-time", 1, "--kdf-lanes", 1]
        call(wardfs, "init", *kdf, "--passfile", self.key, self.vault)
        self.open()
        os.mkdir(self.dir)

    def open(self):
        self.mount_it()
        self.find_pid()

    def find_pid(self):
        info = subprocess.check_output([self.wardfs, "info", "--json", self.mount])
        self.pid = json.loads(info)["mount"]["pid"]

    def mount_it(self):
        call(self.wardfs, "mount", "--passfile", self.key, self.vault, self.mount)

    def close(self):
        """Gives the seconds that the daemon has had a processor in all."""
        call(self.wardfs, "unmount", self.mount)
        _, _, usage = os.wait4(self.pid, 0)
        return usage.ru_utime + usage.ru_stime

    def again(self):
        self.close()
        drop_caches(self.back)
        call(self.wardfs, "--version")
        self.open()

    def peak(self):
        """MiB that the daemon has held at most."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def cpu(self):
        """Seconds that the daemon has had a processor up to now: clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def mount_ms(self):
        """Median over some mounts, each with nothing in a cache."""
        times = []
        for _ in range(MOUNTS):
            self.close()
            drop_caches(self.back)
            call(self.wardfs, "--version")
            times.append(timed(self.mount_it)[0])
            self.find_pid()
        self.again()
        return 1000 * statistics.median(times)

    def remove(self):
        self.close()
        os.rmdir(self.mount)
        shutil.rmtree(self.vault)
        os.remove(self.key)


def drop_caches(back):
    """What lies in memory anyway has no cache; and the machine's others are spared."""
    if subprocess.check_output(["stat", "-f", "-c", "%T", back]).strip() == b"tmpfs":
        return
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
        caches.write("3")


def create(names):
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def stat_all(names):
    for name in names:
        os.stat(name)


def list_names():
    return os.listdir(".")


def list_attributes():
    with os.scandir(".") as entries:
        return sum(entry.stat(follow_symlinks=False).st_nlink for entry in entries)


def unlink(names):
    for name in names:
        os.unlink(name)


def measure(kind, back, wardfs, count):
    """One row: microseconds an entry for each operation, and more."""
    system = kind(back, wardfs)
    names = [f"entry-{number:08}" for number in range(count)]
    row, home = {"count": count}, os.getcwd()

    def per_entry(name, entries, work):
        os.chdir(system.dir)
        cpu = system.cpu()
        took, result = timed(work)
        row[name] = 1e6 * took / entries
        if cpu is not None:
            row[f"{name}, daemon"] = 1e6 * (system.cpu() - cpu) / entries
        row["peak MiB"] = max(row.get("peak MiB") or 0, system.peak() or 0) or None
        os.chdir(home)
        return result

    def stored(name):
        """The unmount after it, and both in all."""
        before = system.cpu()
        took, cpu = timed(system.close)
        row[f"{name}, stored"] = 1e6 * took / count
        row[f"{name}, in all"] = row[name] + row[f"{name}, stored"]
        if cpu is not None:
            daemon = row[f"{name}, stored, daemon"] = 1e6 * (cpu - before) / count
            row[f"{name}, in all, daemon"] = row[f"{name}, daemon"] + daemon
        system.open()

    per_entry("create", count, lambda: create(names))
    stored("create")
    row["mount ms"] = system.mount_ms()
    system.again()
    os.chdir(system.dir)
    row["first lookup ms"] = 1000 * timed(lambda: os.stat(names[count // 2]))[0]
    os.chdir(home)
    some = random.Random(1).sample(names, min(count, LOOKUPS_MAX))
    per_entry("lookup", len(some), lambda: stat_all(some))
    system.again()
    found = per_entry("list", count, list_names)
    assert sorted(found) == names, "the listing is not what was made"
    system.again()
    per_entry("list with attributes", count, list_attributes)
    system.again()
    os.chdir(system.dir)
    order = list_names()
    os.chdir(home)
    per_entry("unlink", count, lambda: unlink(order))
    stored("unlink")
    assert not os.listdir(system.dir), "something is left"
    system.remove()
    return row


COLUMNS = [
    ("create", "create"),
    ("create, stored", "stored"),
    ("create, in all", "in all"),
    ("lookup", "lookup"),
    ("first lookup ms", "first lookup, ms"),
    ("list", "list"),
    ("list with attributes", "list -l"),
    ("unlink", "unlink"),
    ("unlink, stored", "stored"),
    ("unlink, in all", "in all"),
    ("mount ms", "mount, ms"),
    ("peak MiB", "memory, MiB"),
]


def shown(value):
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def both(row, key):
    """The time, and behind it what the daemon has worked in it."""
    daemon = row.get(f"{key}, daemon")
    return shown(row[key]) + ("" if daemon is None else f" ({shown(daemon)})")


def table(results):
    print("| | entries | " + " | ".join(title for _, title in COLUMNS) + " |")
    print("| --- " * (len(COLUMNS) + 2) + "|")
    for kind, rows in results.items():
        for row in rows:
            cells = [both(row, key) for key, _ in COLUMNS]
            print(f"| {kind} | {row['count']:,} | " + " | ".join(cells) + " |")


COLORS = ["#0b62a4", "#c2410c", "#15803d", "#7e22ce", "#b91c1c"]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 50, 190, 50
# Of the second plot, below the first.
MOUNT_TOP, MOUNT_HEIGHT = HEIGHT + 30, 120


def plot(results, path):
    """Both axes by powers of ten: what grows with n is a slope of one, what n log n costs per entry nearly flat. Below it the
    time of a mount, from zero."""
    counts = [row["count"] for row in results["wardfs"]]
    values = [row[name] for rows in results.values() for row in rows for name in OPERATIONS]
    low_x, high_x = math.log10(min(counts)), math.log10(max(counts))
    low_y, high_y = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x_of(count):
        return LEFT + (math.log10(count) - low_x) / max(high_x - low_x, 1) * (WIDTH - LEFT - RIGHT)

    def y_of(value):
        share = (math.log10(value) - low_y) / max(high_y - low_y, 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    whole = MOUNT_TOP + MOUNT_HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{whole}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">Microseconds an entry, by the entries of its directory</text>',
        f'<text x="{LEFT}" y="40" fill="#555">wardfs; dotted: the same in the plain directory that the vault lies in</text>',
    ]
    for power in range(low_y, high_y + 1):
        y = y_of(10**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for count in counts:
        parts.append(f'<text x="{x_of(count):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{count:,}</text>')
    ends = sorted((y_of(results["wardfs"][-1][name]), name) for name in OPERATIONS)
    labels, last = {}, -math.inf
    for y, name in ends:
        last = labels[name] = max(y, last + 14)
    for name, color in zip(OPERATIONS, COLORS):
        for kind, rows in results.items():
            points = " ".join(f"{x_of(row['count']):.1f},{y_of(row[name]):.1f}" for row in rows)
            style = "" if kind == "wardfs" else ' stroke-dasharray="2 4" opacity="0.7"'
            parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{style}/>')
        y = y_of(results["wardfs"][-1][name])
        end = WIDTH - RIGHT
        parts.append(f'<path d="M{end + 2} {y:.1f}L{end + 14} {labels[name]:.1f}" stroke="{color}" opacity="0.5"/>')
        parts.append(f'<text x="{end + 18}" y="{labels[name] + 4:.1f}" fill="{color}">{name}</text>')
    parts += mount_plot(results["wardfs"], x_of)
    parts.append("</svg>\n")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(parts))


def mount_plot(rows, x_of):
    """Milliseconds of a mount, by the entries in the vault."""
    high = 10 * math.ceil(max(row["mount ms"] for row in rows) / 10)
    bottom = MOUNT_TOP + MOUNT_HEIGHT

    def y_of(value):
        return bottom - value / high * MOUNT_HEIGHT

    parts = [f'<text x="{LEFT}" y="{MOUNT_TOP - 12}" font-size="15">Milliseconds to mount the vault</text>']
    for value in (0, high / 2, high):
        parts.append(f'<path d="M{LEFT} {y_of(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    points = " ".join(f"{x_of(row['count']):.1f},{y_of(row['mount ms']):.1f}" for row in rows)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[0]}" stroke-width="2"/>')
    for row in rows:
        parts.append(f'<text x="{x_of(row["count"]):.1f}" y="{bottom + 20}" text-anchor="middle">{row["count"]:,}</text>')
    return parts


def main():
    parser = argparse.ArgumentParser(prog="scripts/scale", description=__doc__)
    parser.add_argument("--wardfs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--back", help="where vaults are made (default: the directory for temporary files)")
    parser.add_argument("--svg", help="write a plot there")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--vault-only", action="store_true", help="leave the plain directory out")
    parser.add_argument("counts", nargs="*", type=int, default=[1000, 10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    kinds = {"wardfs": Vault} if args.vault_only else {"wardfs": Vault, "plain": Plain}
    results = {kind: [] for kind in kinds}
    back = tempfile.mkdtemp(prefix="wardfs-scale.", dir=args.back)
    try:
        for count in args.counts:
            if not has_space(back, count):
                break
            for kind, make in kinds.items():
                row = measure(make, back, args.wardfs, count)
                results[kind].append(row)
                print(f"# {kind}: {row}", file=sys.stderr, flush=True)
            # What is there is told, whatever comes of the next.
            report(results, args)
    finally:
        if os.path.ismount(f"{back}/mount"):
            subprocess.run(["umount", "-l", f"{back}/mount"], check=False)
        shutil.rmtree(back, ignore_errors=True)
    table(results)


def report(results, args):
    if args.svg:
        plot(results, args.svg)
    if args.json:
        with open(args.json, "w", encoding="ascii") as out:
            json.dump(results, out, indent=1)


def has_space(back, count):
    """A disk is not to be filled."""
    free, needed = shutil.disk_usage(back).free, count * BYTES_EACH
    if free < needed:
        print(f"scale: {count:,} entries need {needed / 1e9:.1f} GB below {back}, and {free / 1e9:.1f} are free", file=sys.stderr)
    return free >= needed


main()
