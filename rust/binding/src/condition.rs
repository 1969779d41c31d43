//! Entity tags in conditional requests.

use pallasite_core::condition;
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
#[pyo3(signature = (tags, tag, /))]
pub(crate) fn names_strong_tag(tags: &Bound<'_, PyString>, tag: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(condition::names_strong_tag(&text_of(tags)?, &text_of(tag)?))
}
