"""Where the daemon's processor time goes, by kind of work. Started by scripts/profile.

`perf` interrupts the daemon's threads a thousand times a second while a program works on the mount, and notes what runs and who
called it, as far as the kernel's own frames go. Each sample goes to one place (which call of the system, or the daemon's own
code) and to one group (what is done there). Prints the shares of the groups, and for each work the places with their groups
and functions. What comes before and after the work is not counted.
"""

import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FIO_1M = "fio --name=j --filename=large --bs=1M --size=1024M --rw="
FIO_4K = "fio --name=j --filename=large --bs=4k --size=1024M --norandommap=1 --io_size=96M --rw="
MAKE_LARGE = FIO_1M + "write --end_fsync=1"
UNPACK = "tar xf ../tree.tar"

# Name, what is there before, whether the vault is mounted anew then, and the work.
WORKS = [
    ("seq write 1M", None, False, MAKE_LARGE),
    ("seq read cold", MAKE_LARGE, True, FIO_1M + "read"),
    ("rand read 4K", MAKE_LARGE, True, FIO_4K + "randread"),
    ("rand write 4K", MAKE_LARGE, True, FIO_4K + "randwrite --end_fsync=1"),
    ("untar", None, False, UNPACK),
    ("ls -lR cold", UNPACK, True, "ls -lR"),
    ("md5sum cold", UNPACK, True, "find . -type f -print0 | xargs -0 md5sum"),
    ("write 4K, fdatasync", MAKE_LARGE, True, FIO_4K.replace("96M", "32M") + "randwrite --fdatasync=1"),
    ("seq write, text", None, False, "cp ../text text && sync text"),
]

GROUPS = ["waking", "copying", "FUSE", "store", "memory", "AEAD", "LZ4", "wardfs, fuser", "rest"]
WAKING = re.compile(r"schedule|try_to_wake_up|do_futex|__wake_up|finish_task_switch|sys_(poll|ppoll|sched_\w+)$|sched_yield")
COPYING = re.compile(
    r"rep_movs|rep_stos|copy_user|_copy_(to|from)_iter|copy_page|clear_page|copy_folio|memcpy|memmove|memset|memzero|fault_in"
)
FAULT = re.compile(r"exc_page_fault|handle_mm_fault")
CIPHER = re.compile(r"aes|gcm|ghash|polyval|vaes|aws_lc|CRYPTO_|EVP_|ctr32", re.IGNORECASE)
PACKER = re.compile(r"lz4|compress", re.IGNORECASE)
SYSTEM_CALL = re.compile(r"^(?:__x64_sys|__se_sys|ksys|do_sys|__do_sys)_(\w+)$")


class Frame:
    """A function, and the object that it is in."""

    def __init__(self, line):
        match = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
        self.name, self.object = match.groups() if match else ("?", "?")
        self.name = re.sub(r"\+0x[0-9a-f]+$", "", self.name)
        # Without what tells generic instances apart.
        self.name = re.sub(r"::h[0-9a-f]{16}$", "", self.name)
        self.is_kernel = self.object.startswith("[kernel") or self.object.endswith(".ko")


def samples(path):
    """Of each sample the thread's name and its frames, the innermost first."""
    words = ["perf", "script", "--no-inline", "-i", path, "-F", "comm,ip,sym,dso"]
    text = subprocess.run(words, check=True, capture_output=True, text=True, errors="replace").stdout
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if not lines:
            continue
        thread = lines[0].strip()
        frames = [Frame(line) for line in lines[1:]]
        if not frames:
            # All in one line, where there is no chain.
            thread, _, rest = thread.partition(" ")
            frames = [Frame(rest)]
        yield thread, frames


def group_of(frames):
    """What is done."""
    leaf, kernel = frames[0], [frame.name for frame in frames if frame.is_kernel]
    if any(WAKING.search(name) for name in kernel):
        return "waking"
    if COPYING.search(leaf.name):
        return "copying"
    if any(FAULT.search(name) for name in kernel):
        return "memory"
    if any("fuse_" in name for name in kernel):
        return "FUSE"
    if leaf.is_kernel:
        return "store" if any(SYSTEM_CALL.match(name) for name in kernel) else "rest"
    if CIPHER.search(leaf.name):
        return "AEAD"
    if PACKER.search(leaf.name):
        return "LZ4"
    return "wardfs, fuser"


def place_of(frames):
    """Where: the call of the system, or the daemon's own code."""
    kernel = [frame.name for frame in frames if frame.is_kernel]
    if not kernel:
        return "own code"
    if any("fuse_dev" in name for name in kernel):
        return "messages in" if any("read" in name for name in kernel) else "answers out"
    if any(FAULT.search(name) for name in kernel):
        return "page faults"
    calls = [match.group(1) for match in map(SYSTEM_CALL.match, kernel) if match]
    return f"{calls[-1]}()" if calls else "the kernel's own"


