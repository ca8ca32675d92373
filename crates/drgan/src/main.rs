//! The `drgan` program.
use drgan_tensor::ops::CachingAllocator;
use mimalloc::MiMalloc;

/// Training allocates and frees maps of many MiB all the time; other allocators give each back to the system and have it
/// cleared again.
#[global_allocator]
static ALLOCATOR: CachingAllocator<MiMalloc> = CachingAllocator::new(MiMalloc);

fn main() -> std::process::ExitCode {
    drgan_tensor::ops::limit_candle_threads();
    drgan::run(std::env::args_os())
}
