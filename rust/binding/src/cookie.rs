//! Cookie headers as dictionaries.

use pallasite_core::{cookie, text};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySet, PyString};

use crate::header::each_value;
use crate::text::{new_text, text_of};

/// The names and values of one Cookie header.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_cookies<'py>(header: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
    let mut jar = Jar::new(header.py());
    jar.add(&text_of(header)?)?;
    jar.cookies()
}

/// The names and values of every Cookie header in an ASGI header list.
#[pyfunction]
#[pyo3(signature = (headers, /))]
pub(crate) fn cookies_from_headers<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = headers.py();
    let mut jar = Jar::new(py);
    each_value(headers, b"cookie", |value| {
        match value.cast::<PyBytes>() {
            Ok(bytes) => jar.add(&text::from_latin1(bytes.as_bytes()))?,
            Err(_) => {
                let decoded = value.call_method1(intern!(py, "decode"), (intern!(py, "latin-1"),))?;
                jar.add(&text_of(decoded.cast()?)?)?;
            }
        }
        Ok(true)
    })?;
    jar.cookies()
}

/// The cookies of a request, while they are collected.
struct Jar<'py> {
    found: Bound<'py, PyDict>,
    /// Names that occur twice although no browser stores two such cookies. Only forged requests have any.
    forged: Option<Bound<'py, PySet>>,
}

impl<'py> Jar<'py> {
    fn new(py: Python<'py>) -> Self {
        Self {
            found: PyDict::new(py),
            forged: None,
        }
    }

    fn add(&mut self, header: &[u8]) -> PyResult<()> {
        let mut outcome = Ok(());
        cookie::parse_cookies(header, |name, value| {
            if outcome.is_ok() {
                outcome = self.put(name, &value);
            }
        });
        outcome
    }

    fn put(&mut self, name: &[u8], value: &[u8]) -> PyResult<()> {
        let py = self.found.py();
        let key = new_text(py, name)?;
        if cookie::is_unique(name) && self.found.contains(&key)? {
            self.forged.get_or_insert(PySet::empty(py)?).add(&key)?;
        }
        self.found.set_item(key, new_text(py, value)?)
    }

    /// The cookies without forged names: there is no way to know which of the two is genuine.
    fn cookies(self) -> PyResult<Bound<'py, PyDict>> {
        for name in self.forged.iter().flatten() {
            self.found.del_item(name)?;
        }
        Ok(self.found)
    }
}
