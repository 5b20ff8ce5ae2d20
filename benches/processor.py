"""Processor time and memory that the process behind a mount takes. Started by scripts/processor.

Each piece of work has a mount of its own, from before it to after everything is stored; what mounting and unmounting alone
take is measured first and left out. The kernel counts user and system time and the most memory of the process when it has
ended. Vaults lie in memory, so that no disk is waited for. The systems take turns, and medians count.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
SMALL_FILES = 20_000
SMALL_LEN = 3000


class System:
    """One that is mounted by a process in the foreground."""

    def __init__(self, name, back, wardfs):
        self.name, self.vault, self.dir = name, f"{back}/{name}.vault", f"{back}/{name}"
        self.key = f"{back}/key"
        os.mkdir(self.dir)
        if name == "wardfs":
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
    """What is done, and by how many GiB its processor time is divided, or None for seconds."""
    gib = mib / 1024
    write = "dd if=$FROM of=$TO bs=1M conv=fsync status=none"
    four = "for n in 1 2 3 4; do dd if=$FROM of=p$n bs=128K count=$COUNT status=none & done; wait"
    return [
        ("mount and unmount", None, nothing),
        ("write, noise", gib, shell(write, FROM=noise, TO="noise")),
        ("read, noise", gib, shell("cat noise > /dev/null")),
        ("write, text", gib, shell(write, FROM=text, TO="text")),
        ("read, text", gib, shell("cat text > /dev/null")),
        ("write, 4 at once", gib, shell(four, FROM=noise, COUNT=str(mib * 2))),
        ("read, 4 at once", gib, shell("for n in 1 2 3 4; do cat p$n > /dev/null & done; wait")),
        ("make 20,000 small files", None, make_small),
        ("read them", None, shell("cat [0-9]*/* > /dev/null")),
        ("remove everything", None, shell("rm -r *")),
    ]


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
    parser.add_argument("systems", nargs="*", default=["gocryptfs", "wardfs"])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    back = tempfile.mkdtemp(prefix="wardfs-processor.", dir=args.back)
    with open(f"{back}/key", "w", encoding="ascii") as key:
        key.write("not a secret\n")
    noise, text = f"{back}/from.noise", f"{back}/from.text"
    fill(noise, args.mib, False)
    fill(text, args.mib, True)
    works = work_list(args.mib, noise, text)
    found, systems = {}, []
    try:
        for number in range(args.rounds):
            for name in args.systems:
                system = System(name, back, args.wardfs)
                systems.append(system)
                idle = 0
                for what, gib, work in works:
                    seconds, memory, took = system.run(work)
                    if work is nothing:
                        idle = seconds
                    row = (max(seconds - idle, 0) / (gib or 1), memory, took)
                    found.setdefault((what, name), []).append(row)
                    print(f"# {number + 1} {name}: {what}: {row}", file=sys.stderr, flush=True)
                os.rmdir(system.dir)
                shutil.rmtree(system.vault)
    finally:
        for system in systems:
            system.stop()
        shutil.rmtree(back, ignore_errors=True)
    table(works[1:], args.systems, found)


def table(works, systems, found):
    heads = [f"{name}, {what}" for what in ("s", "MiB") for name in systems]
    print("| work | unit | " + " | ".join(heads) + " |")
    print("| --- " * (len(heads) + 2) + "|")
    for what, gib, _ in works:
        medians = {name: [statistics.median(column) for column in zip(*found[what, name])] for name in systems}
        cells = [f"{medians[name][0]:.2f}" for name in systems] + [f"{medians[name][1]:.0f}" for name in systems]
        print(f"| {what} | {'s/GiB' if gib else 's'} | " + " | ".join(cells) + " |")


main()
