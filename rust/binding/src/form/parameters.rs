//! `_core.form_parameters`: parameters of Content-Type and Content-Disposition headers in forms.

use pallasite_core::form::parameters::find_parameters;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Result;

type OptionalBytes<'py> = Option<Bound<'py, PyBytes>>;

/// The values of two parameters of a Content-Type or Content-Disposition header in a form.
#[pyfunction]
#[pyo3(signature = (header, first, second, /))]
pub(crate) fn form_parameters<'py>(
    py: Python<'py>,
    header: &[u8],
    first: &[u8],
    second: &[u8],
) -> Result<(OptionalBytes<'py>, OptionalBytes<'py>)> {
    let found = find_parameters(header, [first, second])?;
    Ok(found.map(|value| value.map(|value| PyBytes::new(py, &value))).into())
}
