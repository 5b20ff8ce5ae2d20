//! Claims about real mounts: what programs do to files through the kernel, and what is there afterwards.
//!
//! Every test makes a vault of its own, mounts it with this build's program and unmounts it at the end, which must go well
//! and without one warning from the daemon. Where nothing can be mounted the tests say that they were skipped; where
//! `CI=true` they fail.
//!
//! ```text
//! fixture     vaults, mounts, their ends      commands    running what people run
//! tree        trees of files to compare       machine, needs    an ordinary user, what the machine can do: the cli's
//! trace       the daemon's system calls
//! ```
//!
//! The other files hold the tests, by topic.

#[path = "../cli/machine.rs"]
mod machine;
#[path = "../cli/needs.rs"]
mod needs;

mod access;
mod attributes;
mod commands;
mod content;
mod differences;
mod directories;
mod disks;
mod durability;
mod failing;
mod fixture;
mod full;
mod holes;
mod killed;
mod kills;
mod known;
mod lag;
mod links;
mod lists;
mod lives;
mod mapped;
mod messages;
mod names;
mod places;
mod programs;
mod resources;
mod sparse;
mod storm;
mod system_calls;
mod trace;
mod tree;
