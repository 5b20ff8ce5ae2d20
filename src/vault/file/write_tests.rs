//! A write by its steps, so that something can happen between them.
use super::{pieces::PLAN, write::Write};
use crate::{
    crypto::{KdfParams, Suite},
    format::ChunkSize,
    store::{Fault, FaultStore, MemoryStore, Operation},
    vault::{InitOptions, NewKind, OpenOptions, ROOT_INO, SetAttr, Vault, init, types::WriteMode},
};
use std::sync::Arc;

fn new_vault(store: &FaultStore) -> Vault {
    let kdf = KdfParams {
        memory_kib: KdfParams::MEMORY_KIB_MIN,
        time: 1,
        lanes: 1,
    };
    let options = InitOptions {
        suite: Suite::Aes256Gcm,
        compress: true,
        chunk: ChunkSize::from_log2(14).unwrap(),
        kdf,
        uid: 0,
        gid: 0,
    };
    init(store, b"secret", &options).unwrap();
    let options = OpenOptions {
        background: false,
        ..OpenOptions::default()
    };
    Vault::open(Arc::new(store.clone()), b"secret", options).unwrap()
}

/// A checkpoint may keep a run of chunks off its slots after the write was planned: then all of it goes into the log, as far as
/// that has space.
#[test]
fn a_write_that_finds_no_space_in_the_log_leaves_nothing_in_the_file() {
    const LEN: usize = 4 << 20;
    let store = FaultStore::new(Arc::new(MemoryStore::new()));
    let vault = new_vault(&store);
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let ino = made.unwrap().ino;
    vault.write(ino, 0, &[1; 20_000], false).unwrap();
    let core = &vault.core;
    let node = core.table.get(ino).unwrap();
    let write = Write {
        node: &node,
        offset: 32 << 10,
        data: &vec![2; LEN],
        mode: WriteMode::default(),
    };
    let mut plan = PLAN.take();
    {
        let _io = node.io.write();
        let _gate = core.open_gate();
        let mut state = node.state.write();
        core.plan(&mut plan, &write, &state).unwrap();
        assert!(plan.is_straight());
        // None of it is stored, and the log has space for some chunks.
        store.inject(Fault::no_space().on(Operation::BlobAllocate));
        let refused = core.lay(&mut plan, &write, &mut state).unwrap_err();
        assert!(refused.is_no_space(), "{refused}");
    }
    store.heal();
    let longer = SetAttr {
        size: Some(LEN as u64),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &longer).unwrap();
    let mut found = vec![9; LEN];
    assert_eq!(vault.read(ino, 0, &mut found).unwrap(), LEN);
    assert!(found[..20_000].iter().all(|byte| *byte == 1));
    assert!(found[20_000..].iter().all(|byte| *byte == 0));
}
