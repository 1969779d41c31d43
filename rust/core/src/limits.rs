//! Every bound that a parser keeps, in one place, with its unit.

/// Containers inside containers that the JSON encoder follows natively; deeper values go to Python's encoder,
/// which knows how deep its own stack may grow.
pub const JSON_DEPTH_MAX: usize = 128;

/// Elements of an Accept-like header that are looked at; a browser sends about ten.
pub const MAX_ACCEPT_ELEMENTS: usize = 256;

/// Parameters kept of one header element (`;name=value`); a form's Content-Type has one or two.
pub const MAX_HEADER_PARAMETERS: usize = 32;

/// Bytes of a multipart boundary. RFC 2046 section 5.1.1 allows 70; clients are not always so modest.
pub const MAX_BOUNDARY_BYTES: usize = 256;

/// Headers of one part of a form; browsers send two, some programs four.
pub const MAX_PART_HEADERS: usize = 8;

/// Bytes of one header line of a part, name and colon included: a file name of 4096 bytes fits.
pub const MAX_PART_HEADER_BYTES: usize = 4096 + 128;
