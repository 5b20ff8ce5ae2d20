#!/usr/bin/env python3
"""Makes the *.txt beside it out of docs/format.md, with nothing of wardfs.

Needs the Python packages argon2-cffi, blake3 and cryptography. Run it where it lies; it overwrites the files. What it
writes is the format: if a file changes, the draft in docs/format.md and FORMAT_DRAFT change too.
"""

import base64
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, AESSIV

DRAFT = 1
STREAM_DRAFT = 1
VAULT, ZONE, FILE, DIR, PAYLOAD = (bytes(range(first, first + 16)) for first in (0xA0, 0xB0, 0xC0, 0xD0, 0xE0))
OTHER = bytes([0x5A]) * 16
MASTER, ZONE_KEY, FILE_KEY = (bytes(range(first, first + 32)) for first in (0x00, 0x20, 0x40))
PASSPHRASE, SALT = b"correct horse battery staple", bytes(range(0x60, 0x80))
MEMORY_KIB, PASSES, LANES = 8192, 2, 2
GCM, SIV = 1, 2


# Section 1: numbers and byte strings. A structure is a list of (bytes, what it is).


def number(value, length):
    return value.to_bytes(length, "little")


def u8(value):
    return number(value, 1)


def u16(value):
    return number(value, 2)


def u24(value):
    return number(value, 3)


def u32(value):
    return number(value, 4)


def u64(value):
    return number(value, 8)


def i64(value):
    return value.to_bytes(8, "little", signed=True)


def string(data, size):
    return number(len(data), size) + data


def joined(fields):
    return b"".join(data for data, _ in fields)


def changed(fields, what, data):
    assert [name for _, name in fields].count(what) == 1, what
    return [(data if name == what else old, name) for old, name in fields]


# Sections 4 and 5: keys, names, set hashes.


def derive(key, label, *parts, length=32):
    return blake3(b"".join(string(part, 1) for part in (label.encode(), *parts)), key=key).digest(length=length)


def seal(suite, key, nonce, data, bound):
    return (AESGCM if suite == GCM else AESGCMSIV)(key).encrypt(nonce, data, bound)


def wrap(wrapping, label, ids, key, nonce):
    keys = derive(wrapping, label, *ids, length=64)
    return keys[32:] + nonce + seal(GCM, keys[:32], nonce, key, b"")


def nonce(n):
    return bytes([n]) * 12


SLOT_KEY = hash_secret_raw(PASSPHRASE, SALT, PASSES, MEMORY_KIB, LANES, 32, Type.ID, version=0x13)
WRAPPED_MASTER = wrap(SLOT_KEY, "wardfs wrap master", [VAULT], MASTER, nonce(0x11))
WRAPPED_ZONE = wrap(MASTER, "wardfs wrap zone", [VAULT, ZONE], ZONE_KEY, nonce(0x12))
WRAPPED_FILE = wrap(ZONE_KEY, "wardfs wrap file", [VAULT, FILE], FILE_KEY, nonce(0x13))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def stored_name(directory, name):
    if len(name) > 175:
        return b"~" + base64url(blake3(name, key=derive(ZONE_KEY, "wardfs long name", directory)).digest())
    return base64url(AESSIV(derive(ZONE_KEY, "wardfs name", directory, length=64)).encrypt(name, None))


def name_item(directory, stored):
    return blake3(stored, key=derive(ZONE_KEY, "wardfs names hash", directory)).digest()


def state_item(directory, stored, tag):
    return blake3(tag + stored, key=derive(ZONE_KEY, "wardfs state hash", directory)).digest()


def set_hash(items):
    return number(sum(int.from_bytes(item, "little") for item in items) % 2**256, 32)


# Section 8: guards.


def time(seconds, nanos):
    return i64(seconds) + u32(nanos)


ATTRIBUTES = [
    (u16(0o644), "mode"),
    (u32(1000), "owner"),
    (u32(100), "group"),
    (time(1_700_000_001, 1), "access time"),
    (time(1_700_000_002, 999_999_999), "modification time"),
    (time(-1, 3), "change time"),
    (time(0, 0), "birth time"),
]


def link(name, directory=DIR):
    return directory + string(name, 1)


def links(*all_links):
    return u16(len(all_links)) + b"".join(all_links)


def xattrs(*pairs):
    each = (u8(len(name)) + u24(len(value)) + name + value for name, value in pairs)
    return u16(len(pairs)) + b"".join(each)


def content(kind, *fields):
    return [(u8(kind), "kind"), *fields]


def file_content(size, data, flags=0, chunk=14, checksum=None):
    fields = [(u64(size), "size"), (u8(chunk), "log2 of the chunk size"), (u8(flags), "flags")]
    if checksum is not None:
        fields.append((checksum, "checksum"))
    return content(1, *fields, *data)


def inline(data):
    return [(data, "inline content")]


def entry(tag, length, flags):
    return bytes([tag]) * 16 + u24(length) + u8(flags)


HOLE = bytes(20)


def payload(height, *entries):
    each = [(data, f"entry {i}") for i, data in enumerate(entries)]
    return [(PAYLOAD, "payload id"), (u64(0x1234), "stored bytes"), (u8(height), "height"), (u8(len(entries)), "count of entries"), *each]


def directory_content(identity=DIR, entries=3, subdirs=1, flag=0):
    return content(
        2,
        (identity, "directory id"),
        (u64(entries), "entries"),
        (u64(subdirs), "entries that are directories"),
        (bytes([0x31]) * 32, "set of names"),
        (bytes([0x32]) * 32, "set of states"),
        (u8(flag), "links follow"),
    )


LINKS_STATE = [(u64(9), "entries of guards/links"), (bytes([0x33]) * 32, "set of names of guards/links"), (bytes([0x34]) * 32, "set of states of guards/links")]


def body(kind_and_content, the_links=None, attributes=None, description=b""):
    return [
        (u64(7), "seal count"),
        (u64(5), "generation"),
        *ATTRIBUTES,
        (links(link(b"name")) if the_links is None else the_links, "links"),
        (attributes or xattrs(), "extended attributes"),
        (string(description, 1), "description"),
        *kind_and_content,
        (u16(0), "extensions"),
    ]


def head(suite=GCM, wraps=(WRAPPED_FILE,)):
    return [
        (b"WFSG", "magic"),
        (u16(0), "format version"),
        (u8(suite), "suite"),
        (u8(0), "flags"),
        (FILE, "file id"),
        (ZONE, "zone id"),
        (u8(len(wraps)), "count of stanzas"),
        *[(u8(1) + u16(92) + wrapped, f"stanza {i}") for i, wrapped in enumerate(wraps)],
    ]


def origin(byte, title):
    """An origin of ids and a key of one byte each."""
    ids = [(bytes([byte + i]) * 16, f"{what} id of origin {title}") for i, what in enumerate(("vault", "file", "payload"))]
    return [*ids, (bytes([byte + 3]) * 32, f"chunk key of origin {title}")]


