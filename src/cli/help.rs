//! The longer texts of the help. What a single option does stands with the option, in [`args`](super::args).
//!
//! Lines are wrapped to the terminal where they are shown, so a paragraph is one line here; what has a form of its own
//! is indented. Words stand in backquotes as they are typed.

/// `wardfs --help`
pub const PROGRAM: &str = "\
An encrypted file system: mount a vault, use it like any directory, lock it again.

A vault is a directory that holds only encrypted bytes. It can lie on any disk, be copied and be backed up like any other \
directory. `wardfs mount` shows its plaintext in another directory, until `wardfs unmount`.

  wardfs init ~/vault            make a vault, once
  mkdir ~/plain
  wardfs mount ~/vault ~/plain   unlock it
  wardfs unmount ~/plain         lock it";

/// `wardfs init --help`
pub const INIT: &str = "\
Make a new vault in the directory VAULT, which must be empty, or missing in a directory that exists.

The passphrase is asked for twice. It cannot be recovered: whoever loses it has lost the vault. What else is chosen here \
holds for the life of the vault.";

/// Below the options of `wardfs init --help`.
pub const INIT_EXAMPLES: &str = "\
Examples:
  wardfs init ~/vault
  wardfs init --passfile ~/key ~/vault
  wardfs init --extpass 'pass show vault' ~/vault
  wardfs init --chunk-size 64K --compress none /srv/media.vault";

/// `wardfs mount --help`
pub const MOUNT: &str = "\
Unlock VAULT and show its plaintext in the directory DIR, which must be empty and not in the vault.

The command returns when the mount can be used; a process in the background then serves it until `wardfs unmount DIR` \
(`fusermount3 -u DIR` and `umount DIR` do as well and lose nothing). Whatever goes wrong before is told by the command \
itself. Later warnings go to the system log, or in the foreground to standard error.

SIGTERM, SIGINT and SIGHUP unmount. A mount that is in use then disappears from its directory and is served until its last \
user is done; a second signal cuts them off, with everything stored that was written.";

/// Below the options of `wardfs mount --help`.
pub const MOUNT_EXAMPLES: &str = "\
Options of -o:
  ro                   allow no changes
  noexec               execute nothing that lies there
  suid, dev            let set-user-id bits, device files have effect (for root)
  allow_other          let other users in, as permissions say (see man fuse)
  default_permissions  check permissions in a mount by root for root alone, too
  acl                  POSIX access control lists
  noxattr              no extended attributes; new files are made faster
  writeback            let the kernel collect writes; small ones are faster
  shared               the vault may change from outside: caches last one second
  strict               refuse directories in which a file was put back as it was
  known=NUMBER         of how many files the kernel may know at once (100000)
  fsname=NAME          what the mount table shows instead of the vault's path

Examples:
  wardfs mount ~/vault ~/plain
  wardfs mount --idle 15m --passfile ~/key ~/vault ~/plain
  wardfs mount -o noexec,allow_other /srv/vault /srv/plain
  pass show vault | wardfs mount ~/vault ~/plain";

/// `wardfs unmount --help`
pub const UNMOUNT: &str = "\
Lock the vault that is mounted on DIR.

The command returns when everything is stored and the process that served the mount is gone: the disk can then be pulled. \
While files there are open or a shell stands in it, the mount is in use and stays; the command tells which processes those \
are.";

/// Below the options of `wardfs unmount --help`.
pub const UNMOUNT_EXAMPLES: &str = "\
Examples:
  wardfs unmount ~/plain
  wardfs unmount --lazy ~/plain";

/// `wardfs passwd --help`
pub const PASSWD: &str = "\
Change the passphrase of VAULT, mounted or not. Only a small key is encrypted anew, so this takes a moment however large the \
vault is.

Whoever has an old copy of the vault's header and the old passphrase can still open the vault: a new passphrase does not \
make up for one that leaked.

Both are asked for on the terminal. Where standard input is none, its first line is the present passphrase and its second \
the new one.";

