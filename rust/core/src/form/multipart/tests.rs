use super::*;
use proptest::prelude::*;

const LIMITS: FormLimits = FormLimits {
    max_files: 2,
    max_fields: 3,
    max_field_bytes: 16,
    max_total_field_bytes: 40,
};

/// A part as the tests see it: name, file name, content.
type Read = (String, Option<String>, Vec<u8>);

fn read_pieces(pieces: &[&[u8]], limits: FormLimits) -> (Result<Vec<Read>, FormError>, u64) {
    let mut parser = MultipartParser::new(b"B-B", limits).expect("a boundary as it should be");
    let mut parts: Vec<Read> = Vec::new();
    let mut open = false;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = parser.feed(piece, |event| {
            match event {
                Event::Part(part) => {
                    assert!(!open);
                    open = true;
                    let filename = part.filename.as_deref().map(text);
                    parts.push((text(&part.name), filename, Vec::new()));
                }
                Event::Content(span) => {
                    let content = piece.get(span).expect("a span inside the piece");
                    assert!(open && !content.is_empty());
                    parts.last_mut().expect("a part").2.extend(content);
                }
                Event::Held(content) => parts.last_mut().expect("a part").2.extend(content),
                Event::End => {
                    assert!(open);
                    open = false;
                }
            }
            Ok(())
        });
        if outcome.is_err() {
            break;
        }
    }
    (outcome.and_then(|()| parser.finish()).map(|()| parts), parser.steps())
}

fn read(body: &[u8]) -> Result<Vec<Read>, FormError> {
    read_pieces(&[body], LIMITS).0
}

fn field(name: &str, content: &str) -> String {
    format!("--B-B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
}

fn fields(expected: &[(&str, &str)]) -> Vec<Read> {
    expected
        .iter()
        .map(|(name, content)| ((*name).to_owned(), None, content.as_bytes().to_vec()))
        .collect()
}

#[test]
fn parts_fields_and_files_in_order() {
    let body = field("a", "1")
        + "--B-B\r\nX: y\r\ncontent-disposition:form-data; name=f; filename=\"C:\\x\\f.txt\"\r\n\r\n\0\r\n\r\n"
        + &field("b", "")
        + "--B-B--\r\nwhatever";
    assert_eq!(
        read(body.as_bytes()),
        Ok(vec![
            ("a".into(), None, b"1".to_vec()),
            ("f".into(), Some("f.txt".into()), b"\0\r\n".to_vec()),
            ("b".into(), None, b"".to_vec()),
        ])
    );
}

#[test]
fn extended_file_name_makes_a_file_unless_there_is_another_name() {
    let part = |parameters: &str| format!("--B-B\r\nContent-Disposition: form-data; {parameters}\r\n\r\n1\r\n--B-B--");
    for (parameters, expected) in [
        ("name=f; filename*=utf-8''%E6%B1%89.txt", Ok("汉.txt")),
        ("filename*=UTF-8''C:%5Cx%5Cf.txt; name=f", Ok("f.txt")),
        ("name=f; filename=a; filename*=utf-8''b", Ok("a")),
        ("name=f; filename*=utf-8''b; filename=a", Ok("a")),
        ("name=f; filename=a; filename*=malformed", Ok("a")),
        ("name=f; filename*=malformed", Err(FormError::BadHeader)),
        (
            "name=f; filename*=utf-8''a; filename*=utf-8''a",
            Err(FormError::AmbiguousName),
        ),
        ("filename*=utf-8''a", Err(FormError::NoName)),
    ] {
        let expected = expected.map(|name: &str| vec![("f".to_owned(), Some(name.to_owned()), b"1".to_vec())]);
        assert_eq!(read(part(parameters).as_bytes()), expected, "{parameters}");
    }
}

#[test]
fn fields_have_a_limit_together() {
    let limits = FormLimits {
        max_total_field_bytes: 9,
        ..LIMITS
    };
    let body = |last: &str| field("a", "123") + &field("b", last) + "--B-B--";
    assert!(read_pieces(&[body("1234").as_bytes()], limits).0.is_ok());
    for size in [1, 7, 1000] {
        let (body, names) = (body("12345"), field("", "") + &field("0123456789", "") + "--B-B--");
        for body in [&body, &names] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            assert_eq!(read_pieces(&pieces, limits).0, Err(FormError::FieldsTooLarge));
        }
    }
}

