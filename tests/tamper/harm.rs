//! What is done to single objects of a vault that was not closed.
use crate::vaults::{
    draw::{Seeded, Source},
    objects::Objects,
};

/// What is done to one object.
#[derive(Clone, Debug)]
pub enum Harm {
    Remove(String),
    Flip(String, usize),
    Cut(String, usize),
    Append(String, usize),
    /// As it was at an earlier moment.
    PutBack(String),
}

impl Harm {
    /// A few, of which the journal takes one at most: of two nobody could say what the other one did.
    pub fn draw_some(source: &mut Seeded, objects: &Objects, most: u64) -> Vec<Harm> {
        let mut harms: Vec<Harm> = Vec::new();
        for _ in 0..=source.below(most) {
            let harm = Harm::draw(source, objects);
            let is_of_log = |harm: &Harm| harm.name().starts_with("journal/");
            if !is_of_log(&harm) || !harms.iter().any(is_of_log) {
                harms.push(harm);
            }
        }
        harms
    }

    fn draw(source: &mut Seeded, objects: &Objects) -> Harm {
        let names: Vec<&String> = objects
            .iter()
            .filter(|(name, bytes)| {
                let is_kept_twice = name.starts_with("wardfs.vault") || name.starts_with("zones");
                !name.ends_with('/') && !bytes.is_empty() && !is_kept_twice
            })
            .map(|(name, _)| name)
            .collect();
        let mut below =
            |bound: usize| usize::try_from(source.below(bound.max(1) as u64)).expect("an index");
        // Of few objects in the journal and many guards, each kind often.
        let kinds = ["journal/", "guards/", "payloads/", "payloads/new/"];
        let kind = kinds[below(kinds.len())];
        let of_kind = names.iter().filter(|name| name.starts_with(kind));
        let mut some: Vec<&&String> = of_kind.collect();
        if some.is_empty() {
            some = names.iter().collect();
        }
        let name = String::clone(some[below(some.len())]);
        let bytes = &objects[&name];
        // A log has space ahead of its end.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        match below(6) {
            0 => Harm::Remove(name),
            1 | 2 => Harm::Flip(name, below(used * 8)),
            // What is cut to a length that a full disk could leave says nothing.
            3 => Harm::Cut(name, below(used) / 512 * 512 + 1),
            4 => Harm::Append(name, 1 + below(700)),
            _ => Harm::PutBack(name),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Harm::Remove(name)
            | Harm::Flip(name, _)
            | Harm::Cut(name, _)
            | Harm::Append(name, _)
            | Harm::PutBack(name) => name,
        }
    }

    /// `earlier`: what is put back.
    pub fn apply(&self, earlier: &Objects, objects: &mut Objects) {
        let Some(bytes) = objects.get_mut(self.name()) else {
            return;
        };
        match self {
            Harm::Remove(name) => drop(objects.remove(name)),
            Harm::Flip(_, bit) => {
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Harm::Cut(_, len) => bytes.truncate(*len),
            Harm::Append(_, len) => bytes.extend(vec![7; *len]),
            Harm::PutBack(name) => {
                if let Some(old) = earlier.get(name) {
                    bytes.clone_from(old);
                }
            }
        }
    }
}
