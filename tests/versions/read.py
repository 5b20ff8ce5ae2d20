#!/usr/bin/env python3
"""Reads a vault by docs/format.md, with nothing of wardfs, and lists what a mount of it shows.

    read.py VAULT                   lists the vault in that directory; the passphrase is `a passphrase`
    read.py --check [ARCHIVE...]    unpacks the archives (all beside this file, if none is named) and compares each with its
                                    list; of those that were killed, only that all that is stored is sound

It verifies the header, every guard, alias, index block, chunk and the sums of every directory. It replays no journal: of a
vault that was not unmounted it shows what the last checkpoint left, and it cannot read one that is in the middle of a
checkpoint. Needs the Python packages argon2-cffi, blake3, cryptography and lz4.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import lz4.block
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, AESSIV

import base64

PASSPHRASE = b"a passphrase"
DRAFT = 1
KINDS = {1: "File", 2: "Directory", 3: "Symlink", 4: "Fifo", 5: "Socket", 6: "CharDevice", 7: "BlockDevice"}
LINKS = bytes(16)


class Refused(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Refused(what)


class Reader:
    """Section 1: numbers and byte strings, in order."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "little")

    def signed(self):
        return int.from_bytes(self.take(8), "little", signed=True)

    def string(self, size):
        return self.take(self.number(size))

    def rest(self):
        return self.take(len(self.data) - self.at)


# Sections 4 and 5.


def u(value, length):
    return value.to_bytes(length, "little")


def derive(key, label, *parts, length=32):
    return blake3(b"".join(u(len(part), 1) + part for part in (label.encode(), *parts)), key=key).digest(length=length)


def opened(suite, key, nonce, sealed, bound, what):
    try:
        return {1: AESGCM, 2: AESGCMSIV}[suite](key).decrypt(nonce, sealed, bound)
    except Exception as error:
        raise Refused(f"{what} does not authenticate") from error


def unwrap(wrapping, label, ids, wrapped):
    keys = derive(wrapping, label, *ids, length=64)
    need(wrapped[:32] == keys[32:], f"{label}: the commitment differs")
    return opened(1, keys[:32], wrapped[32:44], wrapped[44:], b"", label)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def extensions(reader, known=()):
    """All of them, by kind; of the critical ones those that are known."""
    last, found = 0, {}
    for _ in range(reader.number(2)):
        kind = reader.number(2)
        need(kind > last and (kind < 0x8000 or kind in known), "an unknown critical extension")
        last = kind
        found[kind] = reader.string(4)
    return found


def stanza(reader):
    """The first wrap of a list of stanzas; there is one today."""
    wraps = []
    count = reader.number(1)
    need(1 <= count <= 8, "count of stanzas")
    for _ in range(count):
        need(reader.number(1) == 1 and reader.number(2) == 92, "another stanza")
        wraps.append(reader.take(92))
    return wraps[0]


