//! A vault on a store, mounted again and again, with the model beside it.
use super::{
    dump::Dump,
    history::Floor,
    image::open,
    kernel::{Kernel, Trouble},
    objects::{guards, left_over, remove_everything},
    op::{Op, Remount},
    sums::check_sums,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use wardfs::{
    store::Store,
    vault::{OpenOptions, Vault},
};

/// Gives handles on the same contents, each as if another process opened them.
pub type Handles<'a> = &'a dyn Fn() -> Arc<dyn Store>;

/// A mounted vault.
pub struct Mount<'a> {
    handles: Handles<'a>,
    options: OpenOptions,
    vault: Vault,
    pub kernel: Kernel,
}

impl<'a> Mount<'a> {
    /// Mounts.
    ///
    /// # Errors
    /// What the vault says.
    pub fn new(
        handles: Handles<'a>,
        options: OpenOptions,
        kernel: Kernel,
    ) -> wardfs::vault::Result<Mount<'a>> {
        let vault = open(handles(), options.clone())?;
        Ok(Mount {
            handles,
            options,
            vault,
            kernel,
        })
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Does operations on the vault and on the model, the first that goes wrong ends it.
    ///
    /// # Errors
    /// Its number and what went wrong.
    pub fn run(mut self, ops: &[Op]) -> Result<Mount<'a>, (usize, Box<Trouble>)> {
        for (number, op) in ops.iter().enumerate() {
            if let Op::Remount(how) = op {
                let running = (self.kernel.model.clone(), None);
                self = self.remount(*how).map_err(|what| {
                    (
                        number,
                        Box::new(Trouble {
                            what,
                            errno: None,
                            running,
                        }),
                    )
                })?;
            } else if let Err(trouble) = self.kernel.run(&self.vault, op) {
                return Err((number, trouble));
            }
        }
        Ok(self)
    }

    /// The same, while another thread does nothing but checkpoints.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_under_checkpoints(mut self, ops: &[Op]) -> Result<Mount<'a>, (usize, Box<Trouble>)> {
        let mut done = 0;
        for part in ops.split_inclusive(|op| matches!(op, Op::Remount(_))) {
            let (calls, remount) = match part.split_last() {
                Some((Op::Remount(how), calls)) => (calls, Some(*how)),
                _ => (part, None),
            };
            let Mount { vault, kernel, .. } = &mut self;
            let vault = &*vault;
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Relaxed) && vault.checkpoint().is_ok() {
                        std::hint::spin_loop();
                    }
                });
                let result = calls.iter().enumerate().try_for_each(|(number, op)| {
                    kernel
                        .run(vault, op)
                        .map_err(|trouble| (done + number, trouble))
                });
                over.store(true, Relaxed);
                result
            })?;
            done += part.len();
            if let Some(how) = remount {
                let running = (self.kernel.model.clone(), None);
                let trouble = |what| {
                    (
                        done - 1,
                        Box::new(Trouble {
                            what,
                            errno: None,
                            running,
                        }),
                    )
                };
                self = self.remount(how).map_err(trouble)?;
            }
        }
        Ok(self)
    }

    /// Ends the mount, mounts again and compares everything.
    ///
    /// # Errors
    /// What fails or differs.
    pub fn remount(self, how: Remount) -> Result<Mount<'a>, String> {
        let Mount {
            handles,
            options,
            vault,
            mut kernel,
        } = self;
        let failed = |what: &'static str| move |error| format!("{what}: {error}");
        let floor = match how {
            Remount::Kill => {
                drop(vault);
                Floor::Logged
            }
            Remount::Close | Remount::ReadOnly => {
                vault.close().map_err(failed("close"))?;
                check_sums(&guards(&*handles()))?;
                Floor::Present
            }
        };
        if how == Remount::ReadOnly {
            let looking = open(
                handles(),
                OpenOptions {
                    read_only: true,
                    ..options.clone()
                },
            )
            .map_err(failed("read-only open"))?;
            kernel.remounted(&Dump::of(&looking)?, floor, None)?;
            refuses_changes(&looking)?;
            looking.close().map_err(failed("close after looking"))?;
        }
        let vault = open(handles(), options.clone()).map_err(failed("open"))?;
        kernel.remounted(&Dump::of(&vault)?, floor, None)?;
        if how != Remount::Kill && vault.node_count() != 1 {
            return Err(format!(
                "{} nodes stay in memory that nobody knows",
                vault.node_count() - 1
            ));
        }
        Ok(Mount {
            handles,
            options,
            vault,
            kernel,
        })
    }

    /// The end of a run: all is there, and when all is removed nothing stays behind.
    ///
    /// # Errors
    /// What differs or stays.
    pub fn finish(mut self) -> Result<(), String> {
        self.kernel.compare(&self.vault)?;
        let mounted = self.remount(Remount::Close)?;
        remove_everything(&mounted.vault)?;
        let handles = mounted.handles;
        mounted
            .vault
            .close()
            .map_err(|error| format!("last close: {error}"))?;
        let stray = left_over(&*handles());
        if stray.is_empty() {
            Ok(())
        } else {
            Err(format!("left over in an empty vault: {stray:?}"))
        }
    }
}

fn refuses_changes(vault: &Vault) -> Result<(), String> {
    use wardfs::vault::{NewKind, ROOT_INO};
    let errno = vault
        .make(ROOT_INO, b"never", NewKind::File, 0o644, 0, 0)
        .map_err(|error| error.errno());
    if errno.is_err_and(|errno| errno == libc::EROFS) {
        Ok(())
    } else {
        Err("a read-only vault was changed".to_owned())
    }
}
