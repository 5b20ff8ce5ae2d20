//! The sealed part of a guard, as plaintext bytes. Sealing is in `guard`.
//!
//! `Body::check` states every bound once: decoding ends with it, and sealing a body that breaks it is a bug of the caller.
//! `Debug` is hand-written: no name, attribute, target or content is ever printed.

use super::{
    Attrs, Content, Data, DirId, Kind, Name, ORIGIN_LEN, ORIGINS_MAX, Origin, Xattrs,
    bytes::{Reader, Writer},
    error::{FormatError, valid, within},
    extension::{self, CRITICAL},
    origin, xattrs,
};
use std::fmt;
use zeroize::Zeroizing;

/// Entries that may lead to one file (ext4's limit; its guard is written anew for each).
pub const LINKS_MAX: usize = 65_000;
/// Bytes of the application's description.
pub const DESCRIPTION_LEN_MAX: usize = 255;
/// The extension that holds origins. Critical: who does not know it cannot read the file, and would lose them by writing its guard.
const ORIGINS: u16 = CRITICAL | 1;
/// The extension that says that entries of the file's index may be bound. It is empty. Critical: who does not know it would take
/// frames for damaged.
const BOUND: u16 = CRITICAL | 2;
/// What a link takes beside its name's bytes: directory id, length.
const LINK_LEN_MIN: usize = 16 + 1;

/// One entry: the id of its directory and its name there.
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Link {
    /// The directory.
    pub dir: DirId,
    /// The name in it.
    pub name: Name,
}

/// Everything that a guard keeps secret about its node.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Every entry that leads here. Empty for the root directory alone; a directory has one at most.
    pub links: Vec<Link>,
    /// Owner, permissions, times.
    pub attrs: Attrs,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// What the node is.
    pub content: Content,
    /// How many seals were made under the file's keys, this one included.
    pub seal_count: u64,
    /// Counts changes of this guard.
    pub generation: u64,
    /// A short note by the application, at most `DESCRIPTION_LEN_MAX` bytes.
    pub description: Vec<u8>,
    /// Of a file: under whose name and key the frames were sealed that it did not seal as what it is now.
    pub origins: Vec<Origin>,
    /// Of a file: entries of its index may be bound.
    pub bound: bool,
}

impl Link {
    /// dir 16 | name length u8 | name.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.raw(&self.dir.0);
        out.bytes8(self.name.as_bytes());
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Link, FormatError> {
        Ok(Link {
            dir: DirId(input.array("link: directory id")?),
            name: decode_name(input, "link: name")?,
        })
    }
}

/// length u8 | name.
pub(super) fn decode_name(input: &mut Reader<'_>, what: &'static str) -> Result<Name, FormatError> {
    let bytes = input.bytes8(what)?;
    Name::new(bytes).map_err(|_| FormatError::Invalid {
        what,
        found: bytes.len() as u64,
    })
}

impl Body {
    /// Every bound that a guard body keeps.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn check(&self) -> Result<(), FormatError> {
        let dir = self.content.kind() == Kind::Directory;
        let (min, max) = if dir { (0, 1) } else { (1, LINKS_MAX) };
        within("guard body: count of links", self.links.len(), min, max)?;
        let links_state = matches!(&self.content, Content::Directory(dir) if dir.links.is_some());
        valid(
            self.links.is_empty() || !links_state,
            "guard body: state of guards/links outside the root",
            1,
        )?;
        within(
            "guard body: length of the description",
            self.description.len(),
            0,
            DESCRIPTION_LEN_MAX,
        )?;
        valid(
            self.origins.is_empty() || self.content.kind() == Kind::File,
            "guard body: origins of what is no file",
            self.origins.len() as u64,
        )?;
        origin::check(&self.origins)?;
        self.attrs.check()?;
        xattrs::check(&self.xattrs)?;
        self.content.check()?;
        self.check_bound()
    }

    fn check_bound(&self) -> Result<(), FormatError> {
        let (is_file, has_bound) = match &self.content {
            Content::File(file) => match &file.data {
                Data::Payload { root, .. } => (true, root.has_bound()),
                Data::Inline(_) => (true, false),
            },
            _ => (false, false),
        };
        valid(
            is_file || !self.bound,
            "guard body: bound entries of what is no file",
            1,
        )?;
        valid(
            self.bound || !has_bound,
            "guard body: a bound entry, not announced",
            1,
        )
    }

    /// seal count u64 | generation u64 | attributes 58 | links | extended attributes | description | content | extensions.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.seal_count);
        out.u64(self.generation);
        self.attrs.encode(out);
        out.len16(self.links.len());
        for link in &self.links {
            link.encode(out);
        }
        xattrs::encode(&self.xattrs, out);
        out.bytes8(&self.description);
        self.content.encode(out);
        self.encode_extensions(out);
    }

    fn encode_extensions(&self, out: &mut Writer<'_>) {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + ORIGINS_MAX * ORIGIN_LEN));
        origin::encode(&self.origins, &mut Writer::new(&mut bytes));
        let all = [
            (!self.origins.is_empty()).then_some((ORIGINS, &bytes[..])),
            self.bound.then_some((BOUND, &[][..])),
        ];
        let some: Vec<_> = all.into_iter().flatten().collect();
        extension::encode(out, &some);
    }

    /// Reads what `encode` writes, and zero padding of less than `padding_step` bytes after it.
    pub(super) fn decode(bytes: &[u8], padding_step: usize) -> Result<Body, FormatError> {
        let mut input = Reader::new(bytes);
        let seal_count = input.u64("guard body: seal count")?;
        let generation = input.u64("guard body: generation")?;
        let attrs = Attrs::decode(&mut input)?;
        let links = decode_links(&mut input)?;
        let xattrs = xattrs::decode(&mut input)?;
        let description = input.bytes8("guard body: description")?.to_vec();
        let content = Content::decode(&mut input)?;
        let (origins, bound) = decode_extensions(&mut input)?;
        input.padding(padding_step - 1, "guard body: padding")?;
        let body = Body {
            links,
            attrs,
            xattrs,
            content,
            seal_count,
            generation,
            description,
            origins,
            bound,
        };
        body.check().map(|()| body)
    }

    /// About how many bytes `encode` appends.
    pub(super) fn len_hint(&self) -> usize {
        let links: usize = self
            .links
            .iter()
            .map(|link| LINK_LEN_MIN + link.name.as_bytes().len())
            .sum();
        let xattrs: usize = self
            .xattrs
            .iter()
            .map(|(name, value)| 4 + name.len() + value.len())
            .sum();
        let origins = match self.origins.len() {
            0 => 0,
            count => 7 + count * ORIGIN_LEN,
        };
        let bound = if self.bound { 6 } else { 0 };
        let fields = 82 + links + xattrs + origins + bound;
        fields + self.description.len() + self.content.len_hint()
    }
}

