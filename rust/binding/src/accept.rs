//! Accept-like headers and Content-Type as Python values.

use pallasite_core::accept;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::text::{new_text, text_of_either};

/// The choices in an Accept-like header: value, weight and parameters of each.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_accept<'py>(header: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = header.py();
    let choices = PyList::empty(py);
    for choice in accept::parse_accept(&text_of_either(header)?) {
        let parameters = PyDict::new(py);
        for (name, value) in &choice.parameters {
            parameters.set_item(new_text(py, name)?, new_text(py, value)?)?;
        }
        choices.append((
            new_text(py, &choice.value)?,
            weight(choice.weight_thousandths),
            parameters,
        ))?;
    }
    Ok(choices)
}

/// The weight of a coding in an Accept-Encoding header.
#[pyfunction]
#[pyo3(signature = (header, coding, /))]
pub(crate) fn coding_weight(header: &Bound<'_, PyAny>, coding: &str) -> PyResult<f64> {
    Ok(weight(accept::coding_weight(
        &text_of_either(header)?,
        coding.to_ascii_lowercase().as_bytes(),
    )))
}

/// The media type and parameters of a Content-Type header.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_content_type<'py>(
    header: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyDict>)> {
    let py = header.py();
    let text = text_of_either(header)?;
    let parsed = accept::parse_content_type(&text);
    let parameters = PyDict::new(py);
    for (name, value) in &parsed.parameters {
        parameters.set_item(new_text(py, name)?, new_text(py, value)?)?;
    }
    Ok((new_text(py, &parsed.media_type)?, parameters))
}

fn weight(thousandths: u16) -> f64 {
    f64::from(thousandths) / 1000.0
}
