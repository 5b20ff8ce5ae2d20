//! What only the operating system can give: locked memory for keys, processes, mounting, passed descriptors, and threads that
//! work on what another one has borrowed.
//!
//! This is the only floor with `unsafe` code, one call a block, each with its reason. It knows nothing of
//! keys, vaults or formats: a file that needs a word of theirs belongs elsewhere. Where `rustix` has a safe
//! function for a system call, upper floors call that and not a wrapper from here.

mod arena;
mod crew;
mod descriptor;
mod exchange;
mod fuse;
mod memory;
mod mount;
mod process;
mod scheduling;
mod secret;

pub use crew::Crew;
pub use descriptor::{inherited, recv_fd};
pub use exchange::{EXCHANGE, EXCHANGE_LEN, exchange};
pub use fuse::clone_fuse;
pub use memory::{advise_huge_pages, available_memory, can_hold};
pub use mount::{MountFlags, mount_fuse, unmount};
pub use process::{
    Fork, ForkError, close_inherited, fork, fork_count, harden, set_umask,
    silence_standard_streams, start_session, survive_file_limits,
};
pub use scheduling::{is_scheduled_as_usual, keep_io_priority, step_back, step_forward};
pub use secret::{SecretBytes, secrets_locked};
