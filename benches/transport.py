"""What the way through the kernel costs, beside what a vault reaches on it. Started by scripts/transport.

The same fio jobs as the yardstick's, on a mount that does nothing (examples/transport.rs), on a vault, and on other file
systems that are told, in turn. Beside the rate it prints how many messages come and what each takes, and how much processor
time all of the machine takes for a GiB or an operation: where no core is idle any more, that decides.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kept import Figures, shown, wanted

TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()
MIB = 1 << 20

# Name, unit, cold before it, file (None: one for each job, in the directory), fio's options.
JOBS = [
    ("seq write 1M", "MB/s", False, "f1", {"rw": "write", "bs": "1M", "size": "1024M", "end_fsync": 1}),
    ("seq write 128K x4", "MB/s", False, None, {"rw": "write", "bs": "128K", "size": "256M", "numjobs": 4, "end_fsync": 1}),
    ("seq write 4K", "MB/s", False, "f2", {"rw": "write", "bs": "4k", "size": "128M", "end_fsync": 1}),
    ("seq read cold", "MB/s", True, "f1", {"rw": "read", "bs": "1M", "size": "1024M"}),
    ("seq read warm", "MB/s", False, "f1", {"rw": "read", "bs": "1M", "size": "1024M"}),
    ("rand read 4K", "op/s", True, "f1", {"rw": "randread", "bs": "4k", "size": "1024M", "io_size": "96M", "norandommap": 1}),
    (
        "rand read 4K x4",
        "op/s",
        True,
        "f1",
        {"rw": "randread", "bs": "4k", "size": "1024M", "io_size": "64M", "numjobs": 4, "norandommap": 1},
    ),
    (
        "rand write 4K",
        "op/s",
        False,
        "f1",
        {"rw": "randwrite", "bs": "4k", "size": "1024M", "io_size": "96M", "norandommap": 1, "end_fsync": 1},
    ),
    ("rand write 4K fdatasync", "op/s", False, "f1", {"rw": "randwrite", "bs": "4k", "size": "64M", "io_size": "8M", "fdatasync": 1}),
]
# Jobs that may be asked for together; what they need is made first.
GROUPS = {
    "write": ["seq write 1M", "seq write 128K x4", "seq write 4K"],
    "read": ["seq read cold", "seq read warm"],
    "random": ["rand read 4K", "rand read 4K x4", "rand write 4K", "rand write 4K fdatasync"],
}


def call(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class System:
    """Something that is mounted. A command has {vault} and {dir} in it, and may go to the background or not."""

    def __init__(self, name, command, back, nothing):
        self.name, self.command = name, command
        self.does_nothing = command.startswith(nothing)
        self.vault, self.dir, self.key = f"{back}/vault", f"{back}/mount", f"{back}/key"
        self.process = self.pid = None

    def make(self):
        os.makedirs(self.dir, exist_ok=True)
        if self.name == "wardfs":
            kdf = ["--kdf-memory", 8, "--kdf-time", 1, "--kdf-lanes", 1]
            call(self.command, "init", *kdf, "--passfile", self.key, self.vault)
        else:
            os.makedirs(self.vault)

    def mount(self):
        if self.name == "wardfs":
            call(self.command, "mount", "--passfile", self.key, self.vault, self.dir)
            info = subprocess.check_output([self.command, "info", "--json", self.dir])
            self.pid = json.loads(info)["mount"]["pid"]
            return
        words = [word.format(vault=self.vault, dir=self.dir) for word in self.command.split()]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(words, **quiet)
        self.pid = self.process.pid
        while not os.path.ismount(self.dir):
            time.sleep(0.02)
        if self.does_nothing:
            # As a vault's.
            device = os.stat(self.dir).st_dev
            with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w", encoding="ascii") as file:
                file.write("1024")

    def unmount(self):
        if self.name == "wardfs":
            call(self.command, "unmount", self.dir)
        else:
            call("umount", self.dir)
            self.process.wait()

    def cold(self):
        self.unmount()
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
            caches.write("3")
        self.mount()

    def remove(self):
        self.unmount()
        shutil.rmtree(self.vault)

    def messages(self):
        """Messages and bytes so far, of reads and writes and of all kinds, where that is counted."""
        if not self.does_nothing:
            return None
        lines = os.getxattr(self.dir, "user.messages").decode().splitlines()
        kinds = {name: (int(count), int(size)) for name, count, size in (line.split() for line in lines)}
        data = [sum(column) for column in zip(kinds["read"], kinds["write"])]
        return data + [sum(count for count, _ in kinds.values())]

    def cpu(self):
        """Seconds of processor time of the process behind the mount, all threads."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def machine():
    """Seconds of processor time of everything on the machine."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / TICKS


def fio(path, options):
    """Bytes and operations a second, the bytes, and the seconds."""
    words = [f"--{key}={value}" for key, value in options.items()]
    where = f"--directory={path}" if os.path.isdir(path) else f"--filename={path}"
    text = subprocess.check_output(
        ["fio", "--output-format=json", "--name=j", "--group_reporting", where, *words], text=True, stderr=subprocess.DEVNULL
    )
    jobs = json.loads(text[text.index("{") :])["jobs"]
    side = jobs[0]["read" if "read" in options["rw"] else "write"]
    return side["bw_bytes"] / 1e6, side["iops"], side["io_bytes"], side["io_bytes"] / side["bw_bytes"]


def dropping(path):
    """Seconds that the kernel takes to drop the pages of a file that was read: fio does so before it reads again."""
    handle = os.open(path, os.O_RDONLY)
    size = os.fstat(handle).st_size
    start = time.monotonic()
    os.posix_fadvise(handle, 0, size, os.POSIX_FADV_DONTNEED)
    took = time.monotonic() - start
    os.close(handle)
    return took


def measure(system, groups, figures):
    """One round on one system."""
    system.make()
    system.mount()
    jobs = [job for group in groups for job in GROUPS[group]]
    if JOBS[0][0] not in jobs:
        fio(f"{system.dir}/f1", JOBS[0][4])
    for name, unit, is_cold, file, options in JOBS:
        if name not in jobs:
            continue
        if is_cold:
            system.cold()
        before = (machine(), system.cpu(), system.messages())
        rate, operations, size, took = fio(f"{system.dir}/{file}" if file else system.dir, options)
        after = (machine(), system.cpu(), system.messages())
        count = size / (1 << 30) if unit == "MB/s" else size / 4096 / 1e6
        each = "s/GiB" if unit == "MB/s" else "us/op"
        figures.add(name, unit, system.name, rate if unit == "MB/s" else operations)
        figures.add(f"{name}: all processor time", each, system.name, (after[0] - before[0]) / count)
        figures.add(f"{name}: the daemon's", each, system.name, (after[1] - before[1]) / count)
        if after[2]:
            data, brought, all_kinds = [new - old for new, old in zip(after[2], before[2])]
            figures.add(f"{name}: messages", "", system.name, all_kinds)
            figures.add(f"{name}: KiB each", "KiB", system.name, brought / max(data, 1) / 1024)
            figures.add(f"{name}: time each", "us", system.name, 1e6 * took / max(data, 1))
    if "read" in groups:
        fio(f"{system.dir}/f1", JOBS[3][4])
        figures.add("dropping 1 GiB of pages", "s", system.name, dropping(f"{system.dir}/f1"))
    system.remove()


def table(figures, systems):
    others = [name for name in systems if name not in ("nothing", "wardfs")]
    heads = ["work", "unit", "limit", "wardfs", "share", *others, "messages", "KiB each", "us each"]
    print("| " + " | ".join(heads) + " |")
    print("| --- " * len(heads) + "|")
    for name, unit, *_ in JOBS:
        limit, reached = figures.median(name, "nothing"), figures.median(name, "wardfs")
        if limit is None:
            continue
        cells = [name, unit, shown(limit), shown(reached), f"{reached / limit:.2f}" if reached else "-"]
        cells += [shown(figures.median(name, other)) for other in others]
        counts = [figures.median(f"{name}: {what}", "nothing") for what in ("messages", "KiB each", "time each")]
        print("| " + " | ".join(cells + [shown(count) for count in counts]) + " |")
    print()
    works = [f"{name}: {whose}" for name, *_ in JOBS for whose in ("all processor time", "the daemon's") if name in figures.values]
    figures.table(systems, works + [name for name in figures.values if name.startswith("dropping")])


def main():
    parser = argparse.ArgumentParser(prog="scripts/transport", description=__doc__)
    parser.add_argument("--nothing", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--wardfs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--back", default="/dev/shm", help="where vaults are made (default: /dev/shm)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help=f"groups of work, with commas: {', '.join(GROUPS)}")
    parser.add_argument("--keep", help="add what is found to this file, and print the medians of all in it")
    parser.add_argument("others", nargs="*", help="NAME=COMMAND, with {vault} and {dir}: in the foreground")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    groups = wanted(args.only, GROUPS)
    figures = Figures(args.keep)
    back = tempfile.mkdtemp(prefix="wardfs-transport.", dir=args.back)
    with open(f"{back}/key", "w", encoding="ascii") as key:
        key.write("not a secret\n")
    commands = [("nothing", f"{args.nothing} {{dir}}"), ("wardfs", args.wardfs)]
    commands += [tuple(other.split("=", 1)) for other in args.others]
    try:
        for _ in range(args.rounds):
            for name, command in commands:
                measure(System(name, command, back, args.nothing), groups, figures)
    finally:
        if os.path.ismount(f"{back}/mount"):
            subprocess.run(["umount", "-l", f"{back}/mount"], check=False)
        shutil.rmtree(back, ignore_errors=True)
    table(figures, [name for name, _ in commands])


main()