class Vault:
    def __init__(self, path, passphrase):
        self.path = path
        header = (path / "wardfs.vault").read_bytes()
        need(len(header) >= 4096 and header[:8] == b"\x89WARDFS\n", "not a vault")
        header = header[:4096]
        reader = Reader(header)
        reader.take(8)
        need([reader.number(2) for _ in range(3)] == [0, 0, DRAFT], "another version")
        self.suite, _, self.id, self.root_zone = reader.number(1), reader.number(1), reader.take(16), reader.take(16)
        need(reader.number(1) in (0, 1) and reader.take(15) == bytes(15), "header")
        slots = [reader.take(160) for _ in range(8)]
        extensions(reader)
        need(not any(reader.rest()[:-32]), "padding of the header")
        self.master = self.unlock(slots, passphrase)
        mac = blake3(header[:-32], key=derive(self.master, "wardfs header", self.id)).digest()
        need(mac == header[-32:], "the MAC of the header")
        self.zones, self.linked = {}, {}

    def unlock(self, slots, passphrase):
        for slot in slots:
            reader = Reader(slot)
            if slot == bytes(160):
                continue
            need(reader.number(1) == 1 and reader.take(7) == bytes(7), "an unknown slot")
            memory, passes, lanes = (reader.number(8) for _ in range(3))
            need(8192 <= memory <= 4_194_304 and 1 <= passes <= 64 and 1 <= lanes <= 64, "KDF parameters")
            salt, wrapped = reader.take(32), reader.take(92)
            key = hash_secret_raw(passphrase, salt, passes, memory, lanes, 32, Type.ID, version=0x13)
            try:
                return unwrap(key, "wardfs wrap master", [self.id], wrapped)
            except Refused:
                continue
        raise Refused("no slot opens")

    def zone(self, zone):
        """The key of a zone. Section 7."""
        if zone not in self.zones:
            copies = [self.path / top / zone.hex() for top in ("zones", "zones.copy")]
            self.zones[zone] = self.zone_of([path.read_bytes() for path in copies if path.exists()], zone)
        return self.zones[zone]

    def zone_of(self, copies, zone):
        for copy in copies:
            try:
                reader = Reader(copy)
                need(reader.take(4) == b"WFSZ" and reader.number(2) == 0 and reader.take(16) == zone, "zone file")
                return unwrap(self.master, "wardfs wrap zone", [self.id, zone], stanza(reader))
            except Refused:
                continue
        raise Refused("no copy of the zone's key opens")

    def guard(self, path):
        return Guard(self, (self.path / path).read_bytes())

    def alias(self, zone, directory, data):
        """File id, kind and name. Section 9."""
        need(len(data) >= 512 and data[4:6] == bytes(2) and data[7] == 0, "alias")
        data = data[:512]
        key = derive(self.zone(zone), "wardfs alias", directory, data[6:7])
        reader = Reader(opened(data[6], key, data[8:20], data[20:], self.id + directory + data[:8], "alias"))
        found = reader.take(16), reader.number(1), reader.string(1)
        need(not any(reader.rest()), "alias: padding")
        return found


