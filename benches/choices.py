"""What a choice costs: the same work on vaults that differ in one option or are served by different builds. Started by
scripts/choices.

Columns are compared within one run, in which they take turns; medians count. Vaults lie in memory, so that no disk is waited
for, or below --back; between writing and reading cold they are mounted anew, on a disk with all caches dropped.
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

from kept import Figures, wanted

TICKS = os.sysconf("SC_CLK_TCK")
# Of small files, how long they are, and how many of each are made; of those that are synced one by one, how many.
SMALL_KIB, SMALL_COUNT, SYNCED_COUNT = [3, 7, 12], 1000, 200
# How many are listed.
MANY_COUNT = 20000


def call(*command, **more):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, **more)


def seconds(script, directory):
    start = time.monotonic()
    call("sh", "-euc", script, cwd=directory)
    return time.monotonic() - start


def fio(path, **job):
    """What fio says of one job on a file, or of several on files in a directory, with `MB/s` and `op/s`."""
    target = "directory" if os.path.isdir(path) else "filename"
    words = [f"--{key}={value}" for key, value in {"group_reporting": 1, **job}.items()]
    out = subprocess.check_output(["fio", "--output-format=json", "--name=j", f"--{target}={path}", *words], text=True)
    side = json.loads(out[out.index("{") :])["jobs"][0]["read" if "read" in job["rw"] else "write"]
    return dict(side, **{"MB/s": side["bw_bytes"] / 1e6, "op/s": side["iops"]})


class Choice:
    """A column: `NAME=[VARIABLE=VALUE...] PROGRAM INIT-ARGUMENTS [-- MOUNT-ARGUMENTS]`."""

    def __init__(self, text, back):
        self.name, _, words = text.partition("=")
        init, _, mount = words.partition(" -- ")
        words, self.env = init.split(), dict(os.environ)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            self.env[name] = value
        self.program, *self.init = words
        self.options = mount.split()
        self.back, self.vault, self.dir, self.key = back, f"{back}/vault", f"{back}/mount", f"{back}/key"
        self.is_on_disk = subprocess.check_output(["stat", "-f", "-c", "%T", back]).strip() != b"tmpfs"
        self.pid = None

    def make(self):
        os.mkdir(self.dir)
        kdf = ["--kdf-memory", 8, "--kdf-time", 1, "--kdf-lanes", 1]
        call(self.program, "init", *kdf, *self.init, "--passfile", self.key, self.vault, env=self.env)
        self.open()

    def open(self):
        call(self.program, "mount", *self.options, "--passfile", self.key, self.vault, self.dir, env=self.env)
        info = subprocess.check_output([self.program, "info", "--json", self.dir])
        self.pid = json.loads(info)["mount"]["pid"]

    def close(self):
        call(self.program, "unmount", self.dir)

    def again(self):
        self.close()
        if self.is_on_disk:
            os.sync()
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
                caches.write("3")
        self.open()

    def remove(self):
        self.close()
        os.rmdir(self.dir)
        shutil.rmtree(self.vault)

    def stored(self):
        """MiB that the vault takes, unmounted for it."""
        self.close()
        size = int(subprocess.check_output(["du", "-sk", self.vault]).split()[0]) / 1024
        self.open()
        return size

    def written(self):
        """Bytes that the daemon has written so far, with what it answered."""
        with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("wchar")).split()[1])

    def cpu(self):
        """Seconds of processor time of the daemon."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak(self):
        """MiB that the daemon has held at most."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


class Work:
    """What all groups need."""

    def __init__(self, choice, tar, mib, long):
        self.choice, self.tar, self.seconds = choice, tar, long
        self.mib, self.size = mib, f"{mib}M"
        self.large = f"{choice.dir}/large"

    def write_large(self):
        return fio(self.large, rw="write", bs="1M", size=self.size, end_fsync=1)["MB/s"]

    def write_anywhere(self, length, **more):
        return fio(self.large, rw="randwrite", bs=length, size=self.size, norandommap=1, **more)


def large(work):
    """A large file, written and read in long and in short pieces."""
    yield "write, 1 MiB each", "MB/s", work.write_large()
    yield "the same over it", "MB/s", work.write_large()
    yield "write 4 KiB, anywhere", "op/s", work.write_anywhere("4k", io_size="32M", end_fsync=1)["op/s"]
    yield "write 4 KiB, fdatasync", "op/s", work.write_anywhere("4k", io_size="8M", fdatasync=1)["op/s"]
    work.choice.again()
    yield "read, cold", "MB/s", fio(work.large, rw="read", bs="1M", size=work.size)["MB/s"]
    work.choice.again()
    read = fio(work.large, rw="randread", bs="4k", size=work.size, io_size="48M", norandommap=1)
    yield "read 4 KiB, anywhere", "op/s", read["op/s"]


def tree(work):
    """A tree of files, unpacked, listed, read and removed."""
    choice = work.choice
    yield "unpack a tree", "s", seconds(f"tar xf {work.tar}", choice.dir)
    yield "memory for that", "MiB", choice.peak()
    start = time.monotonic()
    choice.again()
    yield "unmount, mount", "s", time.monotonic() - start
    yield "ls -lR, cold", "s", seconds("ls -lR > /dev/null", choice.dir)
    yield "read the tree, cold", "s", seconds("find . -type f -exec cat {} + > /dev/null", choice.dir)
    yield "stored tree", "MiB", choice.stored()
    yield "remove the tree", "s", seconds("rm -r *", choice.dir)


def listing(work):
    """Directories whose names are asked for, alone and with attributes, each time cold."""
    choice = work.choice
    os.mkdir(f"{choice.dir}/many")
    for number in range(MANY_COUNT):
        with open(f"{choice.dir}/many/{number}", "wb") as out:
            out.write(b"a short file\n")
    seconds(f"mkdir tree && tar xf {work.tar} -C tree", choice.dir)
    for what, script in [
        (f"names of {MANY_COUNT:,} files", "ls -U many > /dev/null"),
        ("ls -R of a tree", "ls -R tree > /dev/null"),
        ("ls -lR of it", "ls -lR tree > /dev/null"),
        ("find -size in it", "find tree -size +100M"),
        ("md5sum of all in it", "find tree -type f -print0 | xargs -0 md5sum > /dev/null"),
        ("rm -r of it", "rm -r tree"),
    ]:
        choice.again()
        yield what, "s", seconds(script, choice.dir)


def four(work):
    """Four programs at once, and a tree."""
    choice = work.choice
    write = fio(choice.dir, rw="write", bs="128K", size=f"{work.mib}M", numjobs=4, end_fsync=1)
    yield "written by four, 128 KiB each", "MB/s", write["MB/s"]
    work.write_large()
    choice.again()
    read = {"rw": "randread", "bs": "4k", "size": work.size, "norandommap": 1}
    yield "read by four, 4 KiB anywhere", "op/s", fio(work.large, numjobs=4, io_size="64M", **read)["op/s"]
    choice.again()
    yield "read by one, 4 KiB anywhere", "op/s", fio(work.large, io_size="48M", **read)["op/s"]
    yield "unpack a tree", "s", seconds(f"tar xf {work.tar}", choice.dir)


def over(work):
    """A file that is replaced: written over in place, and cut to nothing first, which is a new payload."""
    choice, mib = work.choice, work.mib
    noise = f"{choice.back}/noise"
    if not os.path.exists(noise):
        call("dd", "if=/dev/urandom", f"of={noise}", "bs=1M", f"count={mib}", "status=none")
    copy = f"dd if={noise} of=large bs=1M status=none conv=fsync"
    seconds(copy, choice.dir)
    choice.again()
    for what, how in [("in place", ",notrunc"), ("cut first", "")]:
        start = time.monotonic()
        took = seconds(copy + how, choice.dir)
        yield f"replaced, {what}", "MB/s", mib * 1.048576 / took
        choice.close()
        yield f"replaced, {what}, and unmounted", "MB/s", mib * 1.048576 / (time.monotonic() - start)
        choice.open()


def lines(length):
    """Text that compresses as sources do."""
    with open(os.path.abspath(__file__), "rb") as source:
        text = source.read()
    return (text * (length // len(text) + 1))[:length]


def small(work):
    """Files around the inline limit: made and synced one by one; made, listed and read cold."""
    choice = work.choice
    for kib in SMALL_KIB:
        os.mkdir(f"{choice.dir}/synced{kib}")
        text = lines(kib << 10)
        start = time.monotonic()
        for number in range(SYNCED_COUNT):
            with open(f"{choice.dir}/synced{kib}/{number}", "wb") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
        yield f"make and sync a file of {kib} KiB", "ms", 1000 * (time.monotonic() - start) / SYNCED_COUNT
    for kib in SMALL_KIB:
        os.mkdir(f"{choice.dir}/{kib}")
        text = lines(kib << 10)
        for number in range(SMALL_COUNT):
            with open(f"{choice.dir}/{kib}/{number}", "wb") as out:
                out.write(text)
    choice.again()
    yield "ls -lR, cold", "s", seconds("ls -lR > /dev/null", choice.dir)
    for kib in SMALL_KIB:
        choice.again()
        yield f"read {SMALL_COUNT:,} of {kib} KiB, cold", "s", seconds(f"cat {kib}/* > /dev/null", choice.dir)
    yield "stored", "MiB", choice.stored()


def pool(work):
    """Writes of some lengths, of noise and of text, and the processor time that they take."""
    choice, mib = work.choice, 128
    text = f"{choice.back}/text"
    if not os.path.exists(text):
        with open(text, "wb") as out:
            out.write(lines(mib << 20))
    for length in ("16K", "64K", "128K", "1M"):
        cpu = choice.cpu()
        noise = fio(f"{choice.dir}/noise{length}", rw="write", bs=length, size=f"{mib}M", end_fsync=1)["MB/s"]
        yield f"noise, {length}iB each", "MB/s", noise
        yield f"noise, {length}iB: processor time", "s/GiB", (choice.cpu() - cpu) * 1024 / mib
    for length in ("16K", "64K", "128K", "1M"):
        cpu = choice.cpu()
        took = seconds(f"dd if=../text of=text{length} bs={length} conv=fsync status=none", choice.dir)
        yield f"text, {length}iB each", "MB/s", mib * 1.048576 / took
        yield f"text, {length}iB: processor time", "s/GiB", (choice.cpu() - cpu) * 1024 / mib


def log(work):
    """What a write into a stored chunk takes of the log, by its length."""
    work.write_large()
    for length, name in [(512, "512 bytes"), (4096, "4 KiB"), (16384, "16 KiB")]:
        work.choice.again()
        before = work.choice.written()
        write = work.write_anywhere(length, number_ios=2000, end_fsync=1)
        yield f"write {name}, anywhere", "op/s", write["op/s"]
        count = write["total_ios"]
        yield f"bytes written for {name}", "bytes", (work.choice.written() - before) / count


def checkpoint(work):
    """Small writes for as long as checkpoints take to come."""
    work.write_large()
    work.choice.again()
    cpu = work.choice.cpu()
    write = work.write_anywhere("4k", io_size="128M", end_fsync=1)
    yield "128 MiB by 4 KiB, anywhere", "op/s", write["op/s"]
    yield "one of a thousand takes", "us", write["clat_ns"]["percentile"]["99.900000"] / 1000
    yield "the longest", "ms", write["clat_ns"]["max"] / 1e6
    yield "processor time", "s", work.choice.cpu() - cpu
    yield "memory", "MiB", work.choice.peak()


def churn(work):
    """Files made, written, renamed and removed again, as compilers do, with a few that stay."""
    choice, count = work.choice, 0
    before, cpu, text = choice.written(), choice.cpu(), lines(5000)
    end = time.monotonic() + work.seconds
    while time.monotonic() < end:
        path = f"{choice.dir}/{count}"
        with open(f"{path}.new", "wb") as out:
            out.write(text)
        os.rename(f"{path}.new", path)
        if count % 10:
            os.unlink(path)
        count += 1
    yield "files made, renamed, removed", "/s", count / work.seconds
    yield "processor time of each", "us", 1e6 * (choice.cpu() - cpu) / count
    yield "bytes written for each", "bytes", (choice.written() - before) / count
    yield "memory", "MiB", choice.peak()


def trickle(work):
    """A line every millisecond."""
    choice, count = work.choice, 0
    with open(f"{choice.dir}/log", "ab", buffering=0) as out:
        before, cpu = choice.written(), choice.cpu()
        end = time.monotonic() + work.seconds
        while time.monotonic() < end:
            out.write(b"something has happened that takes a line of a log\n")
            count += 1
            time.sleep(0.001)
        yield "a line every ms: processor time", "us a line", 1e6 * (choice.cpu() - cpu) / count
        yield "bytes written", "a line", (choice.written() - before) / count


GROUPS = {
    group.__name__: group
    for group in (large, tree, small, pool, log, checkpoint, churn, trickle, listing, four, over)
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/choices", description=__doc__)
    parser.add_argument("--back", default="/dev/shm", help="where vaults are made (default: /dev/shm)")
    parser.add_argument("--tree", default="/usr/include", help="what is unpacked (default: /usr/include)")
    parser.add_argument("--mib", type=int, default=256, help="how large the large file is")
    parser.add_argument("--seconds", type=int, default=12, help="how long churn and trickle last")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="large,tree", help=f"groups of work: {', '.join(GROUPS)} (default: large,tree)")
    parser.add_argument("--keep", help="add what is found to this file, and print the medians of all in it")
    parser.add_argument("choices", nargs="+", help="NAME=[VARIABLE=VALUE...] PROGRAM INIT-ARGUMENTS [-- MOUNT-ARGUMENTS]")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    groups = wanted(args.only, GROUPS)
    figures = Figures(args.keep)
    back = tempfile.mkdtemp(prefix="wardfs-choices.", dir=args.back)
    tar = f"{back}/tree.tar"
    try:
        with open(f"{back}/key", "w", encoding="ascii") as key:
            key.write("not a secret\n")
        if {"tree", "listing", "four"} & set(groups):
            call("tar", "cf", tar, "-C", args.tree, ".")
        choices = [Choice(text, back) for text in args.choices]
        for _ in range(args.rounds):
            for choice in choices:
                for group in groups:
                    choice.make()
                    for what, unit, value in GROUPS[group](Work(choice, tar, args.mib, args.seconds)):
                        figures.add(what, unit, choice.name, value)
                    choice.remove()
    finally:
        if os.path.ismount(f"{back}/mount"):
            subprocess.run(["umount", "-l", f"{back}/mount"], check=False)
        shutil.rmtree(back, ignore_errors=True)
    names = [choice.name for choice in choices]
    figures.table(names)
    figures.spread(names)


main()
