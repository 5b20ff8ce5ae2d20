//! What was found wrong with a vault, as values: the same for who checks one that nobody has open, and for who scrubs one that is
//! in use. How it is told is the command line's affair.
//!
//! A finding names what is hit (a path in the vault where the keys give one), where it lies, and what can be done. No finding
//! holds a key or a byte of content.
//!
//! ```text
//! words   what is said of the same things by both      chunks   parts of a file that cannot be read
//! names   which name of a file with several is told
//! ```
pub(crate) mod chunks;
pub(crate) mod names;
pub(crate) mod words;

use std::{borrow::Cow, ops::Range};

/// What looking at one guard takes, in bytes of content that take as long: for estimates.
pub const GUARD_WORK: u64 = 16 << 10;

/// What is wrong, by its sort. The names are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A copy of the header is missing, damaged, older or not this vault's.
    Header,
    /// A copy of the zone's key is missing or damaged.
    Zone,
    /// Something else lies where a directory of the store belongs.
    Place,
    /// The journal cannot be read or done as a whole.
    Journal,
    /// What lies at an entry does not open, or does not belong there.
    Guard,
    /// A directory has other entries than its guard sums up.
    Entries,
    /// Guards in a directory are not those that were stored last: something was put back, or changed by others.
    Rollback,
    /// A directory's guard counts its subdirectories otherwise than they are.
    Counts,
    /// Entries and the list of links in a guard do not fit together.
    Links,
    /// An older guard of a file that is elsewhere now.
    Double,
    /// Bytes of a file do not authenticate or are not there.
    Content,
    /// A part of a file's index does not authenticate or is not there.
    Index,
    /// A repair was not done, since it would have damaged something.
    Refused,
    /// Bytes in an object of a file that nothing names. No damage.
    Tail,
    /// Guards or content of this vault that lie elsewhere than where they belong.
    Misplaced,
    /// A directory or file that no entry leads to.
    Orphan,
    /// Stored content that no guard names, or what is left of something that is gone.
    Leak,
    /// The disk gives an error.
    Unreadable,
    /// The vault was not unmounted cleanly. No damage.
    Unclean,
    /// Something that is none of the vault's. No damage.
    Stray,
    /// Files that an earlier repair has set aside. No damage.
    Quarantine,
}

/// What became of a finding.
///
/// In the order of what is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No damage: nothing needs to be done.
    Note,
    /// A repair can mend it.
    Mendable,
    /// A repair has mended it: all that was there is there again.
    Mended,
    /// A repair has accepted what is there, which is not what was stored last.
    Accepted,
    /// A repair has made the rest fit together; what was hit is lost. What is left of it is in the quarantine.
    Lost,
    /// It cannot be mended: what is lost stays an error when it is read.
    Stays,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its sort.
    pub kind: Kind,
    /// The file or directory in the vault, from `/` on, if one is hit and can be named. Names are any bytes but NUL.
    pub path: Option<Vec<u8>>,
    /// The stored object, as a path in the vault's directory.
    pub object: String,
    /// Bytes of that object, where not all of it is meant.
    pub object_range: Option<Range<u64>>,
    /// Bytes of the file that cannot be read.
    pub file_range: Option<Range<u64>>,
    /// Those are all that it has.
    pub is_whole_file: bool,
    /// What is wrong.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What can be done, where that is otherwise than for all of its sort.
    pub(crate) advice: Option<Cow<'static, str>>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Directories, the root among them.
    pub dirs: u64,
    /// Regular files, each once however many entries lead to it.
    pub files: u64,
    /// Symbolic links, devices, pipes and sockets.
    pub others: u64,
    /// Stored bytes that were verified.
    pub bytes: u64,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 21] = [
        Kind::Header,
        Kind::Zone,
        Kind::Place,
        Kind::Journal,
        Kind::Guard,
        Kind::Entries,
        Kind::Rollback,
        Kind::Counts,
        Kind::Links,
        Kind::Double,
        Kind::Content,
        Kind::Index,
        Kind::Refused,
        Kind::Tail,
        Kind::Misplaced,
        Kind::Orphan,
        Kind::Leak,
        Kind::Unreadable,
        Kind::Unclean,
        Kind::Stray,
        Kind::Quarantine,
    ];

    /// The one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// For programs; never changed.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Header => "header",
            Kind::Zone => "zone",
            Kind::Place => "place",
            Kind::Journal => "journal",
            Kind::Guard => "guard",
            Kind::Entries => "entries",
            Kind::Rollback => "rollback",
            Kind::Counts => "counts",
            Kind::Links => "links",
            Kind::Double => "double",
            Kind::Content => "content",
            Kind::Index => "index",
            Kind::Refused => "refused",
            Kind::Tail => "tail",
            Kind::Misplaced => "misplaced",
            Kind::Orphan => "orphan",
            Kind::Leak => "leak",
            Kind::Unreadable => "unreadable",
            Kind::Unclean => "unclean",
            Kind::Stray => "stray",
            Kind::Quarantine => "quarantine",
        }
    }

    /// What a repair does about it, or what else can be done.
    fn remedy(self) -> &'static str {
        match self {
            Kind::Header | Kind::Zone => {
                "a repair, and any mount that may write, restores it from the other copy"
            }
            Kind::Place => {
                "a repair sets it aside, and puts back what was in the directory if it finds it elsewhere in the vault; else it accepts that it is gone"
            }
            Kind::Journal => "a repair keeps what can be replayed and sets the journal aside",
            Kind::Guard => {
                "a repair puts it back where it belongs, or sets it aside, so that the name is free again"
            }
            Kind::Entries => {
                "a repair puts back or makes anew what it can, and accepts the entries that are there"
            }
            Kind::Rollback => "compare the files with a backup; a repair accepts them as they are",
            Kind::Counts => "a repair counts anew",
            Kind::Links => "a repair makes the list of links and the entries fit together",
            Kind::Double => "a repair sets the older one aside",
            Kind::Content | Kind::Index => {
                "the rest of the file can be read; copy this part from a backup over it"
            }
            Kind::Refused => "nothing was written; `wardfs salvage` copies out what can be read",
            Kind::Tail => "a repair moves them to the quarantine",
            Kind::Misplaced => "a repair puts it back where it belongs",
            Kind::Orphan => "a repair brings it into lost+found",
            Kind::Leak => "a repair sets it aside",
            Kind::Unreadable => "copy the vault to another disk, then check the copy",
            Kind::Unclean => "the next mount that may write takes it up",
            Kind::Stray => "it can be removed if nobody needs it",
            Kind::Quarantine => "it can be removed when nothing in it is needed any more",
        }
    }
}