class Guard:
    """Section 8."""

    def __init__(self, vault, data):
        self.vault = vault
        reader = Reader(data)
        need(reader.take(4) == b"WFSG" and reader.number(2) == 0, "guard")
        self.suite = reader.number(1)
        need(reader.number(1) == 0, "guard: flags")
        self.file, self.zone = reader.take(16), reader.take(16)
        self.key = unwrap(vault.zone(self.zone), "wardfs wrap file", [vault.id, self.file], stanza(reader))
        length = reader.number(4)
        head = data[: reader.at]
        nonce, sealed = reader.take(12), reader.take(length + 16)
        need(reader.at % 512 == 0, "guard: length")
        self.tag = sealed[-16:]
        self.body(Reader(opened(self.suite, self.derived("wardfs guard"), nonce, sealed, vault.id + head, "guard")))

    def derived(self, label):
        return derive(self.key, label, u(self.suite, 1))

    def body(self, reader):
        reader.number(8)
        self.generation = reader.number(8)
        self.mode, self.uid, self.gid = reader.number(2), reader.number(4), reader.number(4)
        self.times = [(reader.signed(), reader.number(4)) for _ in range(4)]
        self.links = [(reader.take(16), reader.string(1)) for _ in range(reader.number(2))]
        self.attributes = []
        for _ in range(reader.number(2)):
            name, value = reader.number(1), reader.number(3)
            self.attributes.append((reader.take(name), reader.take(value)))
        reader.string(1)
        self.kind = reader.number(1)
        {1: self.file_content, 2: self.directory_content}.get(self.kind, self.other_content)(reader)
        self.origins = []
        found = extensions(reader, (0x8001, 0x8002))
        if 0x8001 in found:
            origins = Reader(found[0x8001])
            self.origins = [(origins.take(48), origins.take(32)) for _ in range(origins.number(1))]
            need(self.kind == 1 and 1 <= len(self.origins) <= 15 and not origins.rest(), "guard: origins")
        self.bound = 0x8002 in found
        need(not self.bound or self.kind == 1 and found[0x8002] == b"", "guard: bound")
        if self.kind == 1:
            self.read_file()
        padding = reader.rest()
        need(not any(padding) and len(padding) < 512, "guard: padding")

    def other_content(self, reader):
        self.value = "-"
        if self.kind == 3:
            self.value = escaped(reader.string(2))
        elif self.kind in (6, 7):
            self.value = str(reader.number(8))

    def file_content(self, reader):
        self.size, self.chunk, flags = reader.number(8), 1 << reader.number(1), reader.number(1)
        need(flags < 8, "file: flags")
        checksum = reader.take(32) if flags & 2 else None
        if flags & 4:
            self.payload = reader.take(16)
            reader.number(8)
            self.height = reader.number(1)
            self.root = [reader.take(20) for _ in range(reader.number(1))]
            self.inline = None
        else:
            self.inline = reader.take(self.size)
        self.checksum = checksum

    def read_file(self):
        """When its origins are known."""
        content = self.read() if self.inline is None else self.inline
        digest = blake3(content).digest()
        need(self.checksum in (None, digest), "file: checksum")
        self.value = digest.hex()

    def directory_content(self, reader):
        self.directory, self.entries, self.subdirs = reader.take(16), reader.number(8), reader.number(8)
        self.names, self.states = reader.take(32), reader.take(32)
        self.links_state = (reader.number(8), reader.take(32), reader.take(32)) if reader.number(1) else None
        self.value = "-"

    # Sections 10 and 11.

    def read(self):
        digits = self.payload.hex()
        path = self.vault.path / "payloads" / digits[:2] / digits[2:]
        self.frames = path.read_bytes() if path.exists() else b""
        index = path.with_name(path.name + ".index")
        self.index = index.read_bytes() if index.exists() else b""
        content = bytearray(self.size)
        for number, entry in enumerate(self.root):
            for chunk, leaf in self.leaves(self.height, number, entry):
                start = chunk * self.chunk
                plain = self.open_chunk(chunk, leaf)
                length = min(self.chunk, self.size - start)
                content[start : start + length] = plain[:length].ljust(length, b"\0")
        return bytes(content)

    def leaves(self, height, number, entry):
        """Number and entry of each chunk that an entry leads to and that is no hole."""
        if entry == bytes(20):
            return
        need(entry[19] & 2, "index: flags")
        if height == 0:
            yield number, entry
            return
        level = height - 1
        need(entry[16:] == u(5120, 3) + b"\x02", "index: entry of a block")
        leaf = (number + 1) * 256**level - 1
        slot = leaf + sum(leaf // 256**i for i in range(1, 9)) + level
        block = self.index[slot * 5148 : (slot + 1) * 5148]
        need(block[-16:] == entry[:16], "index block: another tag")
        ids = self.vault.id + self.file + self.payload
        bound = b"WFSI" + u(0, 2) + ids + u(level, 1) + u(number, 8)
        plain = opened(self.suite, self.derived("wardfs index"), block[:12], block[12:], bound, "index block")
        for at in range(256):
            yield from self.leaves(level, number * 256 + at, plain[at * 20 : at * 20 + 20])

    def open_chunk(self, chunk, entry):
        frame = self.frames[chunk * (self.chunk + 32) :]
        length = int.from_bytes(entry[16:19], "little")
        head, nonce, sealed = frame[:4], frame[4:16], frame[16 : 32 + length]
        leads, known = entry[16:], sealed[-16:]
        if leads[3] & 64:
            need(self.bound, f"chunk {chunk}: bound")
            leads = leads[:3] + u(leads[3] & ~64, 1)
            known = blake3(head + nonce + sealed + u(chunk, 8), key=derive(self.key, "wardfs bind frame", self.payload)).digest()[:16]
        need(head == leads and known == entry[:16], f"chunk {chunk}: another frame")
        ids, key = self.sealed_as(head[3] >> 2 & 15)
        bound = u(0, 2) + u(self.suite, 1) + ids + u(chunk, 8) + head
        plain = opened(self.suite, key, nonce, sealed, bound, f"chunk {chunk}")
        if head[3] & 1:
            size = int.from_bytes(plain[:4], "little")
            need(size <= self.chunk, "chunk: plaintext length")
            plain = lz4.block.decompress(plain[4:], uncompressed_size=size)
            need(len(plain) == size, "chunk: plaintext length")
        return plain

    def sealed_as(self, number):
        """Ids and key of a frame with this number of an origin."""
        count = len(self.origins)
        need(number <= count, "chunk: another origin")
        if number < count:
            return self.origins[number]
        own = self.derived("wardfs chunk")
        if count:
            own = derive(self.key, "wardfs chunk after", u(self.suite, 1), u(count, 1))
        return self.vault.id + self.file + self.payload, own

    # Section 5.

    def verify(self, directory, found, count, names, states):
        """The sums of a directory, of its stored names and the tags there."""
        zone = self.vault.zone(self.zone)
        keys = [derive(zone, f"wardfs {label} hash", directory) for label in ("names", "state")]
        sums = [0, 0]
        for stored, tag in found:
            for i, item in enumerate((stored, tag + stored)):
                sums[i] += int.from_bytes(blake3(item, key=keys[i]).digest(), "little")
        need(len(found) == count, "directory: another count of entries")
        need([u(total % 2**256, 32) for total in sums] == [names, states], "directory: other sums")

    def children(self):
        """Names and guards of a directory's entries."""
        digits = self.directory.hex()
        path = self.vault.path / "guards" / digits[:2] / digits[2:]
        zone = self.vault.zone(self.zone)
        siv = AESSIV(derive(zone, "wardfs name", self.directory, length=64))
        found, children = [], []
        for file in sorted(path.iterdir()) if path.exists() else []:
            stored, data = file.name.encode(), file.read_bytes()
            found.append((stored, data[-16:]))
            if data[:4] == b"WFSA":
                file_id, kind, name = self.vault.alias(self.zone, self.directory, data)
                guard = self.vault.linked[file_id]
                need((guard.file, guard.kind) == (file_id, kind), "alias: another file")
            else:
                guard = Guard(self.vault, data)
                names = [name for directory, name in guard.links if directory == self.directory]
                name = next((name for name in names if self.stored(name) == stored), b"")
            need((self.directory, name) in guard.links, "guard: it does not name the entry")
            need(self.stored(name) == stored, "another stored name")
            if stored[:1] != b"~":
                padded = stored + b"=" * (-len(stored) % 4)
                need(siv.decrypt(base64.urlsafe_b64decode(padded), None) == name, "stored name")
            children.append((name, guard))
        self.verify(self.directory, found, self.entries, self.names, self.states)
        need(sum(guard.kind == 2 for _, guard in children) == self.subdirs, "another count of directories")
        return children

    def stored(self, name):
        zone = self.vault.zone(self.zone)
        if len(name) > 175:
            return b"~" + base64url(blake3(name, key=derive(zone, "wardfs long name", self.directory)).digest())
        return base64url(AESSIV(derive(zone, "wardfs name", self.directory, length=64)).encrypt(name, None)) if name else b""

    def line(self):
        attributes = ",".join(f"{escaped(name)}={escaped(value)}" for name, value in self.attributes)
        links = 2 + self.subdirs if self.kind == 2 else len(self.links)
        size = self.size if self.kind == 1 else 0
        seconds, nanos = self.times[1]
        who = f"{self.mode:04o} {self.uid} {self.gid} {links}"
        return f"{KINDS[self.kind]} {who} {size} {seconds}.{nanos:09} {self.value} {attributes or '-'}"


def escaped(data):
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    return "".join(chr(byte) if byte in plain else f"%{byte:02x}" for byte in data)


def listing(path, passphrase):
    vault = Vault(path, passphrase)
    root = vault.guard("guards/root")
    need(root.kind == 2 and not root.links and root.zone == vault.root_zone, "the root")
    found = []
    links = path / "guards" / "links"
    for file in sorted(links.iterdir()) if links.exists() else []:
        guard = vault.guard(file)
        need(guard.file.hex() == file.name, "guards/links: another file")
        vault.linked[guard.file] = guard
        found.append((file.name.encode(), guard.tag))
    root.verify(LINKS, found, *root.links_state)
    lines, waiting = {}, [("/", root)]
    while waiting:
        where, guard = waiting.pop()
        lines[where] = guard.line()
        if guard.kind == 2:
            above = "" if where == "/" else where
            waiting += [(f"{above}/{escaped(name)}", child) for name, child in guard.children()]
    return "".join(f"{where} {lines[where]}\n" for where in sorted(lines))


def check(archive):
    with tempfile.TemporaryDirectory() as temp:
        subprocess.run(["tar", "-xzf", archive, "-C", temp], check=True)
        shown = listing(Path(temp), PASSPHRASE)
    expected = Path(str(archive).removesuffix(".tar.gz") + ".txt").read_text()
    if archive.name.endswith("-whole.tar.gz"):
        need(shown == expected, f"{archive.name}: not what its list tells")
    print(f"{archive.name}: {len(shown.splitlines())} entries, all sound")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        here = Path(__file__).parent
        archives = [Path(name) for name in sys.argv[2:]] or sorted(here.glob(f"version-0-draft-{DRAFT}-*.tar.gz"))
        for archive in archives:
            # In the middle of a checkpoint only its redo file can tell what was meant.
            if not archive.name.endswith("-half-applied.tar.gz"):
                check(archive)
    else:
        sys.stdout.write(listing(Path(sys.argv[1]), PASSPHRASE))
