//! Claims about a full disk under many threads: each refused call says that there is no space, what was acknowledged is
//! all there, removing works and makes room, and the vault never turns read-only for it.
mod vaults;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use vaults::{
    image::{Image, open, options},
    logger::log_to_stderr,
    op::Fill,
    run::{Budget, Watchdog, seeds},
};
use wardfs::vault::{NewKind, OpenOptions, ROOT_INO, Vault, VaultError};

const THREADS: u64 = 6;
/// Bytes that the disk holds.
const DISK: u64 = 24 << 20;
/// A run in which less was refused has not tried the full disk.
const REFUSED_MIN: u64 = 10;

/// What one thread has stored: by name, what the content is drawn from and how long it is.
#[derive(Default)]
struct Stored {
    files: BTreeMap<String, (u64, usize)>,
    refused: u64,
    removed: u64,
}

fn refused(error: &VaultError) -> bool {
    error.errno() == libc::ENOSPC
}

/// In several writes, each of which may take a part.
fn write_all(vault: &Vault, ino: u64, content: &[u8]) -> Result<(), VaultError> {
    let mut at = 0;
    while at < content.len() {
        let part = &content[at..content.len().min(at + 37_000)];
        at += vault.write(ino, at as u64, part, false)?;
    }
    Ok(())
}

impl Stored {
    fn name(&self, thread: u64, random: &mut StdRng) -> String {
        format!("{thread} {} {}", self.files.len(), random.random::<u32>())
    }

    /// Stores a file, whole or not at all.
    fn add(&mut self, vault: &Vault, thread: u64, random: &mut StdRng) {
        let name = self.name(thread, random);
        let len = match random.random_range(0..8) {
            0 => random.random_range(100_000..600_000),
            1..4 => random.random_range(5_000..50_000),
            _ => random.random_range(0..3_000),
        };
        let made = match vault.make(ROOT_INO, name.as_bytes(), NewKind::File, 0o600, 0, 0) {
            Ok(made) => made,
            Err(error) => {
                assert!(refused(&error), "making {name}: {error}");
                self.refused += 1;
                return;
            }
        };
        let seed = random.random();
        let content = Fill::Noise(seed).bytes(len);
        let mut done = write_all(vault, made.ino, &content);
        if done.is_ok() && random.random_range(0..4) == 0 {
            done = vault.sync(made.ino, false);
        }
        vault.forget(made.ino, 1);
        match done {
            Ok(()) => {
                self.files.insert(name, (seed, len));
            }
            Err(error) => {
                assert!(refused(&error), "writing {name}: {error}");
                self.refused += 1;
                self.unlink(vault, &name);
            }
        }
    }

    fn unlink(&mut self, vault: &Vault, name: &str) {
        // Nothing else gives space back: what is held back for removals must do, if not at once then in a while.
        for _ in 0..200 {
            match vault.unlink(ROOT_INO, name.as_bytes()) {
                Ok(()) => {
                    self.removed += 1;
                    return;
                }
                Err(error) => assert!(refused(&error), "removing {name}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} cannot be removed from a full disk");
    }

    fn remove_some(&mut self, vault: &Vault, random: &mut StdRng) {
        for _ in 0..random.random_range(1..4) {
            let Some(name) = self
                .files
                .keys()
                .nth(random.random_range(0..=self.files.len()))
                .cloned()
            else {
                return;
            };
            self.unlink(vault, &name);
            self.files.remove(&name);
        }
    }

    fn check(&self, vault: &Vault) {
        for (name, &(seed, len)) in &self.files {
            let found = vault
                .lookup(ROOT_INO, name.as_bytes())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut bytes = vec![0; len + 1];
            let got = vault
                .read(found.ino, 0, &mut bytes)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            vault.forget(found.ino, 1);
            assert!(
                bytes[..got] == Fill::Noise(seed).bytes(len),
                "{name} is not what was stored"
            );
        }
    }
}

fn work(vault: &Vault, seed: u64, thread: u64, budget: &Budget) -> Stored {
    let mut random = StdRng::seed_from_u64(seed + thread);
    let mut stored = Stored::default();
    while !budget.is_spent() {
        let before = stored.refused;
        stored.add(vault, thread, &mut random);
        if stored.refused > before && random.random_range(0..3) == 0 {
            stored.remove_some(vault, &mut random);
        }
        if random.random_range(0..100) == 0 {
            stored.check(vault);
        }
    }
    stored
}

fn run(seed: u64, secs: u64) {
    let full = Image::by(seed).in_memory_of(DISK);
    let options = OpenOptions {
        background: true,
        threads: Some(2),
        checkpoint_age: Duration::from_millis(20),
        ..options(1 << 20)
    };
    let vault = open(Arc::new(full.clone()), options.clone()).expect("a healthy vault");
    let budget = Budget::exactly(secs);
    let stored: Vec<Stored> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (vault, budget) = (&vault, &budget);
                scope.spawn(move || work(vault, seed, thread, budget))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that ends well"))
            .collect()
    });
    let (refused, removed) = stored.iter().fold((0, 0), |(refused, removed), stored| {
        (refused + stored.refused, removed + stored.removed)
    });
    assert!(refused >= REFUSED_MIN, "only {refused} calls were refused");
    assert!(removed >= REFUSED_MIN, "only {removed} files were removed");
    stored.iter().for_each(|stored| stored.check(&vault));
    vault.close().expect("all is stored");
    let vault = open(Arc::new(full), options).expect("a healthy vault");
    stored.iter().for_each(|stored| stored.check(&vault));
    vault.close().expect("a healthy vault");
}

#[test]
fn many_threads_on_a_full_disk_lose_nothing_and_go_on() {
    log_to_stderr();
    let budget = Budget::secs(8);
    let watchdog = Watchdog::new(Duration::from_secs(60));
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        watchdog.begin(format!("seed {seed}"));
        run(seed, 2);
    }
}
