//! The program `wardfs`. Everything is in the library's `cli` floor.

/// Gives memory back that the C library's keeps: see the feature in the manifest.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    wardfs::cli::main()
}
