//! The Range header as Python values.

use pallasite_core::range::{self, RangeError, Rules};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::Result;
use crate::text::text_of;

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (header, size, max_ranges, /, *, as_starlette = false))]
pub(crate) fn parse_ranges(
    header: &Bound<'_, PyString>,
    size: u64,
    max_ranges: usize,
    as_starlette: bool,
) -> Result<Option<Vec<(u64, u64)>>> {
    let rules = if as_starlette { Rules::Starlette } else { Rules::Rfc9110 };
    match range::parse_ranges(&text_of(header)?, size, max_ranges, rules) {
        Ok(ranges) => Ok(Some(ranges)),
        Err(RangeError::NotSatisfiable) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
