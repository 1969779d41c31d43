//! What can go wrong in the core, and the Python exception that each error becomes: one table for all of them.
//!
//! Functions return [`Error`] where both the core and Python can fail; `?` converts either.

use pallasite_core::form::FormError as Form;
use pallasite_core::gzip::Error as Gzip;
use pallasite_core::parameters::Repeated;
use pallasite_core::range::RangeError as Range;
use pallasite_core::route::TooManyRoutes;
use pallasite_core::set_cookie::CookieError as Cookie;
use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(pallasite._core, FormError, PyValueError, "See `_core.pyi`.");

/// An error on its way to Python.
pub(crate) enum Error {
    Cookie(Cookie),
    Form(Form),
    Gzip(Gzip),
    Range(Range),
    Routes(TooManyRoutes),
    /// One that Python raised, or that the binding itself did.
    Python(PyErr),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Error> for PyErr {
    #[cold]
    fn from(error: Error) -> Self {
        match error {
            Error::Cookie(error) => PyValueError::new_err(error.to_string()),
            Error::Form(error) => FormError::new_err((public_code(error), error.to_string())),
            Error::Gzip(error @ Gzip::OutOfMemory) => PyMemoryError::new_err(error.to_string()),
            Error::Gzip(error) => PyRuntimeError::new_err(error.to_string()),
            Error::Range(error) => PyValueError::new_err(error.to_string()),
            Error::Routes(error) => PyOverflowError::new_err(error.to_string()),
            Error::Python(error) => error,
        }
    }
}

/// `FormError.code`: what callers answer differently has a code of its own, all else is malformed.
fn public_code(error: Form) -> &'static str {
    match error {
        Form::NoBoundary
        | Form::NoName
        | Form::TooManyFiles
        | Form::TooManyFields
        | Form::FieldTooLong
        | Form::FieldsTooLarge => error.code(),
        _ => "malformed",
    }
}

macro_rules! convert {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Error {
            #[cold]
            fn from(error: $from) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

convert! {
    Cookie => Cookie,
    Form => Form,
    Gzip => Gzip,
    Range => Range,
    TooManyRoutes => Routes,
    PyErr => Python,
}

impl From<Repeated> for Error {
    /// To a form, a parameter that is there twice is a name that means two things.
    #[cold]
    fn from(_: Repeated) -> Self {
        Self::Form(Form::AmbiguousName)
    }
}
