//! The table that maps each error of the core to a Python exception.
//!
//! Functions in which both the core and Python can fail return [`Error`]; `?` converts either.

use pallasite_core::form::FormError as Form;
use pallasite_core::form::parameters::Repeated;
use pallasite_core::gzip::Error as Gzip;
use pallasite_core::range::RangeError as Range;
use pallasite_core::route::TooManyRoutes;
use pallasite_core::set_cookie::CookieError as Cookie;
use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(pallasite._core, FormError, PyValueError, "See `_core.pyi`.");

/// An error of the core or of Python.
pub(crate) enum Error {
    /// With the name of the cookie.
    Cookie(Cookie, String),
    Form(Form),
    Gzip(Gzip),
    Range(Range),
    Routes(TooManyRoutes),
    /// A Python exception, raised by Python or by the binding.
    Python(PyErr),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Error> for PyErr {
    #[cold]
    fn from(error: Error) -> Self {
        match error {
            Error::Cookie(error, name) => PyValueError::new_err(format!("{error} (cookie {name:?})")),
            Error::Form(error) => FormError::new_err((public_code(error), error.to_string())),
            Error::Gzip(error @ Gzip::OutOfMemory) => PyMemoryError::new_err(error.to_string()),
            Error::Gzip(error) => PyRuntimeError::new_err(error.to_string()),
            Error::Range(error) => PyValueError::new_err(error.to_string()),
            Error::Routes(error) => PyOverflowError::new_err(error.to_string()),
            Error::Python(error) => error,
        }
    }
}

/// The code in `FormError.args`: errors that callers distinguish keep their own code, all others are "malformed".
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
    Form => Form,
    Gzip => Gzip,
    Range => Range,
    TooManyRoutes => Routes,
    PyErr => Python,
}

impl From<Repeated> for Error {
    /// In a form, a repeated parameter makes the name of a part ambiguous.
    #[cold]
    fn from(_: Repeated) -> Self {
        Self::Form(Form::AmbiguousName)
    }
}