#[test]
fn content_that_looks_like_a_delimiter_is_kept() {
    for content in [
        "\r\n--B",
        "\r\n--B-Bx",
        "\r\n--B-B-",
        "\r\n--B-B\r",
        "\r\n--B-B\rx",
        "\r\n\r\n--B-",
        "\r\r\n",
        "--B-B--",
        "\n--B-B\n",
    ] {
        let body = field("a", content) + "--B-B--";
        assert_eq!(read(body.as_bytes()), Ok(fields(&[("a", content)])), "{content:?}");
    }
}

#[test]
fn lines_around_boundaries_are_read_leniently() {
    let last = "--B-B--";
    for body in [
        format!("\r\n{}{last}", field("a", "1")),
        format!("\nthis is skipped{}{last}", field("a", "1")),
        format!("{}--B-B--{}", field("a", "1"), field("b", "2")),
    ] {
        assert_eq!(read(body.as_bytes()), Ok(fields(&[("a", "1")])), "{body:?}");
    }
    let padded = field("a", "1") + &field("b", "2").replacen("B-B", "B-B \t ", 1) + last;
    assert_eq!(read(padded.as_bytes()), Ok(fields(&[("a", "1"), ("b", "2")])));
    assert_eq!(read(last.as_bytes()), Ok(vec![]));
}

#[test]
fn errors_table() {
    let head = "--B-B\r\nContent-Disposition: form-data; name=a";
    let end = "\r\n\r\n\r\n--B-B--";
    for (body, error) in [
        ("\r\nno boundary".into(), FormError::Truncated),
        ("preamble\r\n--B-B--".into(), FormError::BadDelimiter),
        ("--B-C\r\n".into(), FormError::BadDelimiter),
        ("--B-B\n".into(), FormError::BadDelimiter),
        ("--B-B \r\n".into(), FormError::BadDelimiter),
        ("--B-B\rx".into(), FormError::BadDelimiter),
        ("--B-B-x".into(), FormError::BadDelimiter),
        (
            format!("{head}{}", end.replace("--B-B--", "--B-B x")),
            FormError::BadDelimiter,
        ),
        (
            format!("{head}{}", end.replace("--B-B--", "--B-B \rx")),
            FormError::BadDelimiter,
        ),
        (format!("--B-B{end}"), FormError::NoName),
        (format!("--B-B\r\nX: y; name=a{end}"), FormError::NoName),
        (format!("{head}; name=b{end}"), FormError::AmbiguousName),
        (format!("{head}; filename=b; filename=b{end}"), FormError::AmbiguousName),
        (
            format!("{head}\r\nContent-Disposition: x; name=a{end}"),
            FormError::AmbiguousName,
        ),
        (format!("--B-B\r\nno colon{end}"), FormError::BadHeader),
        (format!("--B-B\r\n: y{end}"), FormError::BadHeader),
        (format!("--B-B\r\na b: y{end}"), FormError::BadHeader),
        (format!("{head}\rx{end}"), FormError::BadHeader),
        (format!("{head}\r\n\rx{end}"), FormError::BadHeader),
        (
            format!("{head}{}{end}", "x".repeat(MAX_PART_HEADER_BYTES)),
            FormError::HeaderTooLong,
        ),
        (
            format!("{head}{}{end}", "\r\nx:".repeat(MAX_PART_HEADERS)),
            FormError::TooManyHeaders,
        ),
        (field("a", &"x".repeat(17)) + "--B-B--", FormError::FieldTooLong),
        (field("a", "").repeat(4) + "--B-B--", FormError::TooManyFields),
        (
            format!("{head}; filename=b{}", &end[..6]).repeat(3),
            FormError::TooManyFiles,
        ),
        (field("a", "1"), FormError::Truncated),
        (field("a", "1") + "--B-B", FormError::Truncated),
        (field("a", "1") + "--B-B-", FormError::Truncated),
        (field("a", "1") + "--B-B\r\n", FormError::Truncated),
    ] {
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(read(body.as_bytes()), Err(error), "{body:?}");
        assert_eq!(read_pieces(&bytes, LIMITS).0, Err(error), "{body:?} byte by byte");
    }
}

