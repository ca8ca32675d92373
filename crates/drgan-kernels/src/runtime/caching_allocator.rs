//! Memory for maps, kept for the next one.
use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks of this size on are kept here; smaller ones are the inner allocator's.
const LARGE: usize = 1 << 17;
/// Sizes are rounded up to multiples of it, and addresses are multiples of it.
const GRANULE: usize = 1 << 14;
/// What is asked of the inner allocator at once. Pages of it that were never used take no memory.
const REGION: usize = 1 << 30;
/// Regions start where the system's large pages do.
const ALIGN: usize = 1 << 21;

/// A global allocator that keeps large blocks for reuse and leaves small ones to `A`.
///
/// A training step allocates and frees maps of many MiB hundreds of times. Other allocators give such blocks back to the
/// system, which clears each page again when it is next touched: a third of the time of a step of the `birds` preset. Here
/// a freed block joins its free neighbours, and the smallest free block that is large enough is taken next, so that
/// about as much memory is held as was in use at the worst moment. None of it is given back before the process ends.
///
/// ```
/// use drgan_kernels::CachingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CachingAllocator<std::alloc::System> = CachingAllocator::new(std::alloc::System);
///
/// let first = vec![1f32; 1 << 20];
/// let address = first.as_ptr();
/// drop(first);
/// assert_eq!(vec![0f32; 1 << 20].as_ptr(), address);
/// assert_eq!(ALLOCATOR.peak(), 4 << 20);
/// ```
#[derive(Debug)]
pub struct CachingAllocator<A> {
    inner: A,
    pool: Mutex<Pool>,
}

/// Free blocks, and how much is lent out. Its trees are small blocks, the inner allocator's.
#[derive(Debug)]
struct Pool {
    by_address: BTreeMap<usize, usize>,
    by_size: BTreeSet<(usize, usize)>,
    /// Where the newest region's untouched rest starts and ends.
    fresh: (usize, usize),
    in_use: usize,
    peak: usize,
}

impl Pool {
    /// The smallest free block that is large enough, lowest address first; what is over stays free.
    fn take(&mut self, size: usize) -> Option<usize> {
        let (found, address) = *self.by_size.range((size, 0)..).next()?;
        self.by_size.remove(&(found, address));
        self.by_address.remove(&address);
        if found > size {
            self.insert(address + size, found - size);
        }
        Some(address)
    }

    /// From memory that nobody has had yet.
    fn take_fresh(&mut self, size: usize) -> Option<usize> {
        let (start, end) = self.fresh;
        (end - start >= size).then(|| {
            self.fresh.0 += size;
            start
        })
    }

    fn insert(&mut self, address: usize, size: usize) {
        self.by_address.insert(address, size);
        self.by_size.insert((size, address));
    }

    /// Takes a block back and joins it with the free ones beside it.
    fn give(&mut self, mut address: usize, mut size: usize) {
        if let Some((&before, &length)) = self.by_address.range(..address).next_back()
            && before + length == address
        {
            self.by_address.remove(&before);
            self.by_size.remove(&(length, before));
            (address, size) = (before, size + length);
        }
        if let Some(length) = self.by_address.remove(&(address + size)) {
            self.by_size.remove(&(length, address + size));
            size += length;
        }
        self.insert(address, size);
    }

    fn lend(&mut self, size: usize) {
        self.in_use += size;
        self.peak = self.peak.max(self.in_use);
    }
}

fn is_large(layout: &Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= GRANULE
}

/// `size` in whole granules; too large a size stays as it is and fails where it is asked for.
fn rounded(size: usize) -> usize {
    size.checked_next_multiple_of(GRANULE).unwrap_or(size)
}

impl<A: GlobalAlloc> CachingAllocator<A> {
    /// Over `inner`, which gives the memory.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            pool: Mutex::new(Pool {
                by_address: BTreeMap::new(),
                by_size: BTreeSet::new(),
                fresh: (0, 0),
                in_use: 0,
                peak: 0,
            }),
        }
    }

    /// The most bytes of large blocks that were in use at one time.
    pub fn peak(&self) -> usize {
        self.lock().peak
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of `size` bytes, a multiple of the granule, and whether all of it is zero; 0 if there is no memory.
    fn take(&self, size: usize) -> (usize, bool) {
        let mut pool = self.lock();
        let found = match pool.take(size) {
            Some(address) => (address, false),
            None => (pool.take_fresh(size).unwrap_or_else(|| self.grow(&mut pool, size)), true),
        };
        if found.0 != 0 {
            pool.lend(size);
        }
        found
    }

    /// The first `size` bytes of a new region; 0 if the inner allocator has none.
    fn grow(&self, pool: &mut Pool, size: usize) -> usize {
        for length in [REGION.max(size), size] {
            let Ok(layout) = Layout::from_size_align(length, ALIGN) else { continue };
            // SAFETY: the size is not 0.
            let region = unsafe { self.inner.alloc_zeroed(layout) } as usize;
            if region == 0 {
                continue;
            }
            let (start, end) = pool.fresh;
            if start < end {
                pool.give(start, end - start);
            }
            pool.fresh = (region + size, region + length);
            return region;
        }
        0
    }
}

