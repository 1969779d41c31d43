//! Walks plain Python values, and has the core write each one.

use pallasite_core::json::{write_float, write_int, write_string};
use pallasite_core::limits::JSON_DEPTH_MAX;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{Borrowed, PyTypeInfo};

use super::items::{dict_items, list_items, small_int, text_of};

/// Most responses fit without growing.
const FIRST_CAPACITY: usize = 1024;

/// None: the value is for Python's encoder, which gives the right result or the right error.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub(crate) fn dumps<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(FIRST_CAPACITY);
    write_value(&mut out, obj.as_borrowed(), JSON_DEPTH_MAX)?;
    Some(PyBytes::new(obj.py(), &out))
}

/// None: the value is for the encoder of `FastAPI`.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub(crate) fn dumps_plain<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if is_plain(obj, PLAIN_DEPTH_MAX) {
        dumps(obj)
    } else {
        None
    }
}

/// Whether `jsonable_encoder` of `FastAPI` returns an equal value, which JSON cannot tell from this one.
fn is_plain(value: &Bound<'_, PyAny>, depth_left: usize) -> bool {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return false;
    };
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return dict.iter().all(|(key, value)| {
            let is_kept = key
                .cast_exact::<PyString>()
                .is_ok_and(|key| key.to_str().is_ok_and(|key| !key.starts_with("_sa")));
            is_kept && is_plain(&value, depth_left)
        });
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.iter().all(|item| is_plain(&item, depth_left));
    }
    value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
}

/// The encoder of `FastAPI` recurses in Python, three frames a level, and fails where this does not.
const PLAIN_DEPTH_MAX: usize = 100;

/// Recursion is bounded by `depth_left`, which a value that contains itself runs out of too.
fn write_value(out: &mut Vec<u8>, value: Borrowed<'_, '_, PyAny>, depth_left: usize) -> Option<()> {
    if let Some(text) = exactly::<PyString>(value) {
        write_string(out, text_of(&text)?);
    } else if let Some(number) = exactly::<PyInt>(value) {
        write_number(out, number)?;
    } else if let Some(dict) = exactly::<PyDict>(value) {
        write_dict(out, dict, depth_left.checked_sub(1)?)?;
    } else if let Some(list) = exactly::<PyList>(value) {
        write_list(out, list, depth_left.checked_sub(1)?)?;
    } else if value.is_none() {
        out.extend_from_slice(b"null");
    } else if let Some(flag) = exactly::<PyBool>(value) {
        if flag.is_true() {
            out.extend_from_slice(b"true");
        } else {
            out.extend_from_slice(b"false");
        }
    } else if let Some(number) = exactly::<PyFloat>(value) {
        return write_float(out, number.value()).then_some(());
    } else {
        let tuple = exactly::<PyTuple>(value)?;
        write_tuple(out, tuple, depth_left.checked_sub(1)?)?;
    }
    Some(())
}

/// The value as one of that type, not of a subclass. `cast_exact` counts references for the error that it may return.
#[inline]
fn exactly<'a, 'py, T: PyTypeInfo>(value: Borrowed<'a, 'py, PyAny>) -> Option<Borrowed<'a, 'py, T>> {
    // SAFETY: its type has just been looked at.
    T::is_exact_type_of(&value).then(|| unsafe { value.cast_unchecked() })
}

#[inline(never)]
fn write_dict(out: &mut Vec<u8>, dict: Borrowed<'_, '_, PyDict>, depth_left: usize) -> Option<()> {
    out.push(b'{');
    let mut is_first = true;
    dict_items(dict, |key, value| {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        if let Some(text) = exactly::<PyString>(key) {
            write_string(out, text_of(&text)?);
        } else {
            write_scalar_key(out, key)?;
        }
        out.push(b':');
        write_value(out, value, depth_left)
    })?;
    out.push(b'}');
    Some(())
}

/// Keys that are numbers, booleans or None become strings; containers are no keys, whatever they hold.
fn write_scalar_key(out: &mut Vec<u8>, key: Borrowed<'_, '_, PyAny>) -> Option<()> {
    out.push(b'"');
    write_value(out, key, 0)?;
    out.push(b'"');
    Some(())
}

#[inline(never)]
fn write_list(out: &mut Vec<u8>, list: Borrowed<'_, '_, PyList>, depth_left: usize) -> Option<()> {
    out.push(b'[');
    let mut is_first = true;
    list_items(list, |item| {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        write_value(out, item, depth_left)
    })?;
    out.push(b']');
    Some(())
}

#[inline(never)]
fn write_tuple(out: &mut Vec<u8>, tuple: Borrowed<'_, '_, PyTuple>, depth_left: usize) -> Option<()> {
    out.push(b'[');
    for (index, item) in tuple.iter_borrowed().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, item, depth_left)?;
    }
    out.push(b']');
    Some(())
}

fn write_number(out: &mut Vec<u8>, number: Borrowed<'_, '_, PyInt>) -> Option<()> {
    if let Some(small) = small_int(number) {
        write_int(out, small);
    } else {
        write_large_number(out, number)?;
    }
    Some(())
}

/// Python's own digits: it refuses numbers of more digits than its limit allows.
#[cold]
fn write_large_number(out: &mut Vec<u8>, number: Borrowed<'_, '_, PyInt>) -> Option<()> {
    out.extend_from_slice(number.repr().ok()?.to_str().ok()?.as_bytes());
    Some(())
}
