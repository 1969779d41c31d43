//! Content-Type: the media type and the first parameter of each name, and the parameters as read in forms.

use pallasite_core::accept::parse_content_type;
use pallasite_core::limits::MAX_HEADER_PARAMETERS;

use crate::form_parameters;
use crate::header;
use crate::work::linear;

// A header is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    form_parameters::check(input);
    let found = linear(input.len(), 48, 128, || parse_content_type(input));
    let (value, mut parameters) = header::reference(input, false).remove(0);
    assert_eq!(found.media_type, value.to_ascii_lowercase());
    parameters.truncate(MAX_HEADER_PARAMETERS);
    let mut expected: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (name, value) in parameters {
        let name = name.to_ascii_lowercase();
        if expected.iter().all(|(known, _)| *known != name) {
            expected.push((name, value));
        }
    }
    let found = found.parameters.into_iter();
    assert_eq!(
        found
            .map(|(name, value)| (name, value.into_owned()))
            .collect::<Vec<_>>(),
        expected
    );
}