/// Below the options of `wardfs passwd --help`.
pub const PASSWD_EXAMPLES: &str = "\
Examples:
  wardfs passwd ~/vault
  wardfs passwd --passfile old --new-passfile new ~/vault
  printf '%s\\n' \"$old\" \"$new\" | wardfs passwd ~/vault";

/// `wardfs info --help`
pub const INFO: &str = "\
Show what can be told about a vault without its passphrase, and who uses it; of a mount also which vault it shows, which \
process serves it, and its state: `read-write`, `read-only`, or `failed` and why.

What the header of a vault says is not authenticated without the passphrase. It has two copies: one that is missing, damaged or \
older is named, and restored by the next mount that may write.";

/// Below the options of `wardfs info --help`.
pub const INFO_EXAMPLES: &str = "\
Examples:
  wardfs info ~/vault
  wardfs info --json ~/plain";

/// `wardfs check --help`
pub const CHECK: &str = "\
Verify every stored byte of VAULT and how its objects fit together: both copies of the header, keys, guards, links, directories, \
every part of every file, and what nothing leads to. It finds what reading alone cannot, such as a single file that was put back \
as it once was.

Nothing is written. A vault that was not unmounted cleanly is checked as the next mount will find it. One that is mounted for \
writing is refused.

With `--repair` what can be mended is mended, and nothing is invented: damaged parts of files stay errors, the rest stays as it \
was. What no entry leads to comes into the directory `lost+found`. Whatever is replaced or removed is kept in VAULT/quarantine, \
until you remove it. Make a copy of the vault before, if you can.

Damage is told on standard output, with the names of the files that it hits. The exit code says what there is: 0 no damage, 16 \
damage, 17 there was damage and everything is there again.";

/// Below the options of `wardfs check --help`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  wardfs check ~/vault
  wardfs check --json --passfile ~/key ~/vault
  wardfs check --repair ~/vault";

/// `wardfs scrub --help`
pub const SCRUB: &str = "\
Verify every stored byte of the vault that is mounted on DIR, while it is used.

It finds what `wardfs check` finds, and tells it in the same words: damage, what was put back, what nobody leads to, and damage in \
the log of this mount. The process that serves the mount does it, no faster than `--rate` allows. This command waits for the end, \
tells what is damaged, and ends with exit code 16 if anything is; a scrub goes on if it is interrupted. `wardfs info DIR` tells how \
far it is.

It mends nothing: unmount, and use `wardfs check --repair`. On a mount to read alone the vault is verified as that mount shows it, \
and nothing is written.";

/// Below the options of `wardfs scrub --help`.
pub const SCRUB_EXAMPLES: &str = "\
Examples:
  wardfs scrub ~/plain
  wardfs scrub --json ~/plain
  wardfs scrub --background --rate 10 ~/plain
  wardfs scrub --cancel ~/plain";
/// `wardfs salvage --help`
pub const SALVAGE: &str = "\
Copy what can still be read of VAULT into the plain directory OUT, which must be empty, or missing in a directory that exists.

This is for vaults whose directories or parts of them are gone: each stored file knows its own names, so files are found \
wherever they lie, and need nothing but a copy of the header and their own stored bytes. VAULT is not written and may lie on \
a read-only medium. What a crash left in its journal is used.

A file of which a part is lost is called NAME.damaged, with zeros for what is lost, and the report names the bytes. So is one with \
bytes that are there while what said which ones belong there is lost: they were the file's once, and are perhaps old. If their key went \
along with a bundle, since the file was exported or imported, they are perhaps foreign: whoever could read that bundle could have made \
them. Everything else is whole. What lay in a directory that is gone is in OUT/lost+found. The end is told by the exit code: 0 if everything \
was recovered.

OUT holds plaintext: choose its place accordingly. It is closed to other users if it is made new. Without root, owners and devices cannot be restored.";

/// Below the options of `wardfs salvage --help`.
pub const SALVAGE_EXAMPLES: &str = "\
Examples:
  wardfs salvage ~/vault ~/saved
  wardfs salvage --json --passfile key /media/usb/vault saved > report.json";

/// `wardfs speed --help`
pub const SPEED: &str = "\
Measure how fast this machine encrypts and compresses, on one core and on all, and how long it takes to try a passphrase; \
then recommend options for `wardfs init`.

