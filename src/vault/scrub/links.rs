//! Entries that lead to no node: what is told of them.
use super::{APART, Scrub, WITHIN};
use crate::{
    format::dir_path,
    store::StoreError,
    vault::{
        double::{DISPLACED, NOT_OLDER},
        error::VaultError,
        finding::{
            Finding, Kind, Outcome,
            words::{self, MISPLACED},
        },
        node::Node,
    },
};
use std::sync::Arc;

impl Scrub<'_> {
    /// An entry that leads to no node.
    pub(super) fn tell_child(&mut self, dir: &Arc<Node>, path: Vec<u8>, error: &VaultError) {
        let object = object_of(error);
        let found = if object.starts_with("guards/links/") {
            self.name_apart(object, &path);
            // Not lost: not read now, and told as that.
            if words::kind_of_vault(error) == Kind::Unreadable
                && self.held[APART].contains_key(object)
            {
                return;
            }
            let what = match error {
                VaultError::Damaged {
                    what: MISPLACED, ..
                } => words::NOT_NAMED,
                _ => words::LEADS_NOWHERE,
            };
            Finding::new(Kind::Links, object, what).with(Outcome::Mendable)
        } else if let Some(found) = self.held[WITHIN].remove(object) {
            found
        } else if let VaultError::Damaged {
            what: NOT_OLDER | DISPLACED,
            ..
        } = error
        {
            Finding::new(Kind::Double, object, words::OLDER)
        } else {
            let within = dir.state.read().dir_id().map(|id| dir_path(&id));
            let within = within.as_ref().map_or("", |dir| dir.as_str());
            let object = if object.contains('/') { object } else { within };
            Finding::new(words::kind_of_vault(error), object, words::text(error))
        };
        self.tell(found.at(path));
    }
}

/// What an error is about.
fn object_of(error: &VaultError) -> &str {
    match error {
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. } => object,
        VaultError::Store(StoreError::Io { path, .. } | StoreError::NotAnObject { path, .. }) => {
            path
        }
        VaultError::Store(StoreError::NotFound(path)) => path.as_str(),
        _ => "",
    }
}
