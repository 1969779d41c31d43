//! Cookie headers as dictionaries.

use pallasite_core::{cookie, text};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::header::each_value;
use crate::text::{new_text, text_of};

/// One Cookie header's names and values.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_cookies<'py>(header: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
    let cookies = PyDict::new(header.py());
    add_cookies(&cookies, &text_of(header)?)?;
    Ok(cookies)
}

/// The names and values of every Cookie header in an ASGI header list.
#[pyfunction]
#[pyo3(signature = (headers, /))]
pub(crate) fn cookies_from_headers<'py>(
    headers: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = headers.py();
    let cookies = PyDict::new(py);
    each_value(headers, b"cookie", |value| {
        match value.cast::<PyBytes>() {
            Ok(bytes) => add_cookies(&cookies, &text::from_latin1(bytes.as_bytes()))?,
            Err(_) => {
                let decoded =
                    value.call_method1(intern!(py, "decode"), (intern!(py, "latin-1"),))?;
                add_cookies(&cookies, &text_of(decoded.cast()?)?)?;
            }
        }
        Ok(true)
    })?;
    Ok(cookies)
}

fn add_cookies(cookies: &Bound<'_, PyDict>, header: &[u8]) -> PyResult<()> {
    let py = cookies.py();
    let mut outcome = Ok(());
    cookie::parse_cookies(header, |name, value| {
        if outcome.is_ok() {
            outcome =
                new_text(py, name).and_then(|name| cookies.set_item(name, new_text(py, &value)?));
        }
    });
    outcome
}