It takes some seconds, works in memory alone and needs no vault. A mount has more to do: what it reaches depends on the disk, \
and for many small files on the kernel. Where these figures are far above the disk's, they do not matter.";

/// Below the options of `wardfs speed --help`.
pub const SPEED_EXAMPLES: &str = "\
Examples:
  wardfs speed
  wardfs speed --json";
/// `wardfs cat --help`
pub const CAT: &str = "\
Print the file PATH of VAULT, without mounting it and without writing to it. This works where there is no FUSE.

Every byte was verified before it comes. No symbolic link is followed. A vault that is mounted for writing is refused: use the mount.";

/// Below the options of `wardfs cat --help`.
pub const CAT_EXAMPLES: &str = "\
Examples:
  wardfs cat ~/vault letters/one.txt
  wardfs cat --range 0-511 --passfile ~/key ~/vault disk.img | file -";

/// `wardfs ls --help`
pub const LS: &str = "\
List the directory PATH of VAULT, without mounting it and without writing to it. This works where there is no FUSE.

Names come in the order of their bytes, those of directories with a slash behind. On a terminal a name that would drive it is \
quoted and escaped; elsewhere names are as they are.";

/// Below the options of `wardfs ls --help`.
pub const LS_EXAMPLES: &str = "\
Examples:
  wardfs ls ~/vault
  wardfs ls -l ~/vault letters";

/// `wardfs get --help`
pub const GET: &str = "\
Copy the file PATH out of VAULT, without mounting it and without writing to it. This works where there is no FUSE.

OUT is there when it is whole and verified; after an error what was there before is as it was. Holes stay holes. With `-` the file \
goes to standard output, and its holes as zeros.";

/// Below the options of `wardfs get --help`.
pub const GET_EXAMPLES: &str = "\
Examples:
  wardfs get ~/vault letters/one.txt
  wardfs get --passfile ~/key ~/vault disk.img /srv/disk.img";

/// `wardfs put --help`
pub const PUT: &str = "\
Copy the file IN, or standard input, into VAULT without mounting it. This works where there is no FUSE.

The file is in the vault when it is whole and durable; until then, and after an error or a crash, what had its name still has it. \
A file that is replaced gives its owner and permissions to the new one. Holes of IN are holes in the vault.";

/// Below the options of `wardfs put --help`.
pub const PUT_EXAMPLES: &str = "\
Examples:
  wardfs put ~/vault letter.txt letters
  pg_dump shop | wardfs put --passfile ~/key ~/vault - backups/shop.sql";

/// `wardfs export --help`
pub const EXPORT: &str = "\
Take the file or folder PATH out of a vault that is not mounted, into the file BUNDLE.

The bundle is encrypted for a passphrase of its own, and needs nothing of the vault. It holds names, permissions, owners, times, \
extended attributes and hard links within the folder; holes take no space in it. `wardfs import` puts it into another vault.

Content of files beyond 8 KiB is not decrypted on the way: it is taken as it lies in the vault, with the keys that open it. What is \
written later gets other keys, so the vault must be one that can be written to. With --reseal, all content is decrypted and encrypted \
for the bundle alone, and nothing is written to the vault: for a vault that cannot be written to or is mounted to read alone, and if \
whoever is to have the passphrase of the bundle could also get at old copies of the vault, and must not read in them what these files \
held before.

The file BUNDLE is there when it is whole; after an error what was there before is as it was. Two passphrases are needed, first \
that of the vault. Each is asked for on the terminal; where standard input is no terminal, they are its next two lines.";

/// Below the options of `wardfs export --help`.
pub const EXPORT_EXAMPLES: &str = "\
Examples:
  wardfs export ~/vault photos/2026 summer.wards
  wardfs export --passfile ~/key --bundle-passfile ~/key2 ~/vault shop.db - | ssh host 'cat > shop.wards'
  wardfs export --reseal ~/vault / all.wards";

/// `wardfs import --help`
pub const IMPORT: &str = "\
Put the file or folder of a BUNDLE that `wardfs export` made into a vault that is not mounted.

