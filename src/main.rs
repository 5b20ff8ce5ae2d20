//! The program `wardfs`. Everything is in the library's `cli` floor.

fn main() -> std::process::ExitCode {
    wardfs::cli::main()
}
