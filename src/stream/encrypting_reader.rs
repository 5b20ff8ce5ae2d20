//! A stream read out of plaintext: forward over anything that is read, and anywhere over what also seeks.

use super::{
    access::{Access, Options, new_header},
    error::StreamError,
    position::{SeekFn, read_full, resolve},
    sealer::Sealer,
};
use crate::format::StreamLayout;
use std::io::{self, Read, Seek, SeekFrom};

/// Reads the stream of a plaintext, which is made while it is read.
///
/// Over a plain [`Read`] it goes forward. Over [`Read`] and [`Seek`] it also seeks, unless the stream is compressed: a chunk is
/// then read and sealed again. The same content gives the same bytes; where the source was changed, other bytes come that show
/// no more than that. The length is the one that the source has at a seek.
///
/// All that one reader gives has one header. A stream that was read partly before and partly after a change has chunks of both, each
/// at its own place, and may open; so may what somebody puts together who has both. Where versions must not be mixed, make a new
/// reader, and with it a new header, for each.
///
/// The plaintext begins where the source stands, and goes up to its end. Nobody else may move the source: it is read on from where it
/// stands, and where it stands at the first seek, less what was read, is where the plaintext begins. (Two readers over one open file
/// move each other's; each needs a file that it has opened itself.)
pub struct EncryptingReader<R> {
    source: R,
    header: Vec<u8>,
    sealer: Sealer,
    /// Where in the stream the next read begins.
    position: u64,
    /// Where in the stream the sealed bytes begin.
    sealed_at: u64,
    /// The next chunk on the way forward.
    index: u64,
    /// The first byte of it, which told that the one before was not the last.
    ahead: Option<u8>,
    /// How much of the plaintext was read on the way forward.
    taken: u64,
    /// The last chunk was sealed.
    done: bool,
    random: Option<Anywhere<R>>,
}

/// What is needed to read the source anywhere.
struct Anywhere<R> {
    seek: SeekFn<R>,
    /// Where in the source the plaintext begins.
    base: u64,
    /// At the last seek; `None` if that failed.
    lens: Option<Lens>,
    /// The chunk that was read last.
    loaded: Option<u64>,
}

/// A chunk whose plaintext is there.
struct Filled {
    index: u64,
    last: bool,
    /// Where in the stream its frame begins.
    at: u64,
}

#[derive(Clone, Copy)]
struct Lens {
    plaintext: u64,
    stream: u64,
}

