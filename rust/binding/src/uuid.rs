//! New identifiers, from the clock and random bytes of the system.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pallasite_core::uuid;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Random bytes for the next identifiers. Fetched together, because each time costs a system call.
static RANDOM: Mutex<Vec<[u8; 10]>> = Mutex::new(Vec::new());
const AT_ONCE: usize = 64;

/// A new UUID of version 7 as text.
pub(crate) fn uuid7(py: Python<'_>) -> PyResult<Bound<'_, PyString>> {
    // A clock before 1970 counts as 1970.
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let text = uuid::uuid7(milliseconds, random()?);
    PyString::from_bytes(py, &text)
}

/// See `_core.pyi`.
#[pyfunction]
pub(crate) fn forget_random() {
    RANDOM.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

fn random() -> PyResult<[u8; 10]> {
    let mut ready = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = ready.pop() {
        return Ok(bytes);
    }
    let mut fresh = [0; 10 * AT_ONCE];
    getrandom::fill(&mut fresh)
        .map_err(|error| PyOSError::new_err(format!("the system has no random bytes: {error}")))?;
    let (pieces, _) = fresh.as_chunks::<10>();
    let [first, rest @ ..] = pieces else {
        return Ok([0; 10]);
    };
    ready.extend_from_slice(rest);
    Ok(*first)
}