// SAFETY: a large block comes from a region of the inner allocator that is never given back, starts at a multiple of the
// granule, and belongs to nobody else until it is returned: `Pool` holds free blocks only, takes one out before it lends
// it, and cuts it at the rounded size, which the caller's layout gives again at `dealloc`. Small blocks, and those of
// a larger alignment, are the inner allocator's in every function.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CachingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            return self.take(rounded(layout.size())).0 as *mut u8;
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(&layout) {
            let (address, zero) = self.take(rounded(layout.size()));
            let block = address as *mut u8;
            if address != 0 && !zero {
                // SAFETY: the block is at least that long, and nobody else's.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(&layout) {
            let size = rounded(layout.size());
            let mut pool = self.lock();
            pool.in_use -= size;
            pool.give(block as usize, size);
            return;
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { self.inner.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is a valid size.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(&layout), is_large(&wanted)) {
            // SAFETY: the caller's promise, passed on.
            (false, false) => unsafe { self.inner.realloc(block, layout, size) },
            (true, true) if rounded(layout.size()) == rounded(size) => block,
            _ => {
                // SAFETY: a new block of another place; both are at least as long as what is copied; the old one is the
                // caller's to give back.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        block.copy_to_nonoverlapping(moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use std::alloc::System;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn blocks_never_overlap_and_join_again_when_all_are_free() {
        // As programs have it: what it keeps until they end is reached from it, and so no leak.
        static POOL: CachingAllocator<System> = CachingAllocator::new(System);
        let pool = &POOL;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
        for round in 0..400u32 {
            let mark = round as u8;
            if held.is_empty() || rng.random_bool(0.55) {
                let size = rng.random_range(1..5 * LARGE);
                // SAFETY: blocks are used within their sizes, and given back with the layouts they were taken with.
                unsafe {
                    let zeroed = rng.random_bool(0.5);
                    let p = if zeroed { pool.alloc_zeroed(layout(size)) } else { pool.alloc(layout(size)) };
                    assert!(!p.is_null() && (size < LARGE || (p as usize).is_multiple_of(GRANULE)));
                    let bytes = std::slice::from_raw_parts_mut(p, size);
                    assert!(!zeroed || bytes.iter().all(|b| *b == 0), "a zeroed block that is not");
                    bytes.fill(mark);
                    held.push((p, size, mark));
                }
            } else {
                let (p, size, mark) = held.swap_remove(rng.random_range(0..held.len()));
                // SAFETY: as above.
                unsafe {
                    assert!(std::slice::from_raw_parts(p, size).iter().all(|b| *b == mark), "overwritten");
                    let longer = rng.random_range(1..3 * LARGE);
                    let p = pool.realloc(p, layout(size), longer);
                    let kept = std::slice::from_raw_parts(p, size.min(longer));
                    assert!(kept.iter().all(|b| *b == mark), "lost in moving");
                    pool.dealloc(p, layout(longer));
                }
            }
        }
        for (p, size, _) in held {
            // SAFETY: as above.
            unsafe { pool.dealloc(p, layout(size)) };
        }
        let pool = pool.lock();
        assert_eq!(
            (pool.in_use, pool.by_address.len(), pool.by_size.len()),
            (0, 1, 1),
            "one region, one block"
        );
        assert!(pool.peak > 20 * LARGE && pool.peak < REGION);
    }

    #[test]
    fn the_smallest_block_that_fits_is_taken() {
        static POOL: CachingAllocator<System> = CachingAllocator::new(System);
        let pool = &POOL;
        let sizes = [4 * LARGE, LARGE, 2 * LARGE, LARGE];
        // SAFETY: blocks are given back with the layouts they were taken with, and are not used.
        unsafe {
            let blocks = sizes.map(|size| pool.alloc(layout(size)));
            pool.dealloc(blocks[0], layout(sizes[0]));
            pool.dealloc(blocks[2], layout(sizes[2]));
            assert_eq!(pool.alloc(layout(2 * LARGE - 5)), blocks[2]);
            assert_eq!(pool.alloc(layout(3 * LARGE)), blocks[0]);
            assert_eq!(pool.alloc(layout(LARGE)), blocks[0].add(3 * LARGE));
            assert!(pool.alloc(layout(LARGE)) > blocks[3], "nothing else was free");
        }
        assert_eq!(pool.peak(), 9 * LARGE);
    }
}