impl Outcome {
    /// The one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Outcome> {
        let all = [
            Outcome::Note,
            Outcome::Mendable,
            Outcome::Mended,
            Outcome::Accepted,
            Outcome::Lost,
            Outcome::Stays,
        ];
        all.into_iter().find(|outcome| outcome.name() == name)
    }

    /// For programs; never changed.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Note => "note",
            Outcome::Mendable => "mendable",
            Outcome::Mended => "mended",
            Outcome::Accepted => "accepted",
            Outcome::Lost => "lost",
            Outcome::Stays => "stays",
        }
    }
}

impl Finding {
    /// Something about an object as a whole.
    pub(crate) fn new(kind: Kind, object: &str, what: impl Into<String>) -> Finding {
        Finding {
            kind,
            path: None,
            object: object.to_owned(),
            object_range: None,
            file_range: None,
            is_whole_file: false,
            what: what.into(),
            advice: None,
            outcome: match kind {
                Kind::Content | Kind::Index | Kind::Unreadable | Kind::Refused => Outcome::Stays,
                Kind::Tail | Kind::Unclean | Kind::Stray | Kind::Quarantine => Outcome::Note,
                _ => Outcome::Mendable,
            },
        }
    }

    /// What a repair does about it, or what else can be done.
    pub fn remedy(&self) -> &str {
        if let Some(advice) = &self.advice {
            return advice;
        }
        match (self.kind, self.outcome) {
            (Kind::Content | Kind::Index, _) if self.is_whole_file => {
                "nothing of the file can be read; copy it from a backup over it"
            }
            (Kind::Content | Kind::Index | Kind::Unreadable | Kind::Refused, _) => {
                self.kind.remedy()
            }
            (Kind::Header, Outcome::Stays) => {
                "it opens with another passphrase: `wardfs passwd` makes both copies the same"
            }
            (Kind::Journal, Outcome::Note) => {
                "`wardfs salvage` names what they would have changed; the log is kept in the quarantine when it goes"
            }
            (_, Outcome::Stays) => {
                "a repair cannot mend it; `wardfs salvage` copies out what is left"
            }
            _ => self.kind.remedy(),
        }
    }

    pub(crate) fn at(mut self, path: Vec<u8>) -> Finding {
        self.path = Some(path);
        self
    }

    pub(crate) fn advised(mut self, advice: &'static str) -> Finding {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn with(mut self, outcome: Outcome) -> Finding {
        self.outcome = outcome;
        self
    }

    /// Is something of what the vault had not there, or not known to be?
    pub(crate) fn is_loss(&self) -> bool {
        self.is_open() || matches!(self.outcome, Outcome::Accepted | Outcome::Lost)
    }

    /// Is it damage that is still there?
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, Outcome::Mendable | Outcome::Stays)
    }
}
