//! `_core.SharedNumbers`: counters in memory that other processes read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

use crate::response_record::ResponseRecord;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct SharedNumbers {
    shared: PyBuffer<u64>,
    /// What `shared` holds. This is the only writer, so it never has to read.
    own: Mutex<Vec<u64>>,
    /// Upper bounds of the buckets in microseconds, ascending. One more bucket is for all that is longer.
    bounds: Vec<u64>,
}

#[pymethods]
impl SharedNumbers {
    #[new]
    #[pyo3(signature = (shared, bounds, /))]
    fn new(py: Python<'_>, shared: PyBuffer<u64>, bounds: Vec<u64>) -> PyResult<Self> {
        if shared.readonly() {
            return Err(PyValueError::new_err("the numbers must be writable"));
        }
        let own = Mutex::new(shared.to_vec(py)?);
        Ok(Self { shared, own, bounds })
    }

    #[pyo3(signature = (index, by, /))]
    fn add(&self, py: Python<'_>, index: usize, by: i64) -> PyResult<()> {
        let mut own = self.locked();
        let number = own
            .get_mut(index)
            .ok_or_else(|| PyIndexError::new_err(format!("there is no number {index}")))?;
        *number = number.wrapping_add_signed(by);
        self.shared.copy_from_slice(py, &own)
    }

    #[pyo3(signature = (record, abandoned, /))]
    fn count(&self, py: Python<'_>, record: &ResponseRecord, abandoned: bool) -> PyResult<()> {
        let histogram = self.bounds.len() + 2;
        let mut own = self.locked();
        if own.len() != 2 * histogram + 2 {
            return Err(PyIndexError::new_err(format!(
                "{} numbers do not hold two histograms and two sums, which take {}",
                own.len(),
                2 * histogram + 2
            )));
        }
        for (start, micros) in [(0, record.duration()), (histogram, record.first_byte())] {
            let bucket = self.bounds.partition_point(|&bound| bound < micros);
            own[start + bucket] += 1;
            own[start + histogram - 1] += micros;
        }
        own[2 * histogram] += record.size();
        own[2 * histogram + 1] += u64::from(abandoned);
        self.shared.copy_from_slice(py, &own)
    }
}

impl SharedNumbers {
    fn locked(&self) -> MutexGuard<'_, Vec<u64>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