#[test]
fn limits_are_allowed_to_be_reached() {
    let header = "x:".to_owned() + &"y".repeat(MAX_PART_HEADER_BYTES - 2);
    let mut body = "\r\n--B-B\r\n".to_owned() + &header + "\r\n";
    body += &"x:\r\n".repeat(MAX_PART_HEADERS - 2);
    body += "Content-Disposition: form-data; name=a\r\n\r\n0123456789abcdef\r\n--B-B--";
    let expected = Ok(fields(&[("a", "0123456789abcdef")]));
    assert_eq!(read(body.as_bytes()), expected);
    for size in [1, 7, MAX_PART_HEADER_BYTES] {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
        assert_eq!(read_pieces(&pieces, LIMITS).0, expected);
    }
}

#[test]
fn boundaries_that_cannot_be_are_refused() {
    for (boundary, error) in [
        (&b""[..], FormError::NoBoundary),
        (b"a\rb", FormError::BadBoundary),
        (b"a\nb", FormError::BadBoundary),
        (&[b'x'; MAX_BOUNDARY_BYTES + 1], FormError::BadBoundary),
    ] {
        assert_eq!(MultipartParser::new(boundary, LIMITS).err(), Some(error));
    }
    assert!(MultipartParser::new(&[b'x'; MAX_BOUNDARY_BYTES], LIMITS).is_ok());
}

#[test]
fn error_stays() {
    let mut parser = MultipartParser::new(b"B", LIMITS).expect("a boundary as it should be");
    for piece in [&b"x"[..], b"--B--"] {
        let outcome = parser.feed(piece, |_| Ok(()));
        assert_eq!(outcome, Err(FormError::BadDelimiter));
    }
    assert_eq!(parser.finish(), Err(FormError::BadDelimiter));
}

#[test]
fn steps_grow_with_the_body_on_hostile_content() {
    let limits = FormLimits {
        max_files: u64::MAX,
        max_fields: u64::MAX,
        max_field_bytes: u64::MAX,
        max_total_field_bytes: u64::MAX,
    };
    for hostile in [
        "\r\n--B-",
        "\r",
        "\r\n",
        "\r\n--B-Bx",
        "\r\n--B-B\r",
        "\r\n--B-B-",
        "-",
        "\r\n--B-B\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        "\r\n--B-B  \r\nContent-Disposition: form-data; name=a; filename=\"\r\n\r\n",
    ] {
        let body = field("a", &hostile.repeat(4000)) + "--B-B--";
        for size in [1, 2, 5, 64, 4096, body.len()] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (outcome, steps) = read_pieces(&pieces, limits);
            assert!(outcome.is_ok(), "{hostile:?}");
            assert!(
                steps <= 4 * body.len() as u64,
                "{hostile:?} in pieces of {size}: {steps}"
            );
        }
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\r\n--B-B\r\n"[..]),
        3 => Just(&b"Content-Disposition: form-data; name=a\r\n"[..]),
        2 => Just(&b"Content-Disposition: form-data; name=a; filename=b\r\n\r\n"[..]),
        3 => Just(&b"\r\n"[..]),
        1 => Just(&b"\r\n--B-B"[..]),
        1 => Just(&b"\r\n--B-"[..]),
        1 => Just(&b"\r\n--B-B--"[..]),
        1 => Just(&b"\r"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b"-"[..]),
        1 => Just(&b" "[..]),
        1 => Just(&b"x"[..]),
        1 => Just(&b":"[..]),
        1 => Just(&b"\xFF"[..]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| {
        let mut body = b"\r\n--B-B\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_vec();
        body.extend(pieces.concat());
        body.extend(b"\r\n--B-B--");
        body
    })
}

proptest! {
    #[test]
    fn parts_are_the_same_for_every_split(body in body(), cuts in proptest::collection::vec(0_usize..200, 0..12)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        let whole = read(&body);
        prop_assert_eq!(&read_pieces(&pieces, LIMITS).0, &whole);
        prop_assert_eq!(&read_pieces(&bytes, LIMITS).0, &whole);
    }

    #[test]
    fn parts_of_any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&body);
        let _ = read(&[&b"--B-B\r\n"[..], &body].concat());
    }

    #[test]
    fn part_cut_anywhere_is_an_error(cut in 0_usize..1000) {
        let body = field("a", "1") + &field("b", "2") + "--B-B--";
        let cut = 1 + cut % (body.len() - 1);
        prop_assert_eq!(read(&body.as_bytes()[..cut]), Err(FormError::Truncated));
    }
}