def guard(fields, n, the_head=None, padding=None):
    """The stored guard of these body fields; `padding` instead of the right one."""
    the_head = the_head or head()
    plain = joined(fields)
    if padding is None:
        padding = bytes(-(len(joined(the_head)) + 4 + 12 + len(plain) + 16) % 512)
    plain += padding
    clear = [*the_head, (u32(len(plain)), "sealed length")]
    suite = clear[2][0][0]
    key = derive(FILE_KEY, "wardfs guard", u8(suite))
    sealed = seal(suite, key, nonce(n), plain, VAULT + joined(clear))
    return [*clear, (nonce(n), "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]


# Writing.


def squeezed(data):
    """Hex, with runs of one byte as `00*4096`."""
    words, at, plain = [], 0, 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run >= 24:
            words += [data[plain:at], f"{data[at]:02x}*{run}"]
            plain = at + run
        at += run
    words.append(data[plain:])
    return [word if isinstance(word, str) else word.hex() for word in words if word]


def wrapped_lines(data, comment, indent="    "):
    lines = []
    for word in squeezed(data):
        lines += [word] if "*" in word else [word[i : i + 96] for i in range(0, len(word), 96)]
    lines = lines or [""]
    if comment:
        lines[0] = f"{lines[0]:<40}  # {comment}"
    return [(indent + line).rstrip() for line in lines]


class Vectors:
    def __init__(self, name, *intro):
        self.path = Path(__file__).parent / f"{name}.txt"
        self.blocks = [[f"# {line}" for line in ("Made by make.py out of docs/format.md.", *intro)]]
        self.n = 0x20

    def block(self, name, comment=None, **fields):
        lines = [f"# {comment}"] if comment else []
        lines.append(f"name: {name}")
        for field, value in fields.items():
            field = field.replace("_", " ")
            if isinstance(value, list):
                lines.append(f"{field}:")
                for data, what in value:
                    lines += wrapped_lines(data, what)
            elif isinstance(value, bytes) and len(value) > 40:
                lines += [f"{field}:", *wrapped_lines(value, None)]
            elif isinstance(value, bytes):
                lines.append(f"{field}: {value.hex()}".rstrip())
            else:
                lines.append(f"{field}: {value}")
        self.blocks.append(lines)

    def fresh(self):
        self.n += 1
        return self.n

    def write(self):
        self.path.write_text("\n\n".join("\n".join(lines) for lines in self.blocks) + "\n")


def keys_file():
    out = Vectors("keys", "The keys behind all vectors, from the passphrase down. Section 4.")
    out.block(
        "chain",
        passphrase=PASSPHRASE,
        salt=SALT,
        memory_kib=MEMORY_KIB,
        passes=PASSES,
        lanes=LANES,
        slot_key=SLOT_KEY,
        vault=VAULT,
        master_key=MASTER,
        wrapped_master_key=WRAPPED_MASTER,
        header_key=derive(MASTER, "wardfs header", VAULT),
        journal_key_of_suite_1=derive(MASTER, "wardfs journal", VAULT, u8(GCM)),
        journal_file_key_of_suite_1_number_3=journal_key(GCM, 3),
        zone=ZONE,
        zone_key=ZONE_KEY,
        wrapped_zone_key=WRAPPED_ZONE,
        directory=DIR,
        alias_key_of_suite_1=derive(ZONE_KEY, "wardfs alias", DIR, u8(GCM)),
        alias_nonce_key=derive(ZONE_KEY, "wardfs alias nonce", DIR),
        name_key=derive(ZONE_KEY, "wardfs name", DIR, length=64),
        file=FILE,
        file_key=FILE_KEY,
        wrapped_file_key=WRAPPED_FILE,
        guard_key_of_suite_1=derive(FILE_KEY, "wardfs guard", u8(GCM)),
        guard_key_of_suite_2=derive(FILE_KEY, "wardfs guard", u8(SIV)),
        chunk_key_of_suite_1=derive(FILE_KEY, "wardfs chunk", u8(GCM)),
        chunk_key_of_suite_1_after_2_origins=derive(FILE_KEY, "wardfs chunk after", u8(GCM), u8(2)),
        bind_key_of_a_payload=derive(FILE_KEY, "wardfs bind frame", PAYLOAD),
        index_key_of_suite_1=derive(FILE_KEY, "wardfs index", u8(GCM)),
    )
    out.write()


def wrap_file():
    out = Vectors("wrap", "Keys wrapped by the key above them. Section 4.", "`by` is the key that wraps, `key` the wrapped one; `kind` names the label and `ids` are its parts.")

    def refused(name, like, **changes):
        out.block(name, like=like, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused="authentication, wrapped key")

    for kind, by, ids, key in [("master", SLOT_KEY, [VAULT], MASTER), ("zone", MASTER, [VAULT, ZONE], ZONE_KEY), ("file", ZONE_KEY, [VAULT, FILE], FILE_KEY)]:
        n, label = out.fresh(), f"wardfs wrap {kind}"
        whole = wrap(by, label, ids, key, nonce(n))
        names = dict(zip(("vault", "id"), ids))
        parts = [(whole[:32], "commitment"), (whole[32:44], "nonce"), (whole[44:76], "ciphertext"), (whole[76:], "tag")]
        out.block(kind, kind=kind, by=by, **names, key=key, nonce=nonce(n), bytes=parts)
        for what, at in [("first byte of the commitment", 0), ("last byte of the commitment", 31), ("nonce", 32), ("ciphertext", 44), ("last byte of the ciphertext", 75), ("tag", 76), ("last byte of the tag", 91)]:
            refused(f"{kind}: another {what}", kind, **{f"at {at}": u8(whole[at] ^ 0x80)})
        refused(f"{kind}: by another key", kind, by=FILE_KEY)
        refused(f"{kind}: in another vault", kind, vault=OTHER)
        if len(ids) > 1:
            refused(f"{kind}: of another id", kind, id=OTHER)
            refused(f"{kind}: ids in the other order", kind, vault=ids[1], id=ids[0])
        # Each half of it sound, but of two keys.
        other = wrap(FILE_KEY, label, ids, key, nonce(n))
        refused(f"{kind}: ciphertext under another key, with the right commitment", kind, at_32=other[32:])
        refused(f"{kind}: right ciphertext, with the commitment of another key", kind, at_0=other[:32])
        refused(f"{kind}: the halves of what is derived in the other order", kind, at_0=derive(by, label, *ids, length=64)[:32])
        refused(f"{kind}: with the label of a header", kind, at_0=wrap(by, "wardfs header", ids, key, nonce(n)))
        bound = seal(GCM, derive(by, label, *ids, length=64)[:32], nonce(n), key, VAULT)
        refused(f"{kind}: sealed with associated data", kind, at_44=bound)
        siv = seal(SIV, derive(by, label, *ids, length=64)[:32], nonce(n), key, b"")
        refused(f"{kind}: sealed by suite 2", kind, at_44=siv)
    out.write()


def names_file():
    out = Vectors("names", "Stored names and set hashes, under the zone key of keys.txt. Section 5.", "`sum` is the set hash of the items so far.")
    names, states = [], []
    for title, name in [
        ("short", b"a"),
        ("usual", b"hello world.txt"),
        ("not text", b"\xff\xfe\x01"),
        ("longest encrypted", b"n" * 175),
        ("shortest hashed", b"n" * 176),
        ("longest", b"n" * 255),
    ]:
        stored, tag = stored_name(DIR, name), bytes([len(name)]) * 16
        names.append(name_item(DIR, stored))
        states.append(state_item(DIR, stored, tag))
        out.block(
            title,
            directory=DIR,
            plain=name,
            stored=stored.decode(),
            tag=tag,
            name_item=names[-1],
            state_item=states[-1],
            sum_of_names=set_hash(names),
            sum_of_states=set_hash(states),
        )
    names_refused(out)
    out.write()


def names_refused(out):
    short, long = stored_name(DIR, b"a").decode(), stored_name(DIR, b"n" * 176).decode()

    def refused(title, stored, **more):
        out.block(title, directory=DIR, **more, stored=stored, refused="stray, stored name")

    refused("empty", "")
    refused("without a synthetic IV", base64url(bytes(15)).decode())
    refused("a synthetic IV of zeros", base64url(bytes(17)).decode())
    refused("another first character", ("w" if short[0] == "x" else "x") + short[1:])
    refused("another character", short[:12] + ("w" if short[12] == "x" else "x") + short[13:])
    refused("bits after the last byte", short[:-1] + other_bits(short[-1]))
    refused("cut", short[:-1])
    refused("a character too many", short + "A")
    refused("with padding", short + "=")
    sealed = [AESSIV(derive(ZONE_KEY, "wardfs name", DIR, length=64)).encrypt(bytes([n]), None) for n in range(1, 256)]
    refused("of plain base64", next(text for text in map(base64.b64encode, sealed) if b"+" in text and b"/" in text).decode().rstrip("="))
    refused("of another directory", stored_name(OTHER, b"a").decode())
    refused("of another zone", base64url(AESSIV(derive(FILE_KEY, "wardfs name", DIR, length=64)).encrypt(b"a", None)).decode())
    for title, name in [("of no name", b""), ("of .", b"."), ("of ..", b".."), ("of a name with a slash", b"a/b"), ("of a name with a NUL", b"a\0")]:
        refused(title, stored_name(DIR, name).decode())
    refused("mark alone", "~")
    refused("mark without a hash", long[1:])
    refused("two marks", "~" + long)
    refused("short hash", long[:-1])
    refused("hash of 33 bytes", "~" + base64url(bytes(33)).decode())
    refused("bits after the hash", long[:-1] + other_bits(long[-1]))
    hashed = "~" + base64url(blake3(b"a", key=derive(ZONE_KEY, "wardfs long name", DIR)).digest()).decode()
    refused("hash of a name that is not long", hashed, plain=b"a")
    refused("hash of another name", long, plain=b"m" * 176)


def other_bits(character):
    """The base64url character after it: the same but for the lowest bit, which no byte has."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


SLOT = [
    (u8(1), "kind of slot 0: passphrase"),
    (bytes(7), "zeros"),
    (u64(MEMORY_KIB), "memory"),
    (u64(PASSES), "passes"),
    (u64(LANES), "lanes"),
    (SALT, "salt"),
    (WRAPPED_MASTER, "wrapped master key"),
    (bytes(4), "zeros at the end of slot 0"),
]


def header(extensions=b"\0\0", slots=(*SLOT, (bytes(7 * 160), "slots 1 to 7, empty")), suite=GCM, chunk=14, compress=1):
    fields = [
        (b"\x89WARDFS\n", "magic"),
        (u16(0), "format version"),
        (u16(0), "least version that a reader must know"),
        (u16(DRAFT), "draft"),
        (u8(suite), "suite"),
        (u8(chunk), "log2 of the chunk size"),
        (VAULT, "vault id"),
        (ZONE, "root zone id"),
        (u8(compress), "compress"),
        (bytes(15), "zeros"),
        *slots,
        (extensions, "extensions"),
    ]
    fields.append((bytes(4064 - len(joined(fields))), "padding"))
    mac = blake3(joined(fields), key=derive(MASTER, "wardfs header", VAULT)).digest()
    return [*fields, (mac, "MAC")]


def header_file():
    out = Vectors("header", "wardfs.vault, under the header key of keys.txt. Section 6.")
    base = "one passphrase"
    out.block(base, bytes=header())
    empty = (bytes(6 * 160), "slots 1 to 6, empty")
    second = [(data, what.replace("slot 0", "slot 7")) for data, what in SLOT]
    out.block("two passphrases, other settings", bytes=header(slots=(*SLOT, empty, *second), suite=SIV, chunk=20, compress=0))
    out.block("changed", bytes=header(u16(1) + u16(1) + string(u64(0x01020304), 4)))
    known = u16(2) + u16(2) + u32(0) + u16(0x7FFF) + string(b"ignored", 4)
    out.block("unknown extensions", "Read as the first; written anew without the extensions.", read_only="yes", bytes=header(known))

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    refused("another magic", "magic, vault header", at_0=b"\x88")
    refused("later version", "version, vault header: format version", at_8=u16(1))
    refused("later reader", "version, vault header: least format version that a reader must know", at_10=u16(1))
    refused("another draft", "version, vault header: draft of format version 0", at_12=u16(DRAFT + 1))
    refused("draft of later versions", "version, vault header: draft of format version 0", at_12=u16(0))
    refused("later version of another length", "version, vault header: format version", at_8=u16(1), append=bytes(4096))
    refused("suite 0", "invalid, vault header: suite", at_14=u8(0))
    refused("suite 3", "invalid, vault header: suite", at_14=u8(3))
    refused("chunks too small", "out of bounds, vault header: log2 of the chunk size", at_15=u8(11))
    refused("chunks too large", "out of bounds, vault header: log2 of the chunk size", at_15=u8(21))
    refused("compress 2", "invalid, vault header: compression", at_48=u8(2))
    refused("reserved byte", "invalid, vault header: reserved bytes", at_63=u8(1))
    refused("unknown kind of slot", "invalid, key slot: kind", at_64=u8(2))
    refused("byte after the kind of a slot", "invalid, key slot: reserved bytes, of slot", at_65=u8(1))
    refused("byte after a slot's key", "invalid, key slot: reserved bytes at the end", at_223=u8(1))
    refused("byte in an empty slot", "invalid, key slot: rest of an empty slot", at_300=u8(1))
    refused("memory of 2^60 KiB", "kdf, KDF memory in KiB", at_72=u64(2**60))
    refused("memory of 2^32 + 8192 KiB", "kdf, KDF memory in KiB", at_72=u64(2**32 + 8192))
    refused("too little memory", "kdf, KDF memory in KiB", at_72=u64(8191))
    refused("no passes", "kdf, KDF time", at_80=u64(0))
    refused("2^60 passes", "kdf, KDF time", at_80=u64(2**60))
    refused("no lanes", "kdf, count of KDF lanes", at_88=u64(0))
    refused("2^60 lanes", "kdf, count of KDF lanes", at_88=u64(2**60))
    refused("critical extension", "unknown extension, vault header: extensions", at_1344=u16(1) + u16(0x8001) + u32(0))
    refused("extensions that descend", "invalid, vault header: extensions", at_1344=u16(2) + u16(2) + u32(0) + u16(1) + u32(0))
    refused("extension past the end", "truncated, vault header: extensions", at_1344=u16(1) + u16(1) + u32(4000))
    refused("generation 0", "invalid, vault header: generation", at_1344=u16(1) + u16(1) + string(u64(0), 4))
    refused("generation of 4 bytes", "truncated, vault header: generation", at_1344=u16(1) + u16(1) + string(u32(1), 4))
    refused("generation of 9 bytes", "trailing, vault header: generation", at_1344=u16(1) + u16(1) + string(u64(1) + b"x", 4))
    refused("byte in the padding", "invalid, vault header: padding", at_4063=u8(1))
    refused("cut", "truncated, vault header: MAC", cut=4095)
    refused("empty", "truncated, vault header: magic", cut=0)
    out.block("a byte behind the end", like=base, append=u8(7), read_only="yes")
    refused("another vault", "authentication, vault header", at_16=u8(0xFF))
    refused("another root zone", "authentication, vault header", at_32=u8(0xFF))
    refused("another salt", "authentication, vault header", at_96=u8(0))
    refused("more passes", "authentication, vault header", at_80=u64(3))
    refused("another MAC", "authentication, vault header", at_4095=u8(joined(header())[-1] ^ 1))
    out.write()


def zone_file():
    out = Vectors("zone", "zones/<zone id> and zones.copy/<zone id>, wrapped by the master key of keys.txt. Section 7.")
    fields = [
        (b"WFSZ", "magic"),
        (u16(0), "format version"),
        (ZONE, "zone id"),
        (u8(1), "count of stanzas"),
        (u8(1) + u16(92), "stanza: type, length"),
        (WRAPPED_ZONE[:32], "commitment"),
        (WRAPPED_ZONE[32:44], "nonce"),
        (WRAPPED_ZONE[44:76], "ciphertext"),
        (WRAPPED_ZONE[76:], "tag"),
    ]
    base = "zone"
    out.block(base, bytes=fields)

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    refused("a guard", "magic, zone file", at_3=b"G")
    refused("later version", "version, zone file: format version", at_4=u16(1))
    refused("no stanza", "out of bounds, zone file: count of stanzas", at_22=u8(0), cut=23)
    refused("nine stanzas", "out of bounds, zone file: count of stanzas", at_22=u8(9))
    refused("two stanzas", "invalid, zone file: count of stanzas", at_22=u8(2), append=u8(1) + u16(92) + bytes(92))
    refused("unknown type", "invalid, stanza: type", at_23=u8(2))
    refused("another length", "invalid, stanza: length", at_24=u16(91))
    refused("cut", "truncated, stanza: wrapped key", cut=117)
    out.block("a byte behind the end", like=base, append=u8(7), read_only="yes")
    refused("another zone", "authentication, zone key", at_6=u8(0xFF))
    refused("another commitment", "authentication, zone key", at_26=u8(WRAPPED_ZONE[0] ^ 1))
    refused("another tag", "authentication, zone key", at_117=u8(WRAPPED_ZONE[-1] ^ 1))
    out.write()


EVERYTHING = body(
    file_content(11, inline(b"hello world"), flags=3, chunk=16, checksum=blake3(b"hello world").digest()),
    links(link(b"a"), link(b"n" * 255), link(b"\xff\xfe", OTHER)),
    xattrs((b"user.a", b""), (b"user.b", b"value\0"), (b"user.bb", b"v" * 300)),
    b"described",
)
IN_PAYLOAD = body(file_content(50_000, payload(0, entry(1, 16_384, 2), HOLE, HOLE, entry(4, 848, 3)), flags=5))
IN_BLOCKS = body(file_content(2**40, payload(2, HOLE, entry(2, 5120, 2)), flags=4))
SYMLINK = body(content(3, (string(b"../target", 2), "target")))


def guard_accepted(out):
    def accepted(name, fields, comment=None, the_head=None, read_only=False):
        n = out.fresh()
        more = {"read_only": "yes"} if read_only else {}
        out.block(name, comment, nonce=nonce(n), **more, body=fields, bytes=guard(fields, n, the_head))

    accepted("empty file", body(file_content(0, inline(b""))))
    accepted("empty file, suite 2", body(file_content(0, inline(b""))), the_head=head(SIV))
    accepted("file without padding", body(file_content(231, inline(b"x" * 231))), "As long as the worked example of section 8.")
    accepted("file one byte longer", body(file_content(232, inline(b"x" * 232))))
    accepted("file with everything", EVERYTHING)
    accepted("file in a payload", IN_PAYLOAD)
    accepted("file of 2^40 bytes", IN_BLOCKS)
    accepted("greatest sparse file", body(file_content(2**63 - 1, payload(7), flags=4, chunk=12)))
    accepted("directory", body(directory_content()))
    accepted("root directory", body([*directory_content(flag=1), *LINKS_STATE], links()))
    accepted("symlink", SYMLINK)
    accepted("fifo", body(content(4)))
    accepted("socket", body(content(5)))
    accepted("character device", body(content(6, (u64(0x0103), "number"))))
    accepted("block device", body(content(7, (u64(2**64 - 1), "number"))))
    accepted("two stanzas", body(content(4)), the_head=head(wraps=(WRAPPED_FILE, bytes([0x77]) * 92)))
    unknown = u16(2) + u16(1) + u32(0) + u16(0x7FFF) + string(b"ignored", 4)
    accepted("unknown extensions", changed(body(content(4)), "extensions", unknown), "Read as `fifo`; written anew without the extensions.", read_only=True)


def guard_refused(out):
    plain = body(file_content(3, inline(b"abc")))

    def refused(name, reason, fields, padding=None):
        n = out.fresh()
        out.block(name, nonce=nonce(n), bytes=joined(guard(fields, n, padding=padding)), refused=reason)

    def with_links(name, reason, *the_links, base=plain):
        refused(name, reason, changed(base, "links", links(*the_links)))

    with_links("file without a link", "out of bounds, guard body: count of links")
    with_links("directory with two links", "out of bounds, guard body: count of links", link(b"a"), link(b"b"), base=body(directory_content()))
    for title, name in [("empty", b""), (".", b"."), ("..", b".."), ("with a slash", b"a/b"), ("with a NUL", b"a\0")]:
        with_links(f"name: {title}", "invalid, link: name", link(name))
    refused("more links than bytes", "truncated, guard body: links", changed(plain, "links", u16(65_000)))
    refused("type in the mode", "invalid, attributes: mode", changed(plain, "mode", u16(0o100644)))
    for which in ("access", "modification", "change", "birth"):
        refused(f"{which} time of 10^9 ns", "invalid, time: nanoseconds", changed(plain, f"{which} time", time(0, 10**9)))
    for title, reason, pairs in [
        ("descend", "invalid, extended attributes: order of names", [(b"user.b", b""), (b"user.a", b"")]),
        ("repeat", "invalid, extended attributes: order of names", [(b"user.a", b""), (b"user.a", b"")]),
        ("one without a name", "out of bounds, extended attribute: name length", [(b"", b"")]),
        ("one with a NUL", "invalid, extended attribute: NUL in a name of this length", [(b"user.\0", b"")]),
    ]:
        refused(f"extended attributes: {title}", reason, changed(plain, "extended attributes", xattrs(*pairs)))
    for kind in (0, 8, 255):
        refused(f"kind {kind}", "invalid, kind", changed(plain, "kind", u8(kind)))
    refused("unknown flag of a file", "invalid, file: flags", changed(plain, "flags", u8(8)))
    for log2 in (11, 21):
        refused(f"chunks of 2^{log2}", "out of bounds, file: log2 of the chunk size", changed(plain, "log2 of the chunk size", u8(log2)))
    refused("65,537 bytes of inline content", "out of bounds, file: size of inline content", changed(plain, "size", u64(65_537)))
    refused("size beyond the inline content", "truncated, file: inline content", changed(plain, "size", u64(500)))
    refused("size less than the inline content", "truncated, guard body: extensions", changed(plain, "size", u64(1)))
    guard_roots_refused(refused)
    directory = body(directory_content())
    refused("directory of id zero", "invalid, directory: id", body(directory_content(bytes(16))))
    refused("more directories than entries", "invalid, directory: count of directories, more than entries", body(directory_content(entries=1, subdirs=2)))
    refused("links flag of 2", "invalid, directory: links flag", changed(directory, "links follow", u8(2)))
    outside = body([*directory_content(flag=1), *LINKS_STATE])
    refused("state of guards/links outside the root", "invalid, guard body: state of guards/links outside the root", outside)
    for title, reason, target in [
        ("empty", "out of bounds, symlink target: length", b""),
        ("of 4,096 bytes", "out of bounds, symlink target: length", b"x" * 4096),
        ("with a NUL", "invalid, symlink target: NUL in a target of this length", b"a\0b"),
    ]:
        refused(f"target {title}", reason, changed(SYMLINK, "target", string(target, 2)))
    what = "guard body: extensions"
    refused("critical extension", f"unknown extension, {what}", changed(plain, "extensions", u16(1) + u16(0x8003) + u32(0)))
    refused("extension of kind 0", f"invalid, {what}", changed(plain, "extensions", u16(1) + u16(0) + u32(0)))
    refused("extension twice", f"invalid, {what}", changed(plain, "extensions", u16(2) + (u16(1) + u32(0)) * 2))
    right = -(140 + 12 + len(joined(plain)) + 16) % 512
    refused("byte in the padding", "invalid, guard body: padding", plain, bytes(right - 1) + b"\1")
    refused("a step of padding too much", "out of bounds, guard body: padding", plain, bytes(right + 512))
    whole = body(file_content(231, inline(b"x" * 231)))
    refused("a step of padding where none is due", "out of bounds, guard body: padding", whole, bytes(512))
    refused("too little padding", "invalid, guard: length", plain, bytes(right - 1))
    refused("no body", "invalid, guard: length", [(b"", "nothing")], b"")
    refused("body of zeros", "invalid, kind", [(b"", "nothing")], bytes(512 - 168))


def guard_roots_refused(refused):
    def root(name, reason, size, data, chunk=14):
        refused(f"root: {name}", reason, body(file_content(size, data, flags=4, chunk=chunk)))

    one = entry(1, 5, 2)
    root("height 8", "out of bounds, index root: height", 2**62, payload(8))
    root("65 entries", "out of bounds, index root: count", 2**62, payload(0, *[one] * 65))
    root("more entries than chunks", "out of bounds, index root: count, by the file's size", 16_384, payload(0, one, one))
    root("entry in an empty file", "out of bounds, index root: count, by the file's size", 0, payload(0, one))
    root("hole at the end", "invalid, index root: hole at the end, count", 50_000, payload(0, one, HOLE))
    root("entry without flag 2", "invalid, frame head: flags", 5, payload(0, entry(1, 5, 0)))
    root("entry of an unknown flag", "invalid, frame head: flags", 5, payload(0, entry(1, 5, 130)))
    root("bound entry that is not announced", "invalid, guard body: a bound entry, not announced", 5, payload(0, entry(1, 5, 66)))
    root("bound block", "invalid, index entry of a block: bound", 5, payload(1, entry(1, 5120, 66)))
    root("length without flags or tag", "invalid, frame head: flags", 5, payload(0, entry(0, 5, 0)))
    root("stored length 0", "out of bounds, frame head: stored length", 5, payload(0, entry(1, 0, 2)))
    root("stored length beyond the chunk", "out of bounds, frame head: stored length", 5, payload(0, entry(1, 4097, 2)), 12)
    root("block of another length", "invalid, index entry of a block: stored length", 5, payload(1, entry(1, 5119, 2)))
    root("compressed block", "invalid, index entry of a block: compressed", 5, payload(1, entry(1, 5120, 3)))
    root("size of 2^63", "out of bounds, file: size", 2**63, payload(0))


def with_origins(fields, *extension):
    """The body with one extension, that of origins; what is in it is as given."""
    inside = joined(extension)
    at = [what for _, what in fields].index("extensions")
    return [*fields[:at], (u16(1) + u16(0x8001) + u32(len(inside)), "extensions: one, origins, length"), *extension, *fields[at + 1 :]]


def with_extensions(fields, *extensions):
    """The body with these extensions, each a kind and its bytes."""
    area = u16(len(extensions)) + b"".join(u16(kind) + u32(len(inside)) + inside for kind, inside in extensions)
    return changed(fields, "extensions", area)


def guard_origins(out):
    one, two = origin(0x11, "one"), origin(0x22, "two")
    own = body(file_content(50_000, payload(0, entry(1, 16_384, 2), entry(2, 16_384, 6), HOLE, entry(4, 848, 11)), flags=4))
    for title, fields in [
        ("file of two origins", with_origins(own, (u8(2), "count of origins"), *one, *two)),
        ("inline file of an origin", with_origins(body(file_content(3, inline(b"abc"))), (u8(1), "count of origins"), *one)),
        ("file of 15 origins", with_origins(own, (u8(15), "count of origins"), *one * 15)),
    ]:
        n = out.fresh()
        out.block(title, nonce=nonce(n), body=fields, bytes=guard(fields, n))

    def refused(name, reason, fields):
        n = out.fresh()
        out.block(name, nonce=nonce(n), bytes=joined(guard(fields, n)), refused=reason)

    refused("no origins", "invalid, guard body: count of origins", with_origins(own, (u8(0), "")))
    refused("16 origins", "out of bounds, count of origins", with_origins(own, (u8(16), ""), *one * 16))
    refused("more origins than bytes", "truncated, origins", with_origins(own, (u8(2), ""), *one))
    refused("fewer origins than bytes", "trailing, guard body: origins", with_origins(own, (u8(1), ""), *one, *two))
    refused("origins of a directory", "invalid, guard body: origins of what is no file", with_origins(body(directory_content()), (u8(1), ""), *one))
    of_origin = body(file_content(5, payload(1, entry(1, 5120, 6)), flags=4))
    refused("block of an origin", "invalid, index entry of a block: origin", of_origin)
    refused("another critical extension", "unknown extension, guard body: extensions", changed(own, "extensions", u16(1) + u16(0x8003) + u32(0)))
    # Entries that are bound.
    told = body(file_content(50_000, payload(0, entry(1, 16_384, 66), entry(2, 16_384, 70), HOLE, entry(4, 848, 11)), flags=4))
    two_origins, bound = (0x8001, u8(2) + joined([*one, *two])), (0x8002, b"")
    for title, fields in [
        ("file of two origins, bound", with_extensions(told, two_origins, bound)),
        ("inline file, bound", with_extensions(body(file_content(3, inline(b"abc"))), bound)),
    ]:
        n = out.fresh()
        out.block(title, nonce=nonce(n), body=fields, bytes=guard(fields, n))
    refused("bound entries that are not announced", "invalid, guard body: a bound entry, not announced", with_extensions(told, two_origins))
    refused("bound entries of a directory", "invalid, guard body: bound entries of what is no file", with_extensions(body(directory_content()), bound))
    refused("bytes in the extension of bound entries", "trailing, guard body: bound", with_extensions(told, two_origins, (0x8002, u8(0))))


def guard_file():
    out = Vectors("guard", "Guards, under the file key of keys.txt. Section 8.", "The refused ones with a nonce are sealed well: what is wrong is inside.")
    guard_accepted(out)
    base = "empty file"

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    whole = joined(guard(body(file_content(0, inline(b""))), 0x21))
    refused("an alias", "magic, guard", at_3=b"A")
    refused("later version", "version, guard: format version", at_4=u16(1))
    refused("suite 0", "invalid, guard: suite", at_6=u8(0))
    refused("suite 3", "invalid, guard: suite", at_6=u8(3))
    refused("the other suite", "authentication, guard", at_6=u8(2))
    refused("a flag", "invalid, guard: flags", at_7=u8(1))
    refused("another file", "authentication, guard", at_8=u8(0xFF))
    refused("another zone", "authentication, guard", at_24=u8(0xFF))
    refused("no stanza", "out of bounds, guard: count of stanzas", at_40=u8(0))
    refused("nine stanzas", "out of bounds, guard: count of stanzas", at_40=u8(9))
    refused("unknown type of stanza", "invalid, stanza: type", at_41=u8(2))
    refused("another length of stanza", "invalid, stanza: length", at_42=u16(93))
    refused("another wrap", "authentication, guard", at_44=u8(WRAPPED_FILE[0] ^ 1))
    refused("sealed length too small", "invalid, guard: length", at_136=u32(343))
    refused("sealed length too great", "truncated, guard: tag", at_136=u32(345))
    refused("sealed length of 4 GiB", "truncated, guard: ciphertext", at_136=u32(2**32 - 1))
    refused("another nonce", "authentication, guard", at_140=u8(whole[140] ^ 1))
    refused("another ciphertext", "authentication, guard", at_152=u8(whole[152] ^ 1))
    refused("another tag", "authentication, guard", at_511=u8(whole[511] ^ 1))
    refused("cut", "truncated, guard: tag", cut=511)
    refused("empty", "truncated, guard", cut=0)
    out.block("a byte behind the end", like=base, append=u8(0), read_only="yes", body=body(file_content(0, inline(b""))))
    guard_refused(out)
    guard_origins(out)
    out.write()


def alias_fields(name, n=None, suite=GCM, kind=1, padding=None, directory=DIR):
    clear = [(b"WFSA", "magic"), (u16(0), "format version"), (u8(suite), "suite"), (u8(0), "flags")]
    plain = FILE + u8(kind) + string(name, 1)
    plain += bytes(476 - len(plain)) if padding is None else padding
    key = derive(ZONE_KEY, "wardfs alias", directory, u8(suite))
    bound = VAULT + directory + joined(clear)
    hashed = blake3(bound + plain, key=derive(ZONE_KEY, "wardfs alias nonce", directory)).digest()[:12]
    chosen = hashed if n is None else nonce(n)
    sealed = seal(suite, key, chosen, plain, bound)
    return [*clear, (chosen, "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]


def alias_file():
    out = Vectors("alias", "Aliases in the directory of keys.txt. Section 9.")
    base = "short name"
    for title, name, suite, kind in [(base, b"n", GCM, 1), ("longest name, suite 2, a fifo", b"n" * 255, SIV, 4)]:
        out.block(title, directory=DIR, file=FILE, kind=kind, plain=name, bytes=alias_fields(name, None, suite, kind))
    n = out.fresh()
    out.block("a nonce of the writer's choice", read_only="yes", directory=DIR, file=FILE, kind=1, plain=b"n", bytes=alias_fields(b"n", n))

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    whole = joined(alias_fields(b"n"))
    refused("a guard", "magic, alias", at_3=b"G")
    refused("later version", "version, alias: format version", at_4=u16(1))
    refused("suite 3", "invalid, alias: suite", at_6=u8(3))
    refused("the other suite", "authentication, alias", at_6=u8(2))
    refused("a flag", "invalid, alias: flags", at_7=u8(1))
    refused("another nonce", "authentication, alias", at_8=u8(whole[8] ^ 1))
    refused("another ciphertext", "authentication, alias", at_20=u8(whole[20] ^ 1))
    refused("another tag", "authentication, alias", at_511=u8(whole[511] ^ 1))
    refused("cut", "truncated, alias: tag", cut=511)
    out.block("a byte behind the end", like=base, append=u8(0), read_only="yes")
    out.block("another directory", like=base, directory=OTHER, refused="authentication, alias")
    for title, reason, fields in [
        ("kind 0", "invalid, alias: kind", {"name": b"n", "kind": 0}),
        ("empty name", "invalid, alias: name", {"name": b""}),
        ("name with a slash", "invalid, alias: name", {"name": b"a/b"}),
        ("byte in the padding", "invalid, alias: padding", {"name": b"n", "padding": bytes(456) + b"\1"}),
    ]:
        n = out.fresh()
        out.block(title, nonce=nonce(n), bytes=joined(alias_fields(n=n, **fields)), refused=reason)
    out.write()


def frame_file():
    out = Vectors("frame", "Frames of chunks of 16,384 bytes, under the file key of keys.txt. Section 10.", "`plain` is what the ciphertext opens to.")
    lz4 = bytes.fromhex("1f61010 0ff14506161616161".replace(" ", ""))
    for title, index, plain, flags in [
        ("raw", 0, b"a chunk may be short", 2),
        ("raw, of one byte", 1, b"x", 2),
        ("compressed, 300 times the letter a", 2**40, u32(300) + lz4, 3),
    ]:
        n = out.fresh()
        clear = u24(len(plain)) + u8(flags)
        bound = u16(0) + u8(GCM) + VAULT + FILE + PAYLOAD + u64(index) + clear
        sealed = seal(GCM, derive(FILE_KEY, "wardfs chunk", u8(GCM)), nonce(n), plain, bound)
        frame = [(clear, "stored length, flags"), (nonce(n), "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]
        out.block(title, payload=PAYLOAD, index=index, associated_data=bound, plain=plain, entry=sealed[-16:] + clear, bytes=frame)
    for title, head_bytes, reason in [
        ("zeros", bytes(4), "invalid, frame head: flags"),
        ("without flag 2", u24(5) + u8(1), "invalid, frame head: flags"),
        ("unknown flag", u24(5) + u8(66), "invalid, frame head: flags"),
        ("another unknown flag", u24(5) + u8(130), "invalid, frame head: flags"),
        ("stored length 0", u24(0) + u8(2), "out of bounds, frame head: stored length"),
        ("stored length 16,385", u24(16_385) + u8(2), "out of bounds, frame head: stored length"),
    ]:
        out.block(title, bytes=head_bytes, refused=reason)
    out.write()


def block_fields(plain, n, level, block_number, suite=GCM):
    bound = b"WFSI" + u16(0) + VAULT + FILE + PAYLOAD + u8(level) + u64(block_number)
    sealed = seal(suite, derive(FILE_KEY, "wardfs index", u8(suite)), nonce(n), plain, bound)
    return [(nonce(n), "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]


def block_slot(level, block_number):
    leaf = (block_number + 1) * 256**level - 1
    return leaf + sum(leaf // 256**i for i in range(1, 8)) + level


def index_file():
    out = Vectors("index", "Index blocks, under the file key of keys.txt. Section 11.", "`entry` is that of the block above, `offset` where the block lies.")
    leaf = entry(1, 16_384, 2) + HOLE * 100 + entry(2, 1, 3) + HOLE * 153 + entry(3, 2**20, 2)
    inner = entry(4, 5120, 2) + HOLE * 255
    base = "leaf"

    def block(title, plain, level, block_number, suite=GCM, **more):
        n = out.fresh()
        fields = block_fields(plain, n, level, block_number, suite)
        whole = joined(fields)
        more |= {"plain": plain} if "refused" not in more else {}
        refused = {"refused": more.pop("refused")} if "refused" in more else {}
        place = {"level": level, "number": block_number, "offset": block_slot(level, block_number) * 5148}
        out.block(title, suite=suite, payload=PAYLOAD, **place, nonce=nonce(n), **more, entry=whole[-16:] + u24(5120) + u8(2), bytes=fields, **refused)
        return whole

    whole = block(base, leaf, 0, 70_000)
    block("inner block", inner, 2, 0)

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    refused("another nonce", "authentication, index block", at_0=u8(whole[0] ^ 1))
    refused("another ciphertext", "authentication, index block", at_12=u8(whole[12] ^ 1))
    refused("another tag", "authentication, index block", at_5147=u8(whole[-1] ^ 1))
    refused("another tag in the entry", "authentication, index block", entry=entry(1, 5120, 2))
    refused("another payload", "authentication, index block", payload=OTHER)
    refused("another level", "authentication, index block", level=1, number=0)
    refused("another number", "authentication, index block", number=70_001)
    refused("cut", "truncated, index block", cut=5147)
    refused("a byte too many", "trailing, index block", append=u8(0))
    block("entry without flag 2", entry(1, 5, 0) + HOLE * 255, 0, 0, refused="invalid, frame head: flags")
    block("entry beyond the greatest chunk", entry(1, 2**20 + 1, 2) + HOLE * 255, 0, 0, refused="out of bounds, frame head: stored length")
    block("entry of a chunk above level 0", HOLE * 255 + entry(1, 5, 2), 1, 0, refused="invalid, index entry of a block: stored length")
    block("leaf, suite 2", leaf, 0, 70_000, SIV)
    block("inner block, suite 2", inner, 2, 0, SIV)
    block("holes alone, suite 2", HOLE * 256, 0, 2**40, SIV)
    refused("the other suite", "authentication, index block", suite=SIV)
    base = "leaf, suite 2"
    refused("the other suite, of suite 2", "authentication, index block", suite=GCM)
    for title, at in [("nonce", 0), ("ciphertext", 12), ("last byte of ciphertext", 5131), ("tag", 5147)]:
        whole = joined(block_fields(leaf, out.n - 2, 0, 70_000, SIV))
        refused(f"another {title}, suite 2", "authentication, index block", **{f"at {at}": u8(whole[at] ^ 1)})
    refused("another payload, suite 2", "authentication, index block", payload=OTHER)
    refused("another number, suite 2", "authentication, index block", number=70_001)
    block("compressed entry above level 0", entry(1, 5120, 3) + HOLE * 255, 1, 0, refused="invalid, index entry of a block: compressed")
    block("entry of an unknown flag", entry(1, 5, 130) + HOLE * 255, 0, 0, SIV, refused="invalid, frame head: flags")
    block("tag without flag 2", entry(1, 0, 0) + HOLE * 255, 0, 0, refused="invalid, frame head: flags")
    block("a stored length of 0", entry(1, 0, 2) + HOLE * 255, 0, 0, refused="out of bounds, frame head: stored length")
    hole = {"entry": HOLE, "refused": "invalid, index block: opened for a hole, number"}
    out.block("a block for a hole", like="leaf", **hole)
    out.write()


def record_file():
    out = Vectors("record", "Records as they lie in a journal frame. Section 12.")
    now, node = (time(1_700_000_000, 5), "time"), (FILE, "file id")
    name = (string(b"name", 1), "name")
    place = [(u8(2), "place: entry"), (DIR, "directory id"), name]
    born = [node, (ZONE, "zone id"), (FILE_KEY, "file key"), *ATTRIBUTES]
    checked = file_content(11, inline(b"hello world"), flags=3, chunk=16, checksum=blake3(b"hello world").digest())

    def new(title, kind_and_content, attributes=xattrs()):
        return title, 2, [*born, (attributes, "extended attributes"), *kind_and_content]

    def write(offset, data):
        return [node, (u64(offset), "offset"), now, (string(data, 4), "bytes")]

    def chunks(first, entries, size):
        numbers = [(u64(first), "first chunk"), (u64(size), "size"), now, (u32(len(entries)), "count")]
        return [node, (PAYLOAD, "payload id"), *numbers, *[(data, f"entry {i}") for i, data in enumerate(entries)]]

    def bound(first, entries):
        numbers = [(u64(first), "first chunk"), (u32(len(entries)), "count")]
        return [node, (PAYLOAD, "payload id"), *numbers, *[(data, f"entry {i}") for i, data in enumerate(entries)]]

    def xattr(key, rest):
        return [node, (string(key, 1), "name"), *rest, now]

    setting = [(u8(1), "set"), (string(b"value", 4), "value")]
    for title, kind, fields in [
        ("touch the root", 1, [node, (u8(0), "place: guards/root")]),
        ("touch a linked file", 1, [node, (u8(1), "place: guards/links")]),
        ("touch an entry", 1, [node, *place]),
        new("new empty file", file_content(0, inline(b""))),
        new("new file with everything", checked, xattrs((b"user.a", b""), (b"user.b", b"value\0"))),
        new("new file in a payload", file_content(50_000, payload(0, entry(1, 16_384, 2), HOLE, HOLE, entry(4, 848, 3)), flags=5)),
        new("new directory", directory_content()),
        new("new symlink", content(3, (string(b"../target", 2), "target"))),
        new("new fifo", content(4)),
        new("new socket", content(5)),
        new("new character device", content(6, (u64(0x0103), "number"))),
        new("new block device", content(7, (u64(0x0800), "number"))),
        ("link", 3, [(OTHER, "file id of the directory"), name, node, now]),
        ("unlink", 4, [(OTHER, "file id of the directory"), name, now]),
        ("attributes", 5, [node, *ATTRIBUTES]),
        ("set an extended attribute", 6, xattr(b"user.a", setting)),
        ("drop an extended attribute", 6, xattr(b"user.a", [(u8(0), "dropped")])),
        ("size", 7, [node, (u64(2**63 - 1), "size"), now]),
        ("write", 8, write(4096, b"bytes written")),
        ("write at the end of the greatest file", 8, write(2**63 - 2, b"x")),
        ("payload", 9, [node, (PAYLOAD, "payload id")]),
        ("chunks", 10, chunks(7, [entry(1, 16_384, 2), HOLE, entry(2, 1, 3)], 150_000)),
        ("punch", 11, [node, (u64(4096), "offset"), (u64(2**40), "length"), now]),
        ("orphans", 12, [(u32(2), "count"), (PAYLOAD, "payload id"), (OTHER, "payload id")]),
        ("key", 13, [node, (FILE_KEY, "file key")]),
        ("origins", 14, [node, (u8(2), "count of origins"), *origin(0x11, "one"), *origin(0x22, "two")]),
        ("no origins", 14, [node, (u8(0), "count of origins")]),
        ("bound", 15, bound(7, [entry(1, 16_384, 66), entry(2, 1, 67)])),
    ]:
        out.block(title, bytes=[(u8(kind), "type"), *fields])

    def refused(title, reason, kind, fields):
        out.block(title, bytes=u8(kind) + joined(fields), refused=reason)

    refused("type 0", "invalid, record: type", 0, [node])
    refused("type 16", "invalid, record: type", 16, [node])
    refused("bound entries of which one is not", "invalid, record: entries that are not bound", 15, bound(0, [entry(1, 1, 66), entry(1, 1, 2)]))
    refused("bound entries with a hole", "invalid, record: entries that are not bound", 15, bound(0, [entry(1, 1, 66), HOLE]))
    refused("bound entries past the greatest file", "out of bounds, record: end of a range of chunks", 15, bound(2**51, [entry(1, 1, 66)]))
    refused("4 G bound entries", "truncated, index entries", 15, [*bound(0, [])[:-1], (u32(2**32 - 1), "")])
    refused("16 origins", "out of bounds, count of origins", 14, [node, (u8(16), ""), *origin(0x11, "") * 16])
    refused("an origin that is cut", "truncated, origins", 14, [node, (u8(1), ""), *origin(0x11, "")[:3]])
    refused("place 3", "invalid, record: place", 1, [node, (u8(3), "")])
    refused("name ..", "invalid, record: name", 4, [node, (string(b"..", 1), ""), now])
    refused("link of no name", "invalid, link: name", 1, [node, (u8(2), ""), (link(b""), "")])
    refused("time of 10^9 ns", "invalid, time: nanoseconds", 4, [node, name, (time(0, 10**9), "")])
    refused("type in the mode", "invalid, attributes: mode", 5, [node, *changed(ATTRIBUTES, "mode", u16(0o40755))])
    refused("extended attribute without a name", "out of bounds, extended attribute: name length", 6, xattr(b"", setting))
    refused("extended attribute set to 2", "invalid, record: attribute set or dropped", 6, xattr(b"a", [(u8(2), "")]))
    long = [(u8(1), ""), (string(bytes(65_537), 4), "")]
    refused("extended attribute of 65,537 bytes", "out of bounds, extended attribute: value length", 6, xattr(b"a", long))
    refused("size of 2^63", "out of bounds, record: size", 7, [node, (u64(2**63), ""), now])
    refused("write past the greatest file", "out of bounds, end of a range of bytes", 8, write(2**63 - 2, b"xy"))
    refused("write at 2^64 - 1", "out of bounds, end of a range of bytes", 8, write(2**64 - 1, b"x"))
    refused("write of 4 GiB", "truncated, record: bytes written", 8, [node, (u64(0), ""), now, (u32(2**32 - 1), "")])
    refused("chunks past the greatest file", "out of bounds, record: end of a range of chunks", 10, chunks(2**51, [HOLE], 0))
    refused("chunk beyond 2^20", "out of bounds, frame head: stored length", 10, chunks(0, [entry(1, 2**20 + 1, 2)], 0))
    refused("chunk without flag 2", "invalid, frame head: flags", 10, chunks(0, [entry(1, 1, 1)], 0))
    refused("size of 2^63 after chunks", "out of bounds, record: size", 10, chunks(0, [], 2**63))
    refused("4 G chunks", "truncated, index entries", 10, [*chunks(0, [], 0)[:-1], (u32(2**32 - 1), "")])
    refused("punch past the greatest file", "out of bounds, end of a range of bytes", 11, [node, (u64(1), ""), (u64(2**63 - 1), ""), now])
    refused("4 G orphans", "truncated, record: payloads", 12, [(u32(2**32 - 1), "")])
    refused("new node of kind 8", "invalid, kind", 2, new("", [(u8(8), "")])[2])
    refused("new file of another size", "truncated, file: inline content", 2, new("", file_content(4, inline(b"abc")))[2])
    refused("nothing", "truncated, record: file id", 1, [])
    heavy = xattrs(*[(f"user.{n:02}".encode(), b"v" * 65_536) for n in range(16)])
    more = new("", content(4), heavy)[2]
    refused("more than 1 MiB of extended attributes", "out of bounds, extended attributes: bytes of names and values", 2, more)
    out.block("no type", bytes=b"", refused="truncated, record: type")
    out.write()


def redo_file():
    out = Vectors("redo", "Redo operations as they lie in a redo file. Section 12.")
    path, other = (string(b"guards/ab/cd", 2), "path"), (string(b"payloads/new/00", 2), "new path")
    data = (string(b"sealed", 4), "bytes")
    for title, kind, fields in [
        ("make directory", 1, [path]),
        ("put", 2, [path, data]),
        ("put nothing", 2, [path, (u32(0), "bytes")]),
        ("remove", 3, [path]),
        ("remove directory", 4, [path]),
        ("rename", 5, [path, other]),
        ("write", 6, [path, (u64(2**40), "offset"), data]),
        ("set length", 7, [path, (u64(2**63 - 1), "length")]),
        ("punch", 8, [path, (u64(4096), "offset"), (u64(8192), "length")]),
    ]:
        out.block(title, bytes=[(u8(kind), "type"), *fields])

    def refused(title, reason, kind, fields):
        out.block(title, bytes=u8(kind) + joined(fields), refused=reason)

    refused("type 0", "invalid, redo operation: type", 0, [path])
    refused("type 9", "invalid, redo operation: type", 9, [path])
    refused("type 255", "invalid, redo operation: type", 255, [path])
    refused("path that is not UTF-8", "invalid, redo operation: path of this length", 3, [(string(b"\xff", 2), "")])
    refused("path of 1,025 bytes", "out of bounds, redo operation: length of a path", 3, [(string(b"x/" * 512 + b"x", 2), "")])
    refused("path past the end", "truncated, redo operation: path", 3, [(u16(5) + b"abcd", "")])
    refused("put of 4 GiB", "truncated, redo operation: bytes", 2, [path, (u32(2**32 - 1), "")])
    refused("write past 2^63 - 1", "out of bounds, end of a range of bytes", 6, [path, (u64(2**63 - 6), ""), data])
    refused("length of 2^63", "out of bounds, redo operation: length", 7, [path, (u64(2**63), "")])
    refused("punch past 2^63 - 1", "out of bounds, end of a range of bytes", 8, [path, (u64(2**63 - 1), ""), (u64(1), "")])
    refused("rename to nowhere", "truncated, redo operation: path", 5, [path])
    out.block("no type", bytes=b"", refused="truncated, redo operation: type")
    out.write()


def sealed_frame(text, n, index, flags, suite=GCM):
    clear = u24(len(text)) + u8(flags)
    bound = u16(0) + u8(suite) + VAULT + FILE + PAYLOAD + u64(index) + clear
    sealed = seal(suite, derive(FILE_KEY, "wardfs chunk", u8(suite)), nonce(n), text, bound)
    frame = [(clear, "stored length, flags"), (nonce(n), "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]
    return frame, sealed[-16:] + clear


def chunk_file():
    out = Vectors("chunk", "Chunks of 16,384 bytes with their index entries, opened. Section 10.", "`plain` is the chunk without the zeros at its end.")
    lz4 = bytes.fromhex("1f610100ff14506161616161")
    packed = u32(300) + lz4
    for title, text, plain, flags, suite in [
        ("raw", b"a chunk may be short", b"a chunk may be short", 2, GCM),
        ("raw, suite 2", b"a chunk may be short", b"a chunk may be short", 2, SIV),
        ("raw, whole", bytes(range(256)) * 64, bytes(range(256)) * 64, 2, SIV),
        ("compressed", packed, b"a" * 300, 3, GCM),
        ("compressed, suite 2", packed, b"a" * 300, 3, SIV),
    ]:
        frame, leads = sealed_frame(text, out.fresh(), 2**33, flags, suite)
        out.block(title, suite=suite, payload=PAYLOAD, index=2**33, entry=leads, plain=plain, bytes=frame)
    base, whole = "raw", joined(sealed_frame(b"a chunk may be short", 0x21, 2**33, 2)[0])
    tag, length = whole[-16:], u24(20)

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    sealed = "it does not authenticate"
    refused("another index", sealed, index=2**33 + 1)
    refused("another payload", sealed, payload=OTHER)
    refused("the other suite", sealed, suite=SIV)
    refused("another nonce", sealed, at_4=u8(whole[4] ^ 1))
    refused("another ciphertext", sealed, at_16=u8(whole[16] ^ 1))
    refused("another tag", "the frame's tag is not the one in the index", at_36=u8(whole[36] ^ 1))
    refused("another tag in the entry", "the frame's tag is not the one in the index", entry=bytes(16) + length + u8(2))
    refused("another length in the entry", "the frame's head is not the one in the index", entry=tag + u24(19) + u8(2))
    refused("compressed by the entry", "the frame's head is not the one in the index", entry=tag + length + u8(3))
    refused("compressed by the head", "the frame's head is not the one in the index", at_3=u8(3))
    refused("head without flag 2", "the frame's head is malformed", at_3=u8(0))
    refused("cut", "the frame is cut", cut=51)
    for title, reason, text in [
        ("longer than it says", "it does not decompress", u32(299) + lz4),
        ("shorter than it says", "it is shorter than it says", u32(301) + lz4),
        ("longer than a chunk", "it is longer than what is read of it", u32(16_385) + lz4),
        ("of 4 GiB", "it is longer than what is read of it", u32(2**32 - 1) + lz4),
        ("no plaintext length", "it has no length", b"abc"),
        ("cut within", "it does not decompress", packed[:-1]),
        ("match before the start", "it does not decompress", u32(300) + bytes.fromhex("1f610200ff14506161616161")),
    ]:
        frame, leads = sealed_frame(text, out.fresh(), 2**33, 3)
        out.block(title, suite=GCM, payload=PAYLOAD, index=2**33, entry=leads, bytes=frame, refused=reason)
    # A file of two origins: frames of either, and of its own.
    list_of_origins = (u8(2), "count of origins"), *origin(0x11, "one"), *origin(0x22, "two")
    origins, text = joined(list_of_origins), b"sealed elsewhere"

    def of(key, place, flags, suite=GCM):
        n, clear = out.fresh(), u24(len(text)) + u8(flags)
        sealed = seal(suite, key, nonce(n), text, u16(0) + u8(suite) + place + u64(5) + clear)
        frame = [(clear, "stored length, flags"), (nonce(n), "nonce"), (sealed[:-16], "ciphertext"), (sealed[-16:], "tag")]
        return {"suite": suite, "payload": PAYLOAD, "index": 5, "origins": origins, "entry": sealed[-16:] + clear}, frame

    def of_origin(byte, flags, suite=GCM):
        ids = b"".join(bytes([byte + i]) * 16 for i in range(3))
        return of(bytes([byte + 3]) * 32, ids, flags, suite)

    def of_itself(count, flags):
        parts = (b"wardfs chunk after", u8(GCM), u8(count)) if count else (b"wardfs chunk", u8(GCM))
        return of(derive(FILE_KEY, parts[0].decode(), *parts[1:]), VAULT + FILE + PAYLOAD, flags)

    for title, (fields, frame) in [
        ("of origin 0", of_origin(0x11, 2)),
        ("of origin 1", of_origin(0x22, 6)),
        ("of origin 1, suite 2", of_origin(0x22, 6, SIV)),
        ("of the file itself, after two origins", of_itself(2, 10)),
    ]:
        out.block(title, **fields, plain=text, bytes=frame)
    for title, reason, (fields, frame) in [
        ("of origin 0 under the number of origin 1", sealed, of_origin(0x11, 6)),
        ("of the file itself under the number of an origin", sealed, of_itself(2, 6)),
        ("with the key of a file without origins", sealed, of_itself(0, 10)),
        ("with the key after one origin", sealed, of_itself(1, 10)),
        ("of an origin that is not there", "the file has no such origin", of_itself(3, 14)),
    ]:
        out.block(title, **fields, bytes=frame, refused=reason)

    # Entries that are bound.
    def mac(frame, index=5, payload=PAYLOAD):
        return blake3(joined(frame) + u64(index), key=derive(FILE_KEY, "wardfs bind frame", payload)).digest()[:16]

    def bound(fields_and_frame, code=None):
        fields, frame = fields_and_frame
        clear = joined(frame)[:4]
        return {**fields, "entry": (code or mac(frame)) + clear[:3] + u8(clear[3] | 64)}, frame

    def another(frame, at):
        """The frame with another byte."""
        whole = bytearray(joined(frame))
        whole[at] ^= 1
        return bytes(whole)

    for title, (fields, frame) in [
        ("of origin 0, bound", bound(of_origin(0x11, 2))),
        ("of origin 1, suite 2, bound", bound(of_origin(0x22, 6, SIV))),
        ("of the file itself, bound", bound(of_itself(0, 2))),
    ]:
        if title.startswith("of the file"):
            del fields["origins"]
        out.block(title, **fields, plain=text, bytes=frame)
    other = "the frame is not the one that the index is bound to"
    told = of_origin(0x11, 2)
    for title, frame in [("nonce", another(told[1], 4)), ("byte", another(told[1], 20)), ("tag", another(told[1], -1)), ("frame", of_origin(0x11, 2)[1])]:
        out.block(f"another {title} than the bound one", **bound(told)[0], bytes=frame, refused=other)
    for title, code in [
        ("bound as another chunk", mac(told[1], index=6)),
        ("bound in another payload", mac(told[1], payload=OTHER)),
        ("bound by its tag", told[0]["entry"][:16]),
    ]:
        out.block(title, **bound(told, code)[0], bytes=told[1], refused=other)
    out.block("its MAC in an entry that is not bound", **{**told[0], "entry": mac(told[1]) + told[0]["entry"][16:]}, bytes=told[1], refused="the frame's tag is not the one in the index")
    fields, frame = bound(of_origin(0x11, 6))
    out.block("of origin 0 under the number of origin 1, bound", **fields, bytes=frame, refused=sealed)
    out.write()


def record_of_bundle(kind, *fields):
    length = 1 + len(joined(fields))
    return [(u32(length), "length"), (u8(kind), "type"), *fields]


def bundle_file():
    out = Vectors("bundle", "Records of bundles, each with its length. Section 18.")
    name = (string(b"name", 1), "name")

    def node(*kind_and_content, linked=0, attributes=xattrs()):
        return [name, (u8(linked), "linked"), *ATTRIBUTES, (attributes, "extended attributes"), *kind_and_content]

    def sealed(size, origins, suite=GCM, log2=14):
        shape = [(u8(1), "kind: file"), (u8(1), "form: sealed"), (u64(size), "size"), (u8(suite), "suite"), (u8(log2), "log2 of the chunk size")]
        return [*shape, (u8(len(origins) // 4), "count of origins"), *origins]

    def frame(chunk, text, flags, length=None):
        head_bytes = u24(len(text) if length is None else length) + u8(flags)
        return [(u64(chunk), "chunk"), (head_bytes, "stored length, flags"), (bytes([7]) * 12, "nonce"), (text, "ciphertext"), (bytes([8]) * 16, "tag")]

    def file_of(data):
        return [(u8(1), "kind: file"), (u8(0), "form: inline"), (string(data, 4), "content")]

    two = [*origin(0x11, "one"), *origin(0x22, "two")]
    target = (string(b"../target", 2), "target")
    start = [(b"WFSB", "magic"), (u16(0), "format version"), (u16(1), "draft")]
    both = xattrs((b"user.a", b""), (b"user.b", b"value\0"))
    for title, kind, fields in [
        ("start", 1, start),
        ("empty file", 2, node(*file_of(b""))),
        ("file with everything", 2, node(*file_of(b"hello world"), linked=1, attributes=both)),
        ("sealed file", 2, node(*sealed(50_000, two))),
        ("sealed file, suite 2", 2, node(*sealed(2**63 - 1, two[:4], SIV, 20))),
        ("file of holes", 2, node(*sealed(2**40, []))),
        ("directory", 2, node((u8(2), "kind"))),
        ("symlink", 2, node((u8(3), "kind"), target)),
        ("fifo", 2, node((u8(4), "kind"))),
        ("socket", 2, node((u8(5), "kind"))),
        ("character device", 2, node((u8(6), "kind"), (u64(0x0103), "number"))),
        ("block device", 2, node((u8(7), "kind"), (u64(0x0800), "number"))),
        ("link", 3, [name, (u64(3), "number")]),
        ("frame", 4, frame(2**40, b"sealed", 7)),
        ("frame of one byte", 4, frame(0, b"x", 2)),
        ("up", 5, []),
        ("end", 6, [(u64(2**40), "nodes")]),
    ]:
        out.block(title, bytes=record_of_bundle(kind, *fields))

    def refused(title, reason, kind, fields):
        out.block(title, bytes=joined(record_of_bundle(kind, *fields)), refused=reason)

    refused("type 0", "invalid, bundle: type of a record", 0, [])
    refused("type 7", "invalid, bundle: type of a record", 7, [])
    out.block("no type", bytes=u32(0), refused="out of bounds, bundle: length of a record")
    out.block("longer than any", bytes=u32(2**21 + 1), refused="out of bounds, bundle: length of a record")
    refused("another magic", "magic, bundle", 1, changed(start, "magic", b"WFSG"))
    refused("later version", "version, bundle: format version", 1, changed(start, "format version", u16(1)))
    refused("later draft", "version, bundle: draft", 1, changed(start, "draft", u16(2)))
    refused("start with more", "trailing, bundle: record", 1, [*start, (u8(0), "")])
    for title, bad in [("empty", b""), (".", b"."), ("..", b".."), ("with a slash", b"a/b"), ("with a NUL", b"a\0")]:
        refused(f"name: {title}", "invalid, bundle: name", 3, [(string(bad, 1), ""), (u64(0), "")])
    refused("linked 2", "invalid, bundle: other names", 2, node(*file_of(b""), linked=2))
    refused("linked directory", "invalid, bundle: other names of a directory", 2, node((u8(2), ""), linked=1))
    refused("kind 8", "invalid, bundle: kind", 2, node((u8(8), "")))
    refused("form 2", "invalid, bundle: form of content", 2, node((u8(1), ""), (u8(2), "")))
    refused("65,537 bytes of content", "out of bounds, bundle: length of content", 2, node(*file_of(bytes(65_537))))
    refused("suite 3", "invalid, bundle: suite", 2, node(*sealed(1, two, 3)))
    refused("chunks of 2^21", "out of bounds, bundle: log2 of the chunk size", 2, node(*sealed(1, two, log2=21)))
    refused("size of 2^63", "out of bounds, bundle: size", 2, node(*sealed(2**63, two)))
    refused("16 origins", "out of bounds, count of origins", 2, node(*sealed(1, origin(0x11, "") * 16)))
    refused("target without a byte", "out of bounds, symlink target: length", 2, node((u8(3), ""), (u16(0), "")))
    refused("type in the mode", "invalid, attributes: mode", 2, changed(node((u8(4), "")), "mode", u16(0o100644)))
    refused("frame without flag 2", "invalid, frame head: flags", 4, frame(0, b"x", 1))
    refused("frame of an unknown flag", "invalid, frame head: flags", 4, frame(0, b"x", 66))
    refused("frame shorter than it says", "invalid, bundle: length of a frame", 4, frame(0, b"x", 2, 2))
    refused("frame longer than it says", "invalid, bundle: length of a frame", 4, frame(0, b"xyz", 2, 2))
    refused("frame without ciphertext", "invalid, bundle: length of a frame", 4, frame(0, b"", 2))
    refused("frame past the greatest file", "out of bounds, bundle: number of a chunk", 4, frame(2**51, b"x", 2))
    refused("up with more", "trailing, bundle: record", 5, [(u8(0), "")])
    refused("end that is cut", "truncated, bundle: count of nodes", 6, [(bytes(7), "")])
    out.write()


def journal_key(suite, number):
    return derive(derive(MASTER, "wardfs journal", VAULT, u8(suite)), "wardfs journal file", u64(number))


def journal_frame(purpose, number, index, content, n, suite=GCM):
    bound = purpose + u16(0) + u16(0) + VAULT + u64(number) + u64(index)
    sealed = seal(suite, journal_key(suite, number), nonce(n), content, bound)
    what = f"of frame {index}"
    return [(u32(len(content)), f"length {what}"), (nonce(n), f"nonce {what}"), (sealed[:-16], f"ciphertext {what}"), (sealed[-16:], f"tag {what}")]


def journal_file():
    out = Vectors("journal", "Journal files, under the journal key of keys.txt and their numbers. Section 12.", "`frames` is how many frames of a segment count, `closed` whether a redo file is, `stated` how many frames a file `durable` says were (0: it says nothing). `content N` is that of frame N.")
    orphans = u8(12) + u32(0)
    size = u8(7) + FILE + u64(5) + time(1_700_000_000, 5)
    first, second = u64(40) + u64(40) + orphans + size, u64(41) + u64(41) + size
    space = [(bytes(64), "space allocated ahead")]

    def segment(title, contents, number=3, suite=GCM, after=space, **result):
        numbers = [out.fresh() for _ in contents]
        each = zip(contents, numbers)
        fields = [field for index, (content, n) in enumerate(each) for field in journal_frame(b"WLOG", number, index, content, n, suite)]
        told = {f"content {i}": content for i, content in enumerate(contents)}
        nonces = {f"nonce {i}": nonce(n) for i, n in enumerate(numbers)}
        out.block(title, number=number, suite=suite, **nonces, **told, bytes=[*fields, *after], **result)
        return joined(fields)

    base = "two frames"
    whole = segment(base, [first, second], frames=2)
    segment("suite 2", [first, second], suite=SIV, frames=2)
    segment("no frame", [], frames=0)
    at = len(first) + 32

    def like(name, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()})

    gone = "frames that were durable are gone"
    like("torn second frame", **{f"at {len(whole) - 1}": u8(whole[-1] ^ 1)}, frames=1)
    like("cut second frame", cut=len(whole) - 1, refused="the segment was cut off")
    like("cut behind the first frame", cut=at, frames=1)
    replaced = "something else lies in its place"
    like("torn first frame", **{f"at {at - 4}": bytes(4)}, refused=gone)
    like("changed first frame", at_4=u8(whole[4] ^ 1), refused=replaced)
    like("first length beyond the longest", at_0=u32(2**26 + 1), refused=replaced)
    like("another number", number=4, refused=replaced)
    like("the other suite", suite=SIV, refused=replaced)
    like("length 0", **{f"at {at}": u32(0)}, frames=1)
    like("length beyond the longest", **{f"at {at}": u32(2**26 + 1)}, frames=1)
    like("length of 4 GiB", **{f"at {at}": u32(2**32 - 1)}, frames=1)
    like("second frame twice", append=whole[at:], **{f"at {len(whole)}": bytes(64)}, frames=2)
    segment("sequence that does not follow", [first, u64(42) + u64(40) + size], frames=1)
    segment("more durable than there is", [first, u64(41) + u64(43) + size], refused=gone)
    segment("content shorter than its head", [bytes(15)], refused="it is shorter than its head")
    segment("a record that does not decode", [u64(40) + u64(40) + u8(14)], refused="a record does not decode")
    segment("a record that is cut", [first[:-1]], refused="a record does not decode")

    put = u8(2) + string(b"guards/root", 2) + string(b"sealed", 4)
    remove = u8(3) + string(b"guards/ab/cd", 2)

    def redo(title, contents, purpose=b"WRDO", start=0, suite=GCM, **result):
        numbers = [out.fresh() for _ in contents]
        each = enumerate(zip(contents, numbers))
        fields = [field for index, (content, n) in each for field in journal_frame(purpose, 3, index + start, content, n, suite)]
        told = {f"content {i}": content for i, content in enumerate(contents)}
        nonces = {f"nonce {i}": nonce(n) for i, n in enumerate(numbers)}
        misplaced = {"misplaced": "yes"} if start or purpose != b"WRDO" else {}
        out.block(title, redo="yes", number=3, suite=suite, **misplaced, **nonces, **told, bytes=fields, **result)

    closed = [put + remove, put, u8(255)]
    redo("closed redo file", closed, closed="yes")
    redo("closed at once", [u8(255)], closed="yes")
    redo("frames after the close", [put, u8(255), remove], closed="yes")
    redo("not closed", closed[:2], closed="no")
    redo("closed by frames of a segment", closed, purpose=b"WLOG", closed="no")
    redo("frames at other places", closed, start=1, closed="no")
    redo("two closing bytes", [put, bytes([255, 255])], refused="an operation does not decode", closed="no")
    redo("an operation that does not decode", [put[:-1], u8(255)], refused="an operation does not decode", closed="yes")
    redo("closed redo file, suite 2", closed, suite=SIV, closed="yes")
    redo("cut by a frame, suite 2", closed[:1], suite=SIV, closed="no")
    segment("second frame without records", [first, u64(41) + u64(41)], frames=2)

    def stated(title, content, number=3, bound_to=3, suite=GCM, purpose=b"WDUR", **result):
        n = out.fresh()
        fields = [(u64(number), "number of the segment"), *journal_frame(purpose, bound_to, 0, content, n, suite)]
        misplaced = {"misplaced": "yes"} if bound_to != number or purpose != b"WDUR" else {}
        out.block(title, durable="yes", number=number, suite=suite, **misplaced, **{"nonce 0": nonce(n), "content 0": content}, bytes=fields, **result)

    stated("two frames are durable", u64(2), stated=2)
    stated("two frames are durable, suite 2", u64(2), suite=SIV, stated=2)
    stated("no frame is durable", u64(0), stated=0)
    stated("durable, in seven bytes", bytes([2, 0, 0, 0, 0, 0, 0]), stated=0)
    stated("durable of another segment", u64(2), bound_to=4, stated=0)
    stated("durable, as a frame of the segment", u64(2), purpose=b"WLOG", stated=0)
    out.write()


# Section 17: streams.

STREAM, LOCK, STREAM_KEY = bytes(range(0x10, 0x20)), bytes(range(0x80, 0xA0)), bytes(range(0xA0, 0xC0))
VAULT_LOCK = derive(MASTER, "wardfs vault streams", VAULT)


def stream_stanza(kind, lock, n, before=()):
    wrapped = wrap(lock, "wardfs wrap stream", [STREAM], STREAM_KEY, nonce(n))
    fields = [*before, (wrapped, "wrapped stream key")]
    return [(u8(kind), "type"), (u16(len(joined(fields))), "length"), *fields]


def stream_costs(memory=MEMORY_KIB, passes=PASSES, lanes=LANES):
    return [(u64(memory), "memory"), (u64(passes), "passes"), (u64(lanes), "lanes"), (SALT, "salt")]


def stream_header(stanzas, chunk=12, flags=0, suite=SIV, count=None, length=None):
    each = [field for stanza in stanzas for field in stanza]
    fields = [
        (b"\x89WARDST\n", "magic"),
        (u16(0), "format version"),
        (u16(STREAM_DRAFT), "draft"),
        (u16(34 + len(joined(each)) + 32 if length is None else length), "length of the header"),
        (u8(suite), "suite"),
        (u8(chunk), "log2 of the chunk size"),
        (u8(flags), "flags"),
        (u8(len(stanzas) if count is None else count), "count of stanzas"),
        (STREAM, "stream id"),
        *each,
    ]
    mac = blake3(joined(fields), key=derive(STREAM_KEY, "wardfs stream header")).digest()
    return [*fields, (mac, "MAC")]


def stream_seal(shape, number, kind, detail, text, head=b""):
    key = derive(STREAM_KEY, "wardfs stream part", bytes(shape))
    return seal(SIV, key, u64(number) + u8(kind) + u8(detail) + bytes(2), text, head)


def stream_frames(plain, chunk=12):
    size = 1 << chunk
    chunks = [plain[at : at + size] for at in range(0, len(plain), size)] or [b""]
    fields = []
    for index, text in enumerate(chunks):
        sealed = stream_seal((SIV, chunk, 0), index, 1, index == len(chunks) - 1, text)
        fields += [(sealed[:-16], f"ciphertext of chunk {index}"), (sealed[-16:], f"tag of chunk {index}")]
    return fields


def framed(kind, number, nonce_kind, detail, text, what):
    head = u24(len(text)) + u8(kind)
    sealed = stream_seal((SIV, 12, 1), number, nonce_kind, detail, text, head)
    return [(head, f"length and kind, {what}"), (sealed[:-16], f"ciphertext, {what}"), (sealed[-16:], f"tag, {what}")]


def lz4_run(byte, count):
    """An LZ4 block of one byte so many times, 24 or more."""
    rest = count - 1 - 5 - 4 - 15
    return u32(count) + bytes([0x1F]) + byte + u16(1) + bytes([255] * (rest // 255) + [rest % 255]) + b"\x50" + byte * 5


def packed_stream(texts, plain_len, chunks=None, shift=0, after=b"", top=None):
    """A compressed stream: `texts` are kinds and what is sealed of each chunk."""
    fields = stream_header([stream_stanza(1, LOCK, 0x31)], flags=1)
    positions = []
    for index, (kind, text) in enumerate(texts):
        positions.append(len(joined(fields)) + shift)
        fields += framed(kind, index, 1, int(kind >= 3), text, f"chunk {index}")
    at = len(joined(fields))
    fields += framed(5, 0, 2, 0, b"".join(u64(position) for position in positions), "block 0 of level 0")
    end = u64(plain_len) + u64(len(texts) if chunks is None else chunks) + u64(at if top is None else top)
    fields += framed(6, len(joined(fields)), 3, 0, end, "end")
    return [*fields, (after, "")] if after else fields


def stream_file():
    out = Vectors("stream", "Streams, whole. Section 17.", "`lock` opens a stanza of type 1, `passphrase` one of type 2, `vault` and `master key` one of type 3.", "`refused` is in the message of a reader that goes forward, `seeking` in that of one that looks at the end first, where", "that is another.")
    key = [stream_stanza(1, LOCK, 0x31)]
    text = b"a stream may be short"
    base = "key"
    out.block(base, lock=LOCK, stream_key=STREAM_KEY, plain=text, bytes=[*stream_header(key), *stream_frames(text)])
    out.block("empty", lock=LOCK, plain=b"", bytes=[*stream_header(key), *stream_frames(b"")])
    whole = bytes([0x61]) * 4096
    out.block("one whole chunk", lock=LOCK, plain=whole, bytes=[*stream_header(key), *stream_frames(whole)])
    longer = whole + b"b"
    out.block("two chunks", lock=LOCK, plain=longer, bytes=[*stream_header(key), *stream_frames(longer)])
    out.block("larger chunks", lock=LOCK, plain=longer, bytes=[*stream_header(key, chunk=18), *stream_frames(longer, 18)])
    passphrase = [stream_stanza(2, SLOT_KEY, 0x32, stream_costs())]
    out.block("passphrase", passphrase=PASSPHRASE, plain=text, bytes=[*stream_header(passphrase), *stream_frames(text)])
    vault = [stream_stanza(3, VAULT_LOCK, 0x33, [(VAULT, "vault id")])]
    out.block("vault", vault=VAULT, master_key=MASTER, plain=text, bytes=[*stream_header(vault), *stream_frames(text)])
    three = [*passphrase, *vault, *key]
    out.block("three stanzas", lock=LOCK, passphrase=PASSPHRASE, plain=text, bytes=[*stream_header(three), *stream_frames(text)])
    run = lz4_run(b"a", 4096)
    noise = bytes(range(256)) * 16
    good = [(2, run), (1, noise), (4, lz4_run(b"b", 300))]
    plain = whole + noise + b"b" * 300
    out.block("compressed", lock=LOCK, plain=plain, bytes=packed_stream(good, len(plain)))
    out.block("compressed, last chunk as it is", lock=LOCK, plain=whole + text, bytes=packed_stream([(2, run), (3, text)], 4096 + len(text)))
    out.block("compressed, empty", lock=LOCK, plain=b"", bytes=packed_stream([(3, b"")], 0))

    def refused(name, reason, **changes):
        out.block(name, like=base, **{key.replace("at_", "at "): value for key, value in changes.items()}, refused=reason)

    def unsound(name, reason, fields, **more):
        out.block(name, lock=LOCK, bytes=fields, refused=reason, **more)

    end = "its end does not authenticate"
    magic = "stream does not start with its magic number"
    refused("another magic", magic, at_0=b"\x88")
    refused("a vault's magic", magic, at_0=b"\x89WARDFS\n")
    refused("later version", "stream header: format version is 1", at_8=u16(1))
    refused("another draft", "stream header: draft of format version 0 is 2", at_10=u16(2))
    refused("no bytes", "stream header: magic is cut", cut=0)
    refused("cut within the header", "stream header is cut", cut=100)
    refused("header too short", "stream header: length is 160", at_12=u16(160))
    refused("header too long", "stream header: length is 1275", at_12=u16(1275))
    refused("header longer than its stanzas", "stream header has 1 bytes past its end", at_12=u16(162))
    refused("suite 1", "stream header: suite has the invalid value 1", at_14=u8(1))
    refused("suite 3", "stream header: suite has the invalid value 3", at_14=u8(3))
    refused("chunks too small", "stream header: log2 of the chunk size is 11", at_15=u8(11))
    refused("chunks too large", "stream header: log2 of the chunk size is 19", at_15=u8(19))
    refused("unknown flag", "stream header: flags has the invalid value 2", at_16=u8(2))
    refused("no stanza", "stream header: count of stanzas is 0", at_17=u8(0))
    refused("nine stanzas", "stream header: count of stanzas is 9", at_17=u8(9))
    refused("unknown stanza", "stream stanza: type has the invalid value 4", at_34=u8(4))
    refused("stanza past the end", "stream stanza is cut", at_35=u16(93))
    refused("stanza too short", "stream stanza: wrapped key is cut", at_35=u16(91))
    refused("another key", "wrong key", lock=STREAM_KEY)
    refused("another stream id", "wrong key", at_18=OTHER)
    refused("another MAC", "wrong key", at_129=bytes(32))
    refused("a flag that was set", "wrong key", at_16=u8(1))
    refused("another chunk size", "wrong key", at_15=u8(13))
    refused("no key", "it is not locked with a passphrase", lock=b"", passphrase=PASSPHRASE)
    refused("no frame", "the stream is cut", cut=161, seeking=end)
    refused("cut within a tag", "the stream is cut", cut=161 + 15, seeking=end)
    refused("cut by a byte", "chunk 0 is damaged", cut=161 + len(text) + 15)
    refused("a byte more", "chunk 0 is damaged", append=b"\0")
    for title, costs, told in [
        ("memory of 2^60 KiB", {"memory": 2**60}, "KDF memory in KiB is 1152921504606846976"),
        ("2^60 passes", {"passes": 2**60}, "KDF time is 1152921504606846976"),
        ("no lanes", {"lanes": 0}, "count of KDF lanes is 0"),
    ]:
        stanza = stream_stanza(2, SLOT_KEY, 0x32, stream_costs(**costs))
        out.block(title, passphrase=PASSPHRASE, bytes=[*stream_header([stanza]), *stream_frames(text)], refused=told)
    unsound("two passphrases", "stream header: another stanza for a passphrase", [*stream_header([*passphrase, *passphrase]), *stream_frames(text)])
    frames = stream_frames(longer)
    unsound("chunks in the other order", "chunk 0 is damaged", [*stream_header(key), *frames[2:], *frames[:2]])
    unsound("cut at a border", "chunk 0 is damaged", [*stream_header(key), *frames[:2]])
    none = stream_seal((SIV, 12, 0), 1, 1, 1, b"")
    first = stream_seal((SIV, 12, 0), 0, 1, 0, whole)
    unsound("an empty chunk at the end", "chunk 1 is damaged: it is empty", [*stream_header(key), (first, "chunk 0"), (none, "chunk 1, empty")])
    unsound("no end", "the stream is cut", packed_stream(good, len(plain))[:-3])
    unsound("no index", "frame is in the place of its index", [*packed_stream(good, len(plain))[:-6], *packed_stream(good, len(plain))[-3:]], seeking=end)
    unsound("bytes after the end", "bytes follow the end of the stream", packed_stream(good, len(plain), after=b"\0"), seeking="the stream is cut")
    elsewhere = "its index leads elsewhere"
    unsound("an index that leads elsewhere", elsewhere, packed_stream(good, len(plain), shift=1), seeking="stream frame")
    unsound("another length in the end", "its end tells of another length", packed_stream(good, len(plain) - 1), seeking="its length is not what the end tells")
    unsound("another count in the end", "end of a stream: count of chunks has the invalid value 2", packed_stream(good, len(plain), chunks=2), seeking="the stream is cut")
    unsound("another top in the end", "its end tells of another length", packed_stream(good, len(plain), top=161), seeking="another kind of frame is in the place of its index")
    unsound("a short chunk before the last", "it is shorter than a chunk", packed_stream([(2, lz4_run(b"a", 4000)), (3, text)], 4096 + len(text)))
    unsound("a chunk that unpacks to more", "it is longer than what is read of it", packed_stream([(4, lz4_run(b"a", 5000))], 4096))
    unsound("a chunk that does not unpack", "it does not decompress", packed_stream([(4, run[:-1])], 4096))
    unsound("a chunk of another kind", "stream frame: kind has the invalid value 7", packed_stream([(7, text)], len(text)), seeking="stream frame: kind")
    unsound("a short chunk as it is", "stream frame: length is 21", packed_stream([(1, text), (3, text)], 4096 + len(text)), seeking="stream frame: length")
    out.write()


for make in (keys_file, wrap_file, names_file, header_file, zone_file, guard_file, alias_file, frame_file, index_file, record_file, redo_file, chunk_file, journal_file, stream_file, bundle_file):
    make()
