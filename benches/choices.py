"""What a choice costs: the same work on vaults that differ in one option or are served by different builds. Started by
scripts/choices.

Columns are compared within one run, in which they take turns; medians count. Vaults lie in memory, so that no disk is waited
for; between writing and reading cold they are mounted anew.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time


def call(*command, **more):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, **more)


def seconds(script, directory):
    start = time.monotonic()
    call("sh", "-euc", script, cwd=directory)
    return time.monotonic() - start


def fio(path, **job):
    """Bytes and operations a second."""
    words = [f"--{key}={value}" for key, value in job.items()]
    out = subprocess.check_output(["fio", "--output-format=json", "--name=j", f"--filename={path}", *words], text=True)
    side = json.loads(out[out.index("{") :])["jobs"][0]["read" if "read" in job["rw"] else "write"]
    return side["bw_bytes"] / 1e6, side["iops"]


class Choice:
    """A column: `NAME=PROGRAM INIT-ARGUMENTS [-- MOUNT-ARGUMENTS]`."""

    def __init__(self, text, back):
        self.name, _, words = text.partition("=")
        init, _, mount = words.partition(" -- ")
        self.program, *self.init = init.split()
        self.options = mount.split()
        self.vault, self.dir, self.key = f"{back}/vault", f"{back}/mount", f"{back}/key"

    def make(self):
        os.mkdir(self.dir)
        kdf = ["--kdf-memory", 8, "--kdf-time", 1, "--kdf-lanes", 1]
        call(self.program, "init", *kdf, *self.init, "--passfile", self.key, self.vault)
        self.open()

    def open(self):
        call(self.program, "mount", *self.options, "--passfile", self.key, self.vault, self.dir)

    def close(self):
        call(self.program, "unmount", self.dir)

    def again(self):
        self.close()
        self.open()

    def remove(self):
        self.close()
        os.rmdir(self.dir)
        shutil.rmtree(self.vault)


def measure(choice, tar, mib):
    """One round: name of the work, its unit, and how it went."""
    choice.make()
    large, size = f"{choice.dir}/large", f"{mib}M"
    yield "write, 1 MiB each", "MB/s", fio(large, rw="write", bs="1M", size=size, end_fsync=1)[0]
    yield "the same over it", "MB/s", fio(large, rw="write", bs="1M", size=size, end_fsync=1)[0]
    yield "write 4 KiB, anywhere", "op/s", fio(large, rw="randwrite", bs="4k", size=size, io_size="32M", norandommap=1, end_fsync=1)[1]
    yield "write 4 KiB, fdatasync", "op/s", fio(large, rw="randwrite", bs="4k", size=size, io_size="8M", fdatasync=1)[1]
    choice.again()
    yield "read, cold", "MB/s", fio(large, rw="read", bs="1M", size=size)[0]
    choice.again()
    yield "read 4 KiB, anywhere", "op/s", fio(large, rw="randread", bs="4k", size=size, io_size="48M", norandommap=1)[1]
    os.remove(large)
    yield "unpack a tree", "s", seconds(f"tar xf {tar}", choice.dir)
    start = time.monotonic()
    choice.again()
    yield "unmount, mount", "s", time.monotonic() - start
    yield "ls -lR, cold", "s", seconds("ls -lR > /dev/null", choice.dir)
    yield "read the tree, cold", "s", seconds("find . -type f -exec cat {} + > /dev/null", choice.dir)
    choice.close()
    yield "stored tree", "MB", int(subprocess.check_output(["du", "-sk", choice.vault]).split()[0]) / 1024
    choice.open()
    yield "remove the tree", "s", seconds("rm -r *", choice.dir)
    choice.remove()


def shown(value):
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def main():
    parser = argparse.ArgumentParser(prog="scripts/choices", description=__doc__)
    parser.add_argument("--back", default="/dev/shm", help="where vaults are made (default: /dev/shm)")
    parser.add_argument("--tree", default="/usr/include", help="what is unpacked (default: /usr/include)")
    parser.add_argument("--mib", type=int, default=256, help="how large the large file is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("choices", nargs="+", help="NAME=PROGRAM INIT-ARGUMENTS [-- MOUNT-ARGUMENTS]")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    back = tempfile.mkdtemp(prefix="wardfs-choices.", dir=args.back)
    tar = f"{back}/tree.tar"
    found, units = {}, {}
    try:
        with open(f"{back}/key", "w", encoding="ascii") as key:
            key.write("not a secret\n")
        call("tar", "cf", tar, "-C", args.tree, ".")
        choices = [Choice(text, back) for text in args.choices]
        for number in range(args.rounds):
            for choice in choices:
                for what, unit, value in measure(choice, tar, args.mib):
                    found.setdefault(what, {}).setdefault(choice.name, []).append(value)
                    units[what] = unit
                print(f"# round {number + 1}: {choice.name}", file=sys.stderr, flush=True)
    finally:
        if os.path.ismount(f"{back}/mount"):
            subprocess.run(["umount", "-l", f"{back}/mount"], check=False)
        shutil.rmtree(back, ignore_errors=True)
    names = [choice.name for choice in choices]
    print("| work | unit | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 2) + "|")
    for what, values in found.items():
        cells = [shown(statistics.median(values[name])) for name in names if name in values]
        print(f"| {what} | {units[what]} | " + " | ".join(cells) + " |")


main()
