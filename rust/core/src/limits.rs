//! Every bound that a parser keeps, with its unit.

/// Levels of nested containers that the JSON encoder writes natively. Deeper values go to Python's encoder, which knows
/// the limit of its stack.
pub const JSON_DEPTH_MAX: usize = 128;

/// Elements of an Accept-like header that are read; browsers send about ten.
pub const MAX_ACCEPT_ELEMENTS: usize = 256;

/// Parameters (`;name=value`) of one header element that are kept; the Content-Type of a form has one or two.
pub const MAX_HEADER_PARAMETERS: usize = 32;

/// Elements of `Forwarded` and of the fields like it that are read: one for each proxy on the way.
pub const MAX_FORWARDED_ELEMENTS: usize = 100;

/// Pairs (`name=value`) of one element of `Forwarded`; four are defined.
pub const MAX_FORWARDED_PAIRS: usize = 16;

/// Bytes of a multipart boundary. RFC 2046 section 5.1.1 allows 70; some clients exceed it.
pub const MAX_BOUNDARY_BYTES: usize = 256;

/// Headers of one part of a form; browsers send two, some programs send four.
pub const MAX_PART_HEADERS: usize = 8;

/// Bytes of one header line of a part, including its name and colon: enough for a file name of 4096 bytes.
pub const MAX_PART_HEADER_BYTES: usize = 4096 + 128;

/// Bytes of a host name without its final dot. RFC 1035 section 2.3.4 counts 255 with the length of each label.
pub const MAX_HOST_BYTES: usize = 253;

/// Bytes of one label of a host name (RFC 1035 section 2.3.4).
pub const MAX_LABEL_BYTES: usize = 63;