class Mount:
    """A vault in memory, mounted."""

    def __init__(self, back, wardfs):
        self.wardfs, self.vault, self.dir, self.key = wardfs, f"{back}/vault", f"{back}/mount", f"{back}/key"
        kdf = ["--kdf-memory", "8", "--kdf-time", "1", "--kdf-lanes", "1"]
        os.mkdir(self.dir)
        self.call("init", *kdf, "--passfile", self.key, self.vault)
        self.open()

    def call(self, *words):
        subprocess.run([self.wardfs, *words], check=True, capture_output=True)

    def open(self):
        self.call("mount", "--passfile", self.key, self.vault, self.dir)
        info = subprocess.check_output([self.wardfs, "info", "--json", self.dir])
        self.pid = json.loads(info)["mount"]["pid"]

    def again(self):
        self.call("unmount", self.dir)
        self.open()

    def remove(self):
        self.call("unmount", self.dir)
        os.rmdir(self.dir)
        shutil.rmtree(self.vault)

    def work(self, script):
        subprocess.run(["sh", "-euc", script], check=True, cwd=self.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def record(mount, script, path, frequency):
    """Runs it, and has `perf` look at the daemon meanwhile; gives the seconds that it took."""
    words = ["perf", "record", "--quiet", "-F", str(frequency), "-g", "-p", str(mount.pid), "-o", path]
    perf = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (os.path.exists(path) and os.path.getsize(path)):
        time.sleep(0.02)
    time.sleep(0.3)
    start = time.monotonic()
    mount.work(script)
    took = time.monotonic() - start
    perf.send_signal(signal.SIGINT)
    perf.wait()
    return took


def share(count, total):
    return f"{100 * count / max(total, 1):.0f}"


def tree(name, found, threads, total, took):
    """Places, in them groups, in them functions: each that has a fiftieth of all."""
    by_thread = ", ".join(f"{who} {share(count, total)} %" for who, count in threads.most_common(5))
    print(f"\n{name}: {total} samples in {took:.1f} s; threads: {by_thread}")
    places = collections.Counter()
    for (place, *_), count in found.items():
        places[place] += count
    for place, in_place in places.most_common():
        if in_place * 50 < total:
            continue
        print(f"  {share(in_place, total):>3} %  {place}")
        groups = collections.Counter()
        for (where, group, _), count in found.items():
            if where == place:
                groups[group] += count
        for group, in_group in groups.most_common():
            if in_group * 50 < total:
                continue
            functions = [(count, leaf) for (where, what, leaf), count in found.items() if (where, what) == (place, group)]
            most = [(count, leaf) for count, leaf in sorted(functions, reverse=True)[:4] if count * 100 >= total]
            names = ", ".join(f"{leaf} {share(count, total)}" for count, leaf in most)
            print(f"         {share(in_group, total):>3} %  {group}" + (f": {names}" if names else ""))


def event_of(path):
    """What interrupted the threads: of a machine without counters its clock."""
    return subprocess.check_output(["perf", "evlist", "-i", path], text=True).split("\n")[0]


def folded(path, counts):
    """For programs that draw flame graphs of it."""
    with open(path, "w", encoding="utf-8") as out:
        for stack, count in sorted(counts.items()):
            out.write(f"{stack} {count}\n")


def main():
    parser = argparse.ArgumentParser(prog="scripts/profile", description=__doc__)
    parser.add_argument("--wardfs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--back", default="/dev/shm", help="where vaults are made (default: /dev/shm)")
    parser.add_argument("--tree", default="/usr/include", help="what is unpacked (default: /usr/include)")
    parser.add_argument("--frequency", type=int, default=999, help="samples a second")
    parser.add_argument("--folded", help="a directory for stacks with their counts, as programs for flame graphs read them")
    parser.add_argument("works", nargs="*", help="names of work, by default all: " + "; ".join(work[0] for work in WORKS))
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    names = args.works or [work[0] for work in WORKS]
    unknown = set(names) - {work[0] for work in WORKS}
    if unknown:
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    back = tempfile.mkdtemp(prefix="wardfs-profile.", dir=args.back)
    shares, events = {}, set()
    try:
        prepare(back, args.tree)
        for name, before, is_cold, script in WORKS:
            if name not in names:
                continue
            mount = Mount(back, args.wardfs)
            if before:
                mount.work(before)
            if is_cold:
                mount.again()
            path = f"{back}/perf.data"
            took = record(mount, script, path, args.frequency)
            mount.remove()
            events.add(event_of(path))
            found, threads, stacks = collections.Counter(), collections.Counter(), collections.Counter()
            for thread, frames in samples(path):
                found[place_of(frames), group_of(frames), frames[0].name] += 1
                threads[thread] += 1
                stacks[";".join([thread] + [frame.name for frame in reversed(frames)])] += 1
            os.remove(path)
            total = sum(found.values())
            shares[name] = collections.Counter()
            for (_, group, _), count in found.items():
                shares[name][group] += count
            tree(name, found, threads, total, took)
            if args.folded:
                folded(f"{args.folded}/{name.replace(' ', '-')}.folded", stacks)
    finally:
        if os.path.ismount(f"{back}/mount"):
            subprocess.run(["umount", "-l", f"{back}/mount"], check=False)
        shutil.rmtree(back, ignore_errors=True)
    print(f"\nevent: {', '.join(sorted(events))}\n")
    print("| work | " + " | ".join(GROUPS) + " |")
    print("| --- " * (len(GROUPS) + 1) + "|")
    for name, groups in shares.items():
        total = sum(groups.values())
        print(f"| {name} | " + " | ".join(share(groups[group], total) for group in GROUPS) + " |")


def prepare(back, source):
    """What works need: a key, a tree to unpack, and 512 MiB of text."""
    with open(f"{back}/key", "w", encoding="ascii") as key:
        key.write("not a secret\n")
    subprocess.run(["tar", "cf", f"{back}/tree.tar", "-C", source, "."], check=True, capture_output=True)
    with open(f"{back}/tree.tar", "rb") as tar:
        text = tar.read(64 << 20)
    with open(f"{back}/text", "wb") as out:
        for _ in range((512 << 20) // len(text)):
            out.write(text)


main()
