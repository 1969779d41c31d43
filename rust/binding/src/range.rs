//! The Range header as Python values.

use pallasite_core::range::{self, RangeError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::Result;
use crate::text::text_of;

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (header, size, max_ranges, /))]
pub(crate) fn parse_ranges(
    header: &Bound<'_, PyString>,
    size: u64,
    max_ranges: usize,
) -> Result<Option<Vec<(u64, u64)>>> {
    match range::parse_ranges(&text_of(header)?, size, max_ranges) {
        Ok(ranges) => Ok(Some(ranges)),
        Err(RangeError::NotSatisfiable) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
