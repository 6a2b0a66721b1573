//! The `postrider` program.

use std::process::ExitCode;

/// Many small allocations a message, on several threads: this allocator takes less of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postrider::cli::run()
}