/// The origins, if there are any: an extension that holds none is refused, as there is another way to say that. And whether entries
/// may be bound.
fn decode_extensions(input: &mut Reader<'_>) -> Result<(Vec<Origin>, bool), FormatError> {
    const WHAT: &str = "guard body: extensions";
    let (mut origins, mut bound) = (Vec::new(), false);
    extension::read_knowing(input, WHAT, &[ORIGINS, BOUND], |kind, bytes| {
        if kind == ORIGINS {
            let mut input = Reader::new(bytes);
            origins = origin::decode(&mut input)?;
            input.finish("guard body: origins")?;
            valid(!origins.is_empty(), "guard body: count of origins", 0)?;
        }
        if kind == BOUND {
            bound = true;
            Reader::new(bytes).finish("guard body: bound")?;
        }
        Ok(())
    })?;
    Ok((origins, bound))
}

fn decode_links(input: &mut Reader<'_>) -> Result<Vec<Link>, FormatError> {
    let count = usize::from(input.u16("guard body: count of links")?);
    let mut links = Vec::with_capacity(input.items(count, LINK_LEN_MIN, "guard body: links")?);
    for _ in 0..count {
        links.push(Link::decode(input)?);
    }
    Ok(links)
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("links", &self.links.len())
            .field("attrs", &self.attrs)
            .field("xattrs", &self.xattrs.len())
            .field("content", &self.content)
            .field("seal_count", &self.seal_count)
            .field("generation", &self.generation)
            .field("description_len", &self.description.len())
            .field("origins", &self.origins)
            .field("bound", &self.bound)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::samples;

    fn links(count: usize) -> Vec<Link> {
        let link = samples::plain_body().links.remove(0);
        vec![link; count]
    }

    #[test]
    fn links_are_counted_around_their_borders() {
        for (content, good) in [
            (Content::Fifo, 1..=LINKS_MAX),
            (samples::directory(), 0..=1),
        ] {
            for count in [0, 1, 2, LINKS_MAX, LINKS_MAX + 1] {
                let body = Body {
                    links: links(count),
                    content: content.clone(),
                    ..samples::plain_body()
                };
                assert_eq!(
                    body.check().is_ok(),
                    good.contains(&count),
                    "{count} of {content:?}"
                );
            }
        }
    }

    #[test]
    fn a_description_has_a_bound() {
        for (len, good) in [(0, true), (255, true), (256, false)] {
            let description = vec![0; len];
            let body = Body {
                description,
                ..samples::plain_body()
            };
            assert_eq!(body.check().is_ok(), good, "{len}");
        }
    }

    #[test]
    fn the_hint_of_a_length_is_enough_and_not_much_more() {
        for content in [
            Content::Fifo,
            samples::directory(),
            Content::Symlink(vec![b'x'; 300]),
        ] {
            let body = Body {
                content,
                links: links(1),
                description: vec![0; 20],
                xattrs: [(b"name".to_vec(), vec![1; 50])].into(),
                ..samples::plain_body()
            };
            let mut bytes = Vec::new();
            body.encode(&mut Writer::new(&mut bytes));
            assert!(
                (bytes.len()..bytes.len() + 100).contains(&body.len_hint()),
                "{}",
                bytes.len()
            );
        }
    }
}
