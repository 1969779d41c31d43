//! Forms: bodies of `multipart/form-data` and `application/x-www-form-urlencoded`, and the limits and errors that both
//! parsers share.

pub mod multipart;
pub mod parameters;
pub mod urlencoded;

use std::error::Error;
use std::fmt;

/// The largest form that is accepted.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// Parts with a file name.
    pub max_files: u64,
    /// Parts without a file name.
    pub max_fields: u64,
    /// Bytes of one part without a file name.
    pub max_field_bytes: u64,
    /// Bytes of all fields together, including their names.
    pub max_total_field_bytes: u64,
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// The Content-Type has no boundary, or an empty one.
    NoBoundary,
    /// The boundary is longer than `MAX_BOUNDARY_BYTES` or contains a line break.
    BadBoundary,
    /// The body does not start with the boundary, or something else follows a boundary on its line.
    BadDelimiter,
    /// A header of a part is malformed.
    BadHeader,
    /// A header of a part is longer than `MAX_PART_HEADER_BYTES`.
    HeaderTooLong,
    /// A part has more than `MAX_PART_HEADERS` headers.
    TooManyHeaders,
    /// A part has no name.
    NoName,
    /// A part has two names, two file names or two Content-Disposition headers.
    AmbiguousName,
    /// There are more than `FormLimits::max_files` files.
    TooManyFiles,
    /// There are more than `FormLimits::max_fields` fields.
    TooManyFields,
    /// A field is longer than `FormLimits::max_field_bytes`.
    FieldTooLong,
    /// All fields together are longer than `FormLimits::max_total_field_bytes`.
    FieldsTooLarge,
    /// The body ends before the closing boundary.
    Truncated,
}

impl FormError {
    /// The name of the variant, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoBoundary => "no_boundary",
            Self::BadBoundary => "bad_boundary",
            Self::BadDelimiter => "bad_delimiter",
            Self::BadHeader => "bad_header",
            Self::HeaderTooLong => "header_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::NoName => "no_name",
            Self::AmbiguousName => "ambiguous_name",
            Self::TooManyFiles => "too_many_files",
            Self::TooManyFields => "too_many_fields",
            Self::FieldTooLong => "field_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoBoundary => "the Content-Type has no boundary",
            Self::BadBoundary => "the boundary is too long or contains a line break",
            Self::BadDelimiter => "a boundary is missing or its line is malformed",
            Self::BadHeader => "a part has a malformed header",
            Self::HeaderTooLong => "a part has a header that is too long",
            Self::TooManyHeaders => "a part has too many headers",
            Self::NoName => "a part has no name",
            Self::AmbiguousName => "a part has more than one name",
            Self::TooManyFiles => "there are too many files",
            Self::TooManyFields => "there are too many fields",
            Self::FieldTooLong => "a field is too long",
            Self::FieldsTooLarge => "the fields are too large together",
            Self::Truncated => "the body ends before the closing boundary",
        })
    }
}

impl Error for FormError {}