impl<R: Read> EncryptingReader<R> {
    /// A stream with a fresh key, which can be opened in each of these ways. Reads nothing yet.
    ///
    /// # Errors
    /// Ways or options that there are not; what the derivation of a passphrase's key says.
    pub fn new(
        source: R,
        access: &[Access<'_>],
        options: &Options,
    ) -> Result<EncryptingReader<R>, StreamError> {
        let (header, key) = new_header(access, options)?;
        let sealer = Sealer::new(&header, &key);
        let header = header.encode(&key.header_key());
        Ok(EncryptingReader {
            source,
            sealed_at: header.len() as u64,
            header,
            sealer,
            position: 0,
            index: 0,
            ahead: None,
            taken: 0,
            done: false,
            random: None,
        })
    }

    /// The lengths of this stream for those of plaintexts; `None` if it is compressed.
    pub fn layout(&self) -> Option<StreamLayout> {
        (!self.sealer.is_packing()).then(|| self.sealer.layout())
    }

    /// Gives the source back, somewhere in the plaintext.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// What is there of the stream from the position on.
    fn ready(&self) -> &[u8] {
        let part = |bytes, start: u64| {
            let skip = self.position.checked_sub(start);
            let skip = skip.and_then(|skip| usize::try_from(skip).ok());
            skip.and_then(|skip| <[u8]>::get(bytes, skip..))
                .unwrap_or_default()
        };
        match part(&self.header, 0) {
            [] => part(self.sealer.sealed(), self.sealed_at),
            header => header,
        }
    }

    /// Seals the next chunk; `None` at the end. If all of its frame is asked for and `into` has space for it, it goes there, and this
    /// gives its length; else 0.
    fn next_chunk(&mut self, into: &mut [u8]) -> Result<Option<usize>, StreamError> {
        let Some(Filled { index, last, at }) = self.next_filled()? else {
            return Ok(None);
        };
        if at == self.position
            && let Some(len) = self.sealer.seal_to(index, last, into)
        {
            self.sealed_at = at + len as u64;
            return Ok(Some(len));
        }
        self.sealer.seal(index, last)?;
        self.sealed_at = at;
        Ok(Some(0))
    }

    /// Has the sealer get the plaintext of the next chunk.
    fn next_filled(&mut self) -> Result<Option<Filled>, StreamError> {
        if let Some(anywhere) = &mut self.random {
            return anywhere.fill(&mut self.source, &mut self.sealer, self.position);
        }
        if self.done {
            return Ok(None);
        }
        let last = self.fill()?;
        let index = self.index;
        let at = self.sealed_at + self.sealer.sealed().len() as u64;
        self.index += 1;
        self.done = last;
        Ok(Some(Filled { index, last, at }))
    }

    /// Reads the plaintext of the next chunk and one byte more; gives whether there was none.
    fn fill(&mut self) -> Result<bool, StreamError> {
        if let Some(byte) = self.ahead.take() {
            self.sealer.space()[0] = byte;
            self.sealer.advance(1);
        }
        loop {
            let mut ahead = [0];
            let full = self.sealer.space().is_empty();
            let into = if full {
                &mut ahead
            } else {
                self.sealer.space()
            };
            match self.source.read(into) {
                Ok(0) => return Ok(true),
                Ok(_) if full => {
                    self.taken += 1;
                    self.ahead = Some(ahead[0]);
                    return Ok(false);
                }
                Ok(len) => {
                    self.taken += len as u64;
                    self.sealer.advance(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<R: Read> Read for EncryptingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.ready().is_empty() {
            match self.next_chunk(into)? {
                None => return Ok(0),
                Some(0) => {}
                Some(len) => {
                    self.position += len as u64;
                    return Ok(len);
                }
            }
        }
        let ready = self.ready();
        let len = ready.len().min(into.len());
        into[..len].copy_from_slice(&ready[..len]);
        self.position += len as u64;
        Ok(len)
    }
}

impl<R: Read> Anywhere<R> {
    /// Reads the plaintext of the chunk that has this position; `None` past the end.
    fn fill(
        &mut self,
        source: &mut R,
        sealer: &mut Sealer,
        position: u64,
    ) -> Result<Option<Filled>, StreamError> {
        let layout = sealer.layout();
        let Some((index, _)) = layout.frame_of(position) else {
            return Ok(None);
        };
        let lens = self.lens.ok_or(StreamError::Failed)?;
        if position >= lens.stream {
            return Ok(None);
        }
        let last = index == layout.last_chunk(lens.plaintext);
        let len = if last {
            layout.last_len(lens.plaintext)
        } else {
            layout.chunk().len()
        };
        sealer.clear();
        let at = index.checked_mul(layout.chunk().len() as u64);
        let at = at.and_then(|at| self.base.checked_add(at));
        let at = at.ok_or(StreamError::TooLong)?;
        if self.loaded.take().is_none_or(|loaded| loaded + 1 != index) {
            (self.seek)(source, SeekFrom::Start(at))?;
        }
        if read_full(source, &mut sealer.space()[..len])? < len {
            return Err(StreamError::Shrunk);
        }
        sealer.advance(len);
        self.loaded = Some(index);
        let filled = |at| Filled { index, last, at };
        Ok(layout.frame_at(index).map(filled))
    }
}

impl<R: Read + Seek> EncryptingReader<R> {
    /// Bytes of the stream, by the length that the source has now.
    ///
    /// # Errors
    /// A stream that is compressed or would be too long; what the source says.
    pub fn stream_len(&mut self) -> io::Result<u64> {
        let Some(layout) = self.layout() else {
            return Err(StreamError::Unsupported(
                "the length of a compressed stream is not known before its end",
            )
            .into());
        };
        let base = if let Some(anywhere) = &self.random {
            anywhere.base
        } else {
            let here = self.source.stream_position()?;
            here.checked_sub(self.taken)
                .ok_or(StreamError::Unsupported(
                    "the source tells another position than what was read of it",
                ))?
        };
        // From here on the source stands elsewhere than before.
        self.sealer.clear();
        self.ahead = None;
        let anywhere = self.random.insert(Anywhere {
            seek: R::seek,
            base,
            lens: None,
            loaded: None,
        });
        let plaintext = self.source.seek(SeekFrom::End(0))?.saturating_sub(base);
        let stream = layout.stream_len(plaintext).ok_or(StreamError::TooLong)?;
        anywhere.lens = Some(Lens { plaintext, stream });
        Ok(stream)
    }
}

impl<R: Read + Seek> Seek for EncryptingReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let len = self.stream_len()?;
        self.position = resolve(to, self.position, len)?;
        Ok(self.position)
    }
}
