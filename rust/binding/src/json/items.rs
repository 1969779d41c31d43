//! Looks into Python values without a reference to each item: half of the time to encode JSON is saved.
//!
//! That is possible where a thread that holds the GIL is alone, and the layout of objects is known. Elsewhere the same
//! functions use `PyO3`'s iterators.

#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED)))]
pub(super) use borrowed::{dict_items, list_items, small_int, text_of};
#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED))]
pub(super) use counted::{dict_items, list_items, small_int, text_of};

/// No reference is taken. The walk of a container ends at the first None, and what is called for an item runs no Python
/// code before that: it looks at exact builtin types only. So nothing can change the container meanwhile.
#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED)))]
mod borrowed {
    use std::ffi::c_int;
    use std::slice;

    use pyo3::Borrowed;
    use pyo3::ffi;
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyInt, PyList, PyString};

    /// Calls `each` with the items of the list.
    #[inline]
    pub(in super::super) fn list_items(
        list: Borrowed<'_, '_, PyList>,
        mut each: impl FnMut(Borrowed<'_, '_, PyAny>) -> Option<()>,
    ) -> Option<()> {
        let mut index = 0;
        // SAFETY: `list` is a list, and the index is below its current length. The item lives as long as the list has
        // it, and the list does not change while `each` runs.
        unsafe {
            while index < ffi::PyList_GET_SIZE(list.as_ptr()) {
                each(Borrowed::from_ptr(
                    list.py(),
                    ffi::PyList_GET_ITEM(list.as_ptr(), index),
                ))?;
                index += 1;
            }
        }
        Some(())
    }

    /// Calls `each` with the keys and values of the dictionary.
    #[inline]
    pub(in super::super) fn dict_items(
        dict: Borrowed<'_, '_, PyDict>,
        mut each: impl FnMut(Borrowed<'_, '_, PyAny>, Borrowed<'_, '_, PyAny>) -> Option<()>,
    ) -> Option<()> {
        let (mut place, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: `dict` is a dictionary that does not change while `each` runs. Key and value live as long as it has
        // them.
        unsafe {
            while ffi::PyDict_Next(dict.as_ptr(), &raw mut place, &raw mut key, &raw mut value) != 0 {
                each(Borrowed::from_ptr(dict.py(), key), Borrowed::from_ptr(dict.py(), value))?;
            }
        }
        Some(())
    }

    /// The text, None if it has no UTF-8 form.
    #[inline]
    pub(in super::super) fn text_of<'a>(text: &'a Borrowed<'_, '_, PyString>) -> Option<&'a str> {
        let pointer = text.as_ptr();
        // SAFETY: a compact string that is ASCII has its characters, a byte each, at the place that `PyUnicode_DATA`
        // gives. They never change.
        unsafe {
            if ffi::PyUnicode_IS_COMPACT_ASCII(pointer) != 0 {
                let length = ffi::PyUnicode_GET_LENGTH(pointer) as usize;
                let bytes = slice::from_raw_parts(ffi::PyUnicode_DATA(pointer).cast::<u8>(), length);
                return Some(std::str::from_utf8_unchecked(bytes));
            }
        }
        text.to_str().ok()
    }

    /// The number, None if it is too large.
    #[inline]
    pub(in super::super) fn small_int(number: Borrowed<'_, '_, PyInt>) -> Option<i64> {
        let mut overflow: c_int = 0;
        // SAFETY: `number` is an int, for which the function sets no exception.
        let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &raw mut overflow) };
        (overflow == 0).then_some(small)
    }
}

#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED))]
mod counted {
    use pyo3::Borrowed;
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyInt, PyList, PyString};

    pub(in super::super) fn list_items(
        list: Borrowed<'_, '_, PyList>,
        mut each: impl FnMut(Borrowed<'_, '_, PyAny>) -> Option<()>,
    ) -> Option<()> {
        list.iter().try_for_each(|item| each(item.as_borrowed()))
    }

    pub(in super::super) fn dict_items(
        dict: Borrowed<'_, '_, PyDict>,
        mut each: impl FnMut(Borrowed<'_, '_, PyAny>, Borrowed<'_, '_, PyAny>) -> Option<()>,
    ) -> Option<()> {
        let (mut items, size) = (dict.iter(), dict.len());
        for _ in 0..size {
            // The iterator panics where a dictionary has changed meanwhile (by another thread): Python finds an answer.
            let (key, value) = if dict.len() == size { items.next()? } else { return None };
            each(key.as_borrowed(), value.as_borrowed())?;
        }
        Some(())
    }

    pub(in super::super) fn text_of<'a>(text: &'a Borrowed<'_, '_, PyString>) -> Option<&'a str> {
        text.to_str().ok()
    }

    pub(in super::super) fn small_int(number: Borrowed<'_, '_, PyInt>) -> Option<i64> {
        number.extract().ok()
    }
}
