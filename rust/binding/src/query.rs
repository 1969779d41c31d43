//! Query strings, parsed and encoded.

use std::borrow::Cow;

use pallasite_core::query;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::text::{new_text, text_of_either};

/// The fields of a query string, in order.
#[pyfunction]
#[pyo3(signature = (query, /))]
pub(crate) fn parse_query<'py>(query: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let fields = PyList::empty(query.py());
    each_field(query, |name, value| fields.append((name, value)))?;
    Ok(fields)
}

/// The fields of a query string as the two parts of a multidict: all fields, and the last value of each name.
#[pyfunction]
#[pyo3(signature = (query, /))]
pub(crate) fn parse_query_multi<'py>(query: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyDict>)> {
    let py = query.py();
    let (fields, last) = (PyList::empty(py), PyDict::new(py));
    each_field(query, |name, value| {
        last.set_item(&name, &value)?;
        fields.append((name, value))
    })?;
    Ok((fields, last))
}

/// Encodes pairs as a query string.
#[pyfunction]
#[pyo3(signature = (pairs, /))]
pub(crate) fn encode_query(pairs: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut encoded = String::new();
    for pair in pairs.try_iter()? {
        let pair = pair?;
        if !encoded.is_empty() {
            encoded.push('&');
        }
        match pair.cast::<PyTuple>() {
            Ok(tuple) if tuple.len() == 2 => {
                encode_part(&tuple.get_item(0)?, &mut encoded)?;
                encoded.push('=');
                encode_part(&tuple.get_item(1)?, &mut encoded)?;
            }
            _ => {
                return Err(PyTypeError::new_err(format!(
                    "query parameters must be (name, value) tuples, got {}",
                    pair.repr()?
                )));
            }
        }
    }
    Ok(encoded)
}

fn each_field<'py>(
    query: &Bound<'py, PyAny>,
    mut add: impl FnMut(Bound<'py, PyString>, Bound<'py, PyString>) -> PyResult<()>,
) -> PyResult<()> {
    let py = query.py();
    let text: Cow<'_, [u8]> = text_of_either(query)?;
    let mut outcome = Ok(());
    query::parse_query(&text, |name, value| {
        if outcome.is_ok() {
            outcome = new_text(py, &name).and_then(|name| add(name, new_text(py, &value)?));
        }
    });
    outcome
}

/// Appends one part of a pair: bytes unchanged, any other value as its `str()`.
fn encode_part(part: &Bound<'_, PyAny>, encoded: &mut String) -> PyResult<()> {
    if let Ok(bytes) = part.cast::<PyBytes>() {
        query::encode_component(bytes.as_bytes(), encoded);
    } else if let Ok(text) = part.cast_exact::<PyString>() {
        query::encode_component(text.to_str()?.as_bytes(), encoded);
    } else {
        query::encode_component(part.str()?.to_str()?.as_bytes(), encoded);
    }
    Ok(())
}
