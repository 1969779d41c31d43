//! The work and memory allowed to a parser: a number of steps and bytes for each byte of input, and a constant.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pallasite_core::scan::steps_of;

/// The constant part: tables on the heap, the first allocation of a vector, fixed comparisons.
const BASE_STEPS: u64 = 512;
const BASE_BYTES: u64 = 8192;

/// Runs `work` on an input of `length` bytes.
///
/// # Panics
/// If that takes more than `steps_each` steps or `bytes_each` bytes of newly allocated memory for each byte.
pub(crate) fn linear<T>(length: usize, steps_each: u64, bytes_each: u64, work: impl FnOnce() -> T) -> T {
    let length = length as u64;
    let before = ALLOCATED.get();
    let (given, steps) = steps_of(work);
    let bytes = ALLOCATED.get() - before;
    assert!(
        steps <= steps_each * length + BASE_STEPS,
        "{steps} steps for {length} bytes"
    );
    assert!(
        bytes <= bytes_each * length + BASE_BYTES,
        "{bytes} bytes allocated for {length} bytes"
    );
    given
}

std::thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a sum of all allocations of this thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn add(bytes: usize) {
    // Fails while the thread ends.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes as u64));
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}
