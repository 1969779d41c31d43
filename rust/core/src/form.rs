//! What parsers of forms have in common: how much they accept, and why they refuse.

use std::error::Error;
use std::fmt;

/// How much of a form is accepted.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// Parts that have a file name.
    pub max_files: u64,
    /// Parts that have none.
    pub max_fields: u64,
    /// Bytes in a part that has no file name.
    pub max_field_bytes: u64,
    /// Bytes of all fields together, names included.
    pub max_total_field_bytes: u64,
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// There is no boundary, or more than one.
    NoBoundary,
    /// Longer than `MAX_BOUNDARY_BYTES`, or with a line break in it.
    BadBoundary,
    /// The body does not begin with the boundary, or a boundary's line does not end where it must.
    BadDelimiter,
    /// A line among a part's headers that is none.
    BadHeader,
    /// A header line of more than `MAX_PART_HEADER_BYTES`.
    HeaderTooLong,
    /// More than `MAX_PART_HEADERS` in a part.
    TooManyHeaders,
    /// A part without a name.
    NoName,
    /// A part with two names, two file names or two Content-Disposition headers.
    AmbiguousName,
    /// More than `FormLimits::max_files`.
    TooManyFiles,
    /// More than `FormLimits::max_fields`.
    TooManyFields,
    /// A field of more than `FormLimits::max_field_bytes`.
    FieldTooLong,
    /// Fields of more than `FormLimits::max_total_field_bytes` together.
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
            Self::NoBoundary => "the Content-Type has no boundary, or several",
            Self::BadBoundary => "the boundary is too long or has a line break in it",
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
