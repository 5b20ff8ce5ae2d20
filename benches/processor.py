"""Processor time and memory that the process behind a mount takes. Started by scripts/processor.

Each piece of work has a mount of its own, from before it to after everything is stored; what mounting and unmounting alone
take is measured first and left out. The kernel counts user and system time and the most memory of the process when it has
ended. Vaults lie in memory, so that no disk is waited for. The systems take turns, and medians count.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kept import Figures, wanted

MIB = 1 << 20
SMALL_FILES = 20_000
SMALL_LEN = 3000


class System:
    """One that is mounted by a process in the foreground."""

    def __init__(self, name, back, wardfs):
        place = name.replace("/", "_")
        self.name, self.vault, self.dir = name, f"{back}/{place}.vault", f"{back}/{place}"
        self.key = f"{back}/key"
        os.mkdir(self.dir)
        kind, _, program = name.partition(":")
        if kind == "wardfs":
            wardfs = program or wardfs
            kdf = ["--kdf-memory", "8", "--kdf-time", "1", "--kdf-lanes", "1"]
            init = [wardfs, "init", *kdf, "--passfile", self.key, self.vault]
            self.mount = [wardfs, "mount", "-f", "--passfile", self.key, self.vault, self.dir]
            self.unmount = [wardfs, "unmount", self.dir]
        else:
            os.mkdir(self.vault)
            init = ["gocryptfs", "-q", "-init", "-scryptn", "10", "-passfile", self.key, self.vault]
            self.mount = ["gocryptfs", "-q", "-fg", "-passfile", self.key, self.vault, self.dir]
            self.unmount = ["fusermount3", "-u", self.dir]
        subprocess.run(init, check=True, capture_output=True)

    def run(self, work):
        """Processor seconds, MiB at most, and seconds that passed in the work."""
        process = subprocess.Popen(self.mount, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.ismount(self.dir):
            time.sleep(0.02)
        start = time.monotonic()
        work(self.dir)
        took = time.monotonic() - start
        memory = most_memory(process.pid)
        subprocess.run(self.unmount, check=True)
        _, _, usage = os.wait4(process.pid, 0)
        # It counts from before the exec, when the process was a copy of this one.
        if usage.ru_maxrss > 1.1 * most_memory("self"):
            memory = max(memory, usage.ru_maxrss)
        return usage.ru_utime + usage.ru_stime, memory / 1024, took

    def stop(self):
        if os.path.ismount(self.dir):
            subprocess.run(["umount", "-l", self.dir], check=False)


def most_memory(pid):
    """In KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1])


def shell(script, **names):
    def work(directory):
        subprocess.run(["sh", "-euc", script], check=True, cwd=directory, env=dict(os.environ, **names))

    return work


def nothing(_):
    pass


def make_small(directory):
    for group in range(SMALL_FILES // 100):
        os.mkdir(f"{directory}/{group}")
        for number in range(100):
            with open(f"{directory}/{group}/{number}", "wb") as out:
                out.write(b"some text %d " % number * (SMALL_LEN // 13))


def work_list(mib, noise, text):
    """Groups of what is done, and by how many GiB its processor time is divided, or None for seconds."""
    gib = mib / 1024
    write = "dd if=$FROM of=$TO bs=1M conv=fsync status=none"
    four = "for n in 1 2 3 4; do dd if=$FROM of=p$n bs=128K count=$COUNT status=none & done; wait"
    return {
        "noise": [
            ("write, noise", gib, shell(write, FROM=noise, TO="noise")),
            ("read, noise", gib, shell("cat noise > /dev/null")),
        ],
        "text": [
            ("write, text", gib, shell(write, FROM=text, TO="text")),
            ("read, text", gib, shell("cat text > /dev/null")),
        ],
        "four": [
            ("write, 4 at once", gib, shell(four, FROM=noise, COUNT=str(mib * 2))),
            ("read, 4 at once", gib, shell("for n in 1 2 3 4; do cat p$n > /dev/null & done; wait")),
        ],
        "small": [
            ("make 20,000 small files", None, make_small),
            ("read them", None, shell("cat [0-9]*/* > /dev/null")),
            ("remove everything", None, shell("rm -r *")),
        ],
    }


GROUPS = ["noise", "text", "four", "small"]


def fill(path, mib, text):
    """Noise, or lines of the system's own text: that is what compression is for."""
    with open(path, "wb") as out:
        if text:
            source = b"".join(open(f, "rb").read() for f in text_files())
            for _ in range(mib * MIB // len(source) + 1):
                out.write(source)
            out.truncate(mib * MIB)
        else:
            for _ in range(mib):
                out.write(os.urandom(MIB))


def text_files():
    folder = os.path.dirname(os.path.abspath(__file__))
    for top in ("src", "docs"):
        for base, _, names in sorted(os.walk(f"{folder}/../{top}")):
            yield from (f"{base}/{name}" for name in sorted(names) if name.endswith((".rs", ".md")))


def main():
    parser = argparse.ArgumentParser(prog="scripts/processor", description=__doc__)
    parser.add_argument("--wardfs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--back", default="/dev/shm", help="where vaults are made (default: /dev/shm)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="how large the large files are")
    parser.add_argument("--only", help=f"groups of work, with commas: {', '.join(GROUPS)}")
    parser.add_argument("--keep", help="add what is found to this file, and print the medians of all in it")
    parser.add_argument("systems", nargs="*", default=["gocryptfs", "wardfs"], help="NAME, or wardfs:ANOTHER-PROGRAM")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    groups = wanted(args.only, GROUPS)
    figures, systems = Figures(args.keep), []
    back = tempfile.mkdtemp(prefix="wardfs-processor.", dir=args.back)
    try:
        with open(f"{back}/key", "w", encoding="ascii") as key:
            key.write("not a secret\n")
        noise, text = f"{back}/from.noise", f"{back}/from.text"
        if {"noise", "four"} & set(groups):
            fill(noise, args.mib, False)
        if "text" in groups:
            fill(text, args.mib, True)
        works = work_list(args.mib, noise, text)
        for _ in range(args.rounds):
            for name in args.systems:
                system = System(name, back, args.wardfs)
                systems.append(system)
                measure(system, [work for group in groups for work in works[group]], figures)
                os.rmdir(system.dir)
                shutil.rmtree(system.vault)
    finally:
        for system in systems:
            system.stop()
        shutil.rmtree(back, ignore_errors=True)
    figures.table(columns(args.systems))
    figures.spread(columns(args.systems))


def measure(system, works, figures):
    """One round on one system."""
    idle, *_ = system.run(nothing)
    for what, gib, work in works:
        seconds, memory, took = system.run(work)
        unit = "s/GiB" if gib else "s"
        figures.add(what, unit, f"{system.name}, s", max(seconds - idle, 0) / (gib or 1))
        figures.add(what, unit, f"{system.name}, MiB", memory)
        figures.add(what, unit, f"{system.name}, took", took / (gib or 1))


def columns(systems):
    return [f"{name}, {what}" for what in ("s", "MiB") for name in systems]


main()
