//! Everything that lies in a store, wherever it is: for who looks for what was moved by hand.
use super::{ObjectPath, Store, StoreError};

/// What is moved by hand may lie deeper than anything of a vault.
const DEPTH_MAX: usize = 32;

/// Has every object looked at, and whatever else is no directory. `look` says `NotAnObject` of a directory, which is looked into
/// then; other errors are passed over. `skip` leaves something out, with all that is in it.
pub fn walk(
    store: &dyn Store,
    skip: &dyn Fn(&ObjectPath) -> bool,
    look: &mut dyn FnMut(&ObjectPath) -> Result<(), StoreError>,
) {
    let mut waiting = vec![(ObjectPath::root(), 0)];
    while let Some((dir, depth)) = waiting.pop() {
        for name in store.list(&dir).unwrap_or_default() {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            let Ok(path) = dir.join(&name) else { continue };
            if skip(&path) {
                continue;
            }
            if let Err(StoreError::NotAnObject { .. }) = look(&path)
                && depth < DEPTH_MAX
            {
                waiting.push((path, depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn all_objects_are_met_but_what_is_left_out() {
        let store = MemoryStore::new();
        let path = |text: &str| ObjectPath::new(text).unwrap();
        for text in ["a", "d/b", "d/e/c", "not/this", "d/not/that"] {
            store.make_dir(&path(text).parent()).unwrap();
            store.put(&path(text), b"x").unwrap();
        }
        let mut met = Vec::new();
        walk(&store, &|path| path.name() == "not", &mut |path| {
            store.get(path)?;
            met.push(path.as_str().to_owned());
            Ok(())
        });
        met.sort();
        assert_eq!(met, ["a", "d/b", "d/e/c"]);
    }
}
