//! POSIX access control lists: their bytes and their rules (acl(5), POSIX.1e draft 17). Pure; what
//! is stored where is in `inherit` and `xattrs`.
//!
//! The mode of a node is the truth about three of the entries: owner, others, and the mask (or the
//! group, where there is no mask). What is stored for these is overlaid whenever a list is read, so
//! a chmod need not touch the list.

/// The list that permissions are checked against.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";

/// The list that new entries of a directory inherit.
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// The version that the kernel writes in front.
const VERSION: u32 = 2;
const ENTRY_LEN: usize = 8;
/// What entries carry that are not about one user or group.
const NO_ID: u32 = u32::MAX;
/// Read, write and execute of owner, group and others.
const PERMISSION_BITS: u16 = 0o777;

/// Whom an entry is about. The order is the one that a list must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Owner,
    User,
    OwningGroup,
    Group,
    Mask,
    Others,
}

/// Tags and their numbers.
const TAGS: [(Tag, u16); 6] = [
    (Tag::Owner, 0x01),
    (Tag::User, 0x02),
    (Tag::OwningGroup, 0x04),
    (Tag::Group, 0x08),
    (Tag::Mask, 0x10),
    (Tag::Others, 0x20),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: Tag,
    /// Three bits: read, write, execute.
    allowed: u16,
    id: u32,
}

/// A valid list: exactly one owner, owning group and others, and a mask where users or groups are
/// named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acl {
    entries: Vec<Entry>,
}

/// The bytes are not a valid list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Acl {
    /// Reads the form in which the kernel passes lists. `None` is the empty list, which stands for
    /// "no list".
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Acl>, Malformed> {
        let (version, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        if u32::from_le_bytes(*version) != VERSION || rest.len() % ENTRY_LEN != 0 {
            return Err(Malformed);
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let entries = rest
            .chunks_exact(ENTRY_LEN)
            .map(parse_entry)
            .collect::<Option<Vec<_>>>();
        let acl = Acl {
            entries: entries.ok_or(Malformed)?,
        };
        if acl.is_valid() {
            Ok(Some(acl))
        } else {
            Err(Malformed)
        }
    }

    /// The form in which the kernel wants lists.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for entry in &self.entries {
            bytes.extend(number(entry.tag).to_le_bytes());
            bytes.extend(entry.allowed.to_le_bytes());
            bytes.extend(entry.id.to_le_bytes());
        }
        bytes
    }

    /// Does it say no more than a mode can?
    pub(super) fn is_minimal(&self) -> bool {
        self.entries.len() == 3
    }

    /// The nine permission bits that it stands for; the group's are those of the mask.
    pub(super) fn mode(&self) -> u16 {
        let group = self.allowed(self.group_class());
        self.allowed(Tag::Owner) << 6 | group << 3 | self.allowed(Tag::Others)
    }

    /// What the owning group may at most, whether or not the mask in a mode is in force: the group
    /// bits of a mode under which a node can wait for its list.
    pub(super) fn mode_without_list(&self) -> u16 {
        let group = self.allowed(Tag::OwningGroup) & self.allowed(self.group_class());
        self.mode() & !0o070 | group << 3
    }

    /// The same list with the entries that the mode decides taken from there.
    pub(super) fn with_mode(mut self, mode: u16) -> Acl {
        let group_class = self.group_class();
        for entry in &mut self.entries {
            let shift = shift_of(entry.tag, group_class);
            entry.allowed = shift.map_or(entry.allowed, |shift| mode >> shift & 0o7);
        }
        self
    }

    /// The access list of a new node in a directory with this default list, made with this mode.
    /// Its own mode is that of the list plus the special bits.
    pub(super) fn inherited(&self, mode: u16) -> Acl {
        self.clone().with_mode(self.mode() & mode)
    }

    fn is_valid(&self) -> bool {
        let count = |tag| self.entries.iter().filter(|entry| entry.tag == tag).count();
        let has_named = count(Tag::User) + count(Tag::Group) > 0;
        let in_order = self.entries.is_sorted_by_key(|entry| entry.tag);
        let once = [Tag::Owner, Tag::OwningGroup, Tag::Others]
            .into_iter()
            .all(|tag| count(tag) == 1);
        in_order && once && count(Tag::Mask) <= 1 && (count(Tag::Mask) == 1 || !has_named)
    }

    /// The entry that the group bits of a mode stand for.
    fn group_class(&self) -> Tag {
        let has_mask = self.entries.iter().any(|entry| entry.tag == Tag::Mask);
        if has_mask {
            Tag::Mask
        } else {
            Tag::OwningGroup
        }
    }

    fn allowed(&self, tag: Tag) -> u16 {
        self.entries
            .iter()
            .find(|entry| entry.tag == tag)
            .map_or(0, |entry| entry.allowed)
    }
}

/// Where in a mode the bits of an entry are, if it decides them.
fn shift_of(tag: Tag, group_class: Tag) -> Option<u32> {
    match tag {
        Tag::Owner => Some(6),
        Tag::Others => Some(0),
        tag if tag == group_class => Some(3),
        _ => None,
    }
}

/// The mode of a node whose permission bits are those of a list.
pub(super) fn with_permissions(mode: u16, permissions: u16) -> u16 {
    mode & !PERMISSION_BITS | permissions & PERMISSION_BITS
}

fn parse_entry(bytes: &[u8]) -> Option<Entry> {
    let (tag, rest) = bytes.split_first_chunk()?;
    let (allowed, id) = rest.split_first_chunk()?;
    let tag = u16::from_le_bytes(*tag);
    let tag = TAGS.iter().find(|(_, number)| *number == tag)?.0;
    let allowed = u16::from_le_bytes(*allowed);
    let id = u32::from_le_bytes(id.try_into().ok()?);
    let id = if matches!(tag, Tag::User | Tag::Group) {
        id
    } else {
        NO_ID
    };
    (allowed <= 0o7).then_some(Entry { tag, allowed, id })
}

fn number(tag: Tag) -> u16 {
    TAGS.iter()
        .find(|(other, _)| *other == tag)
        .map_or(0, |(_, number)| *number)
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
