//! HTTP dates, written and read.

use pallasite_core::date;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};

use crate::text::text_of;

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (timestamp, /))]
pub(crate) fn http_date(py: Python<'_>, timestamp: f64) -> PyResult<Bound<'_, PyString>> {
    let date = date::imf_fixdate(timestamp.floor() as i64).filter(|_| timestamp.is_finite());
    let date = date.ok_or_else(|| {
        PyValueError::new_err(format!(
            "an HTTP date must be in the years 1 to 9999, got the timestamp {}",
            PyFloat::new(py, timestamp)
        ))
    })?;
    PyString::from_bytes(py, &date)
}

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn parse_http_date(text: &Bound<'_, PyString>) -> PyResult<Option<i64>> {
    Ok(date::parse_http_date(&text_of(text)?))
}
