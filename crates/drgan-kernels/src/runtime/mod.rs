//! What a program that trains sets up once for its process: the allocator, and candle's threads.
mod caching_allocator;
mod threads;

pub use caching_allocator::CachingAllocator;
pub use threads::limit_candle_threads;
