//! What conditional requests name: entity tags and dates.

use pallasite_core::{condition, date};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::text::text_of;

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (tags, tag, /))]
pub(crate) fn names_tag(tags: &Bound<'_, PyString>, tag: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(condition::names_tag(&text_of(tags)?, &text_of(tag)?))
}

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn parse_http_date(text: &Bound<'_, PyString>) -> PyResult<Option<i64>> {
    Ok(date::parse_http_date(&text_of(text)?))
}
