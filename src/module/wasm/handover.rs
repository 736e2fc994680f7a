//! Where the host puts what it hands over.
//!
//! The host calls back into this VM for memory whenever it hands something over, some four times in
//! a request. The SDK answers with a new allocation of that size. So that this costs no more than a
//! few instructions, the allocator of this module has one place that it gives out, while the host is
//! asked for something, instead of the heap. Everything else, and what is too large, is the heap's.
//!
//! What the host says of the place is not believed: bytes are only read where they are within what
//! was allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// Bytes of the place. Few requests have more headers than fit.
const PLACE_BYTES: usize = 16 * 1024;

/// Memory that was allocated while the host was asked for something.
#[derive(Clone, Copy)]
struct Block {
    start: *mut u8,
    layout: Layout,
}

#[repr(align(16))]
struct Place(UnsafeCell<[u8; PLACE_BYTES]>);

thread_local! {
    static PLACE: Place = const { Place(UnsafeCell::new([0; PLACE_BYTES])) };
    /// Whether the place is given out.
    static TAKEN: Cell<bool> = const { Cell::new(false) };
    /// Whether the host is asked for something right now.
    static ASKING: Cell<bool> = const { Cell::new(false) };
    /// What was allocated since the host was asked.
    static GIVEN: Cell<Option<Block>> = const { Cell::new(None) };
    #[cfg(route_metrics_trap)]
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn place() -> *mut u8 {
    PLACE.with(|place| place.0.get().cast())
}

struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

impl Allocator {
    /// Memory that is allocated while the host is asked for something.
    #[inline]
    fn hand_out(layout: Layout) -> *mut u8 {
        let fits = layout.size() <= PLACE_BYTES && layout.align() <= align_of::<Place>();
        let start = if fits && !TAKEN.replace(true) {
            place()
        } else {
            // SAFETY: the caller of `alloc` has promised what `System` needs.
            unsafe { System.alloc(layout) }
        };
        GIVEN.set((!start.is_null()).then_some(Block { start, layout }));
        start
    }
}

// SAFETY: the place is given out once at a time, to what fits it. Everything else is handed on to the
// system's allocator as it came.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ASKING.get() {
            return Self::hand_out(layout);
        }
        #[cfg(route_metrics_trap)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that `System` needs.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if ptr::eq(start, place()) {
            TAKEN.set(false);
            return;
        }
        // SAFETY: as above; what is not the place is the system's.
        unsafe { System.dealloc(start, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        #[cfg(route_metrics_trap)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        #[cfg(route_metrics_trap)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above. The place is never here: `ask` gives it back itself.
        unsafe { System.realloc(start, layout, size) }
    }
}

/// How often this module has asked its allocator for memory, without what the host was handed.
#[cfg(route_metrics_trap)]
#[unsafe(no_mangle)]
extern "C" fn route_metrics_allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Asks the host for bytes: `call` gets where the host is to write their place and their number. Then
/// `look` sees them, if there are any; gives what `call` returned. `look` may not keep them, but may
/// call the host.
#[inline]
pub fn ask<T>(call: impl FnOnce(*mut *mut u8, *mut usize) -> T, look: impl FnOnce(&[u8])) -> T {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    ASKING.set(true);
    let result = call(&raw mut data, &raw mut size);
    ASKING.set(false);
    let Some(Block { start, layout }) = GIVEN.take() else { return result };
    if ptr::eq(start, data) && (1..=layout.size()).contains(&size) {
        // SAFETY: the block is this function's: the SDK has left it to the host, which has written
        // the bytes, and keeps nothing. They are within the block.
        look(unsafe { std::slice::from_raw_parts(data, size) });
    }
    // SAFETY: as above; it was allocated with this layout, and nobody else frees it.
    unsafe { ALLOCATOR.dealloc(start, layout) };
    result
}