PATH is a directory in the vault, which gets it under the name that it had, or the name that it is to have. What has the name \
stays, and that is an error; with --replace it goes at the moment when all is there.

It is there as a whole and durably, or not at all: a bundle that is cut, changed, or does not open leaves nothing, and so does an \
import that is killed. Content is kept as it is in the bundle, and not decrypted, if the vault has the suite of the other one; else, and \
with --reseal, it is decrypted and encrypted for this vault alone. Whoever knows the passphrase of the bundle cannot change what \
was imported.

Permissions, times, extended attributes and hard links come with it. Owners, set-id bits, devices and the attributes that only root \
may set (trusted, security) come if root does this; else everything belongs to who does it, and devices are left out.

Two passphrases are needed, first that of the vault. Each is asked for on the terminal; where standard input is no terminal and not \
the bundle, they are its next two lines.";

/// Below the options of `wardfs import --help`.
pub const IMPORT_EXAMPLES: &str = "\
Examples:
  wardfs import ~/vault summer.wards photos
  ssh host cat shop.wards | wardfs import --passfile ~/key --bundle-passfile ~/key2 ~/vault - shop.db
  wardfs import --replace ~/vault summer.wards photos";

/// `wardfs encrypt --help`
pub const ENCRYPT: &str = "\
Encrypt the file IN, or standard input, to the file OUT, or to standard output.

The result is a stream: it stands for itself, and needs nothing but the passphrase, the key file or the vault that it was locked \
with. Whoever changes or cuts it makes it an error to decrypt.

The file OUT is there when it is whole; after an error what was there before is as it was. What is no file, or an open one \
(`/dev/stdout`, `/dev/fd/3`), is written as it comes. A passphrase is asked for on the \
terminal; it is the first line of standard input where that is no terminal and not what is encrypted.";

/// Below the options of `wardfs encrypt --help`.
pub const ENCRYPT_EXAMPLES: &str = "\
Examples:
  wardfs encrypt letter.pdf letter.pdf.wards
  tar c photos | wardfs encrypt --passfile ~/key | ssh host 'cat > photos.tar.wards'
  pg_dump shop | wardfs encrypt --vault ~/vault --passfile ~/key --compress lz4 - shop.sql.wards
  head -c 32 /dev/urandom > backup.key; wardfs encrypt --key-file backup.key disk.img disk.img.wards";

/// `wardfs decrypt --help`
pub const DECRYPT: &str = "\
Decrypt what `wardfs encrypt` made.

The file OUT is there when all was verified, open to its owner alone if it is new; after an error what was there before is as it \
was. On standard output every byte was verified before it comes, but only the exit code 0 says that it was all.";

/// Below the options of `wardfs decrypt --help`.
pub const DECRYPT_EXAMPLES: &str = "\
Examples:
  wardfs decrypt letter.pdf.wards letter.pdf
  ssh host cat photos.tar.wards | wardfs decrypt --passfile ~/key | tar x
  wardfs decrypt --vault ~/vault shop.sql.wards shop.sql
  wardfs decrypt --key-file backup.key disk.img.wards disk.img";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::MountOptions;

    /// The names in the list of mount options.
    fn listed() -> Vec<&'static str> {
        let list = MOUNT_EXAMPLES
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty());
        list.flat_map(|line| line[..21].split(','))
            .map(str::trim)
            .collect()
    }

    #[test]
    fn every_mount_option_in_the_help_exists() {
        for option in listed() {
            let option = option.replace("NUMBER", "1000");
            MountOptions::parse(&option).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn every_mount_option_is_in_the_help() {
        // Destructured without a rest, so that a new option does not compile before it is added here and above.
        let MountOptions {
            read_only: _,
            allow_other: _,
            default_permissions: _,
            no_xattr: _,
            acl: _,
            writeback: _,
            shared: _,
            suid: _,
            dev: _,
            no_exec: _,
            strict: _,
            known: _,
            fs_name: _,
        } = MountOptions::default();
        assert_eq!(listed().len(), 13);
    }
}
