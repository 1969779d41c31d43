//! Compression with gzip: whole bodies and streams.

use std::sync::{Mutex, PoisonError};

use pallasite_core::gzip::{self as core, Flush, Stream};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Result;

/// Inputs of at least this size, in bytes, take about a millisecond or more.
const DETACH_BYTES: usize = 128 * 1024;

/// The level that zlib uses for -1.
const DEFAULT_LEVEL: u8 = 6;

/// Compresses all of `data`.
#[pyfunction]
#[pyo3(signature = (data, level = 9, /))]
pub(crate) fn gzip<'py>(data: &Bound<'py, PyAny>, level: i32) -> Result<Bound<'py, PyBytes>> {
    let py = data.py();
    let level = level_of(level)?;
    let compressed = with_bytes(data, |bytes| core::compress(bytes, level))?;
    Ok(PyBytes::new(py, &compressed))
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct GzipStream {
    /// None during a call, so that no thread waits for the lock while attached to the interpreter.
    stream: Mutex<Option<Stream>>,
}

#[pymethods]
impl GzipStream {
    #[new]
    #[pyo3(signature = (level = 9))]
    fn new(level: i32) -> PyResult<Self> {
        Ok(Self {
            stream: Mutex::new(Some(Stream::new(level_of(level)?))),
        })
    }

    #[pyo3(signature = (data, /, flush = 0))]
    fn compress<'py>(&self, data: &Bound<'py, PyAny>, flush: i32) -> Result<Bound<'py, PyBytes>> {
        let py = data.py();
        let flush = flush_of(flush)?;
        let Some(mut stream) = self.slot().take() else {
            let message = "the stream is in use by another thread; create one stream per response";
            return Err(PyRuntimeError::new_err(message).into());
        };
        let compressed = with_bytes(data, |bytes| stream.compress(bytes, flush));
        *self.slot() = Some(stream);
        Ok(PyBytes::new(py, &compressed?))
    }

    #[pyo3(signature = (mode = 4))]
    fn flush<'py>(&self, py: Python<'py>, mode: i32) -> Result<Bound<'py, PyBytes>> {
        self.compress(PyBytes::new(py, b"").as_any(), mode)
    }
}

impl GzipStream {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on the bytes of `data`, detached from the interpreter if there are `DETACH_BYTES` or more.
fn with_bytes<F>(data: &Bound<'_, PyAny>, work: F) -> Result<Vec<u8>>
where
    F: Send + FnOnce(&[u8]) -> Result<Vec<u8>, core::Error>,
{
    let py = data.py();
    let copy;
    let bytes = match data.cast::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes(),
        Err(_) => {
            // Other buffers may change during the call.
            copy = PyBuffer::<u8>::get(data)?.to_vec(py)?;
            &copy
        }
    };
    let outcome = if bytes.len() < DETACH_BYTES {
        work(bytes)
    } else {
        py.detach(|| work(bytes))
    };
    Ok(outcome?)
}

fn level_of(level: i32) -> PyResult<u8> {
    match u8::try_from(level) {
        _ if level == -1 => Ok(DEFAULT_LEVEL),
        Ok(level) if level <= core::MAX_LEVEL => Ok(level),
        _ => Err(PyValueError::new_err(format!(
            "compression level must be between -1 and 9, got {level}"
        ))),
    }
}

fn flush_of(mode: i32) -> PyResult<Flush> {
    match mode {
        0 => Ok(Flush::No),
        2 => Ok(Flush::Sync),
        4 => Ok(Flush::Finish),
        _ => Err(PyValueError::new_err(format!(
            "flush mode must be 0 (Z_NO_FLUSH), 2 (Z_SYNC_FLUSH) or 4 (Z_FINISH), got {mode}"
        ))),
    }
}
