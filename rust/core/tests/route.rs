//! Compares routing with two slow and obvious oracles, the `regex` crate for one pattern and a linear scan for a tree
//! of them, and measures how the cost of a search, a match and a build grows.

use std::fmt::Write;
use std::time::Instant;

use pallasite_core::route::{Pattern, Piece, Spans, Tree, parse, regex_text};
use proptest::prelude::*;

/// The expression of a stock convertor. `own` is one that only Python could match.
fn regex_of(convertor: &str) -> &'static str {
    match convertor {
        "int" => "[0-9]+",
        "float" => r"[0-9]+(\.[0-9]+)?",
        "uuid" => "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
        "path" => ".*",
        "own" => "x|y",
        _ => "[^/]+",
    }
}

fn regexes(pieces: &[Piece<'_>]) -> Vec<&'static str> {
    let convertor_of = |piece: &Piece<'_>| match piece {
        Piece::Literal(_) => None,
        Piece::Parameter { convertor, .. } => Some(regex_of(convertor)),
    };
    pieces.iter().filter_map(convertor_of).collect()
}

fn pattern(source: &str) -> Pattern {
    let pieces = parse(source.as_bytes());
    let regexes = regexes(&pieces);
    Pattern::new(source.as_bytes(), &pieces, |number| regexes[number].as_bytes())
}

/// The captures of the expression of the same pattern.
fn captures(source: &str, text: &str) -> Option<Vec<(usize, usize)>> {
    let pieces = parse(source.as_bytes());
    let regexes = regexes(&pieces);
    let regex = regex_text(source.as_bytes(), &pieces, |number| regexes[number].as_bytes());
    let regex = String::from_utf8(regex).expect("made of text").replace(r"\Z", r"\z");
    let regex = regex::Regex::new(&regex).expect("made of known parts");
    let found = regex.captures(text)?;
    let names = regex.capture_names().flatten().collect::<Vec<_>>();
    Some(
        names
            .iter()
            .map(|name| found.name(name).map_or((0, 0), |group| (group.start(), group.end())))
            .collect(),
    )
}

fn find(pattern: &Pattern, text: &str) -> Option<Vec<(usize, usize)>> {
    let mut spans = Spans::new();
    let found = pattern.find(text.as_bytes(), &mut spans);
    found.then(|| spans.iter().map(|span| (span.start, span.end)).collect())
}

/// The routes that match, according to the tree.
fn search(tree: &Tree, patterns: &[Pattern], text: &str) -> Vec<usize> {
    tree.search(text.as_bytes())
        .filter(|route| find(&patterns[*route], text).is_some())
        .collect()
}

fn build(patterns: &[Pattern]) -> Tree {
    Tree::build(patterns.iter().enumerate()).expect("few routes")
}

/// Few letters, so that texts often match.
const TEXT: &str = "[ab/1.é\n-]{0,12}";

/// The source of a pattern: literals and up to five parameters of all stock kinds.
fn source() -> impl Strategy<Value = String> {
    let literal = prop_oneof!["[ab/1.é-]{0,3}", Just("/".to_owned()), Just("/a/".to_owned())];
    let kind = prop_oneof![Just("str"), Just("int"), Just("float"), Just("path"), Just("uuid")];
    let pieces = proptest::collection::vec((kind, literal), 0..5);
    ("[ab/1]{0,3}", pieces).prop_map(|(start, pieces)| {
        let mut source = format!("/{start}");
        for (number, (kind, literal)) in pieces.into_iter().enumerate() {
            write!(source, "{{p{number}:{kind}}}{literal}").expect("a String takes any text");
        }
        source
    })
}

/// A source, and a text with its literals: often a match or nearly one.
fn source_and_text() -> impl Strategy<Value = (String, String)> {
    let value = prop_oneof![
        4 => "[ab1]{0,3}",
        1 => "[0-9]{1,3}(\\.[0-9]{0,2})?",
        1 => "[ab/1.é\n-]{0,4}",
        1 => Just("/a/".to_owned()),
        1 => "[0-9a-fA-F]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}",
    ];
    (source(), proptest::collection::vec(value, 5)).prop_map(|(source, values)| {
        let mut values = values.iter();
        let pieces = parse(source.as_bytes());
        let written = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::Parameter { .. } => values.next().cloned().unwrap_or_default(),
        });
        let text = written.collect();
        (source, text)
    })
}

/// A typical source: whole segments, few names.
fn plain_source() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[ab]{1,2}",
        2 => Just("{x}".to_owned()),
        1 => Just("{x:int}".to_owned()),
        1 => Just("{x:float}".to_owned()),
        1 => Just("{x}-{y}".to_owned()),
        1 => Just("a{x:int}".to_owned()),
        1 => Just("{x}.b".to_owned()),
        1 => Just("{x:path}".to_owned()),
        1 => Just(String::new()),
    ];
    proptest::collection::vec(segment, 1..4).prop_map(|segments| {
        let mut parts = segments.iter().flat_map(|segment| ["/", segment]).collect::<String>();
        // Every parameter needs a different name.
        for number in 0.. {
            let Some(at) = parts.find("{x").or_else(|| parts.find("{y")) else {
                break;
            };
            parts.replace_range(at..at + 2, &format!("{{p{number}"));
        }
        parts
    })
}

fn plain_text() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        "[ab]{1,2}",
        "[0-9]{1,2}",
        "a[0-9]",
        "[ab]-[ab]",
        "[ab]\\.b",
        "1\\.5",
        Just(String::new())
    ];
    proptest::collection::vec(segment, 1..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #[test]
    fn pattern_captures_what_its_regex_captures(source in source(), text in TEXT) {
        let text = format!("/{text}");
        prop_assert_eq!(find(&pattern(&source), &text), captures(&source, &text));
    }

    #[test]
    fn pattern_of_a_text_like_it_captures_what_its_regex_captures((source, text) in source_and_text()) {
        prop_assert_eq!(find(&pattern(&source), &text), captures(&source, &text), "{} on {:?}", source, text);
    }

    #[test]
    fn pattern_of_plain_segments_captures_what_its_regex_captures(source in plain_source(), text in plain_text()) {
        prop_assert_eq!(find(&pattern(&source), &text), captures(&source, &text));
    }

    #[test]
    fn search_gives_the_routes_of_a_scan_in_order(
        sources in proptest::collection::vec(prop_oneof![3 => plain_source(), 1 => source()], 0..40),
        texts in proptest::collection::vec(prop_oneof![plain_text(), TEXT], 1..8),
    ) {
        let patterns = sources.iter().map(|source| pattern(source)).collect::<Vec<_>>();
        let tree = build(&patterns);
        for text in texts {
            let scan = (0..patterns.len()).filter(|route| find(&patterns[*route], &text).is_some()).collect::<Vec<_>>();
            prop_assert_eq!(search(&tree, &patterns, &text), scan, "{:?} on {:?}", sources, text);
            let candidates = tree.search(text.as_bytes()).collect::<Vec<_>>();
            prop_assert!(candidates.is_sorted_by(|one, other| one < other), "{:?}", candidates);
        }
    }

    #[test]
    fn parse_loses_nothing(source in "[{}a-c1:/]{0,20}") {
        let pieces = parse(source.as_bytes());
        let written = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
            // The letters above cannot form it, so it was left out.
            Piece::Parameter { name, convertor: "str" } => format!("{{{name}}}"),
            Piece::Parameter { name, convertor } => format!("{{{name}:{convertor}}}"),
        });
        prop_assert_eq!(written.collect::<String>(), source);
    }
}

#[test]
fn foreign_patterns_are_candidates_below_their_literal_start() {
    let patterns = ["/a/{x:own}", "/b/{x:own}/c", "/{y}/{x:own}", "/a/x"].map(pattern);
    let tree = build(&patterns);
    assert_eq!(tree.search(b"/a/x").collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(tree.search(b"/b/x/c").collect::<Vec<_>>(), [1, 2]);
    assert_eq!(tree.search(b"/b/x").collect::<Vec<_>>(), [2]);
    assert_eq!(tree.search(b"b/x").count(), 0);
    assert_eq!(tree.search(b"").count(), 0);
}

#[test]
fn search_stops_without_looking_behind_the_first_accepted_route() {
    let sources = (0..1000)
        .map(|number| format!("/{{x{number}}}/{{y}}"))
        .collect::<Vec<_>>();
    let patterns = sources.iter().map(|source| pattern(source)).collect::<Vec<_>>();
    let tree = build(&patterns);
    let mut search = tree.search(b"/a/b");
    assert_eq!(search.next(), Some(0));
    assert!(search.steps() < 10, "{}", search.steps());
}

/// Steps until the last of `count` routes is found.
fn steps(count: usize, source: impl Fn(usize) -> String, text: impl Fn(usize) -> String) -> usize {
    let patterns = (0..count).map(|number| pattern(&source(number))).collect::<Vec<_>>();
    let tree = build(&patterns);
    let text = text(count - 1);
    let mut search = tree.search(text.as_bytes());
    let found = search.find(|route| find(&patterns[*route], &text).is_some());
    assert_eq!(found, Some(count - 1));
    search.steps()
}

#[test]
fn search_steps_do_not_grow_with_the_number_of_routes() {
    type Text = fn(usize) -> String;
    let shapes: [(&str, Text, Text); 7] = [
        ("static", |n| format!("/r{n:06}"), |n| format!("/r{n:06}")),
        ("parameter", |n| format!("/{{id}}/r{n:06}"), |n| format!("/x/r{n:06}")),
        ("mixed start", |n| format!("/r{n:06}-{{id}}"), |n| format!("/r{n:06}-x")),
        ("mixed end", |n| format!("/{{id}}-r{n:06}"), |n| format!("/x-r{n:06}")),
        ("rest", |n| format!("/r{n:06}/{{p:path}}"), |n| format!("/r{n:06}/x/y")),
        (
            "path in the middle",
            |n| format!("/f/{{p:path}}/r{n:06}"),
            |n| format!("/f/x/y/r{n:06}"),
        ),
        (
            "deep",
            |n| format!("/a/{{x}}/b/{{y:int}}/r{n:06}/c"),
            |n| format!("/a/b/b/7/r{n:06}/c"),
        ),
    ];
    for (name, source, text) in shapes {
        let few = steps(10, source, text);
        assert_eq!(
            [steps(1000, source, text), steps(100_000, source, text)],
            [few, few],
            "{name}"
        );
        assert!(few <= 20, "{name}: {few}");
    }
}

#[test]
fn host_search_gives_the_hosts_of_a_scan_at_the_same_cost_for_any_number() {
    for count in [10, 1000, 100_000] {
        let sources = (0..count).flat_map(|number| {
            [
                format!("h{number:06}.org"),
                format!("{{x}}.H{number:06}.org:80"),
                format!("h{number:06}.{{x}}"),
            ]
        });
        let patterns = sources.map(|source| pattern(&source)).collect::<Vec<_>>();
        let tree = build(&patterns);
        let last = count - 1;
        let host = format!("h{last:06}.h{last:06}.org");
        for (host, expected) in [
            (format!("h{last:06}.org"), vec![last * 3, last * 3 + 2]),
            (format!("a.b.h{last:06}.org"), vec![last * 3 + 1]),
            (host, vec![last * 3 + 1, last * 3 + 2]),
            ("nobody.example".to_owned(), vec![]),
        ] {
            let mut search = tree.search_host(host.as_bytes());
            let found = search
                .by_ref()
                .filter(|route| find(&patterns[*route], &host).is_some())
                .collect::<Vec<_>>();
            assert_eq!(found, expected, "{host}");
            assert!(search.steps() < 12, "{}", search.steps());
        }
    }
}

#[test]
fn search_of_a_path_that_no_route_has_costs_no_more() {
    let patterns = (0..1000)
        .map(|number| pattern(&format!("/r{number}/{{id}}")))
        .collect::<Vec<_>>();
    let tree = build(&patterns);
    for text in [
        "/nothing".to_owned(),
        "/".repeat(100_000),
        format!("/r1{}", "/x".repeat(50_000)),
        "x".repeat(100_000),
    ] {
        let mut search = tree.search(text.as_bytes());
        assert_eq!(search.find(|route| find(&patterns[*route], &text).is_some()), None);
        assert!(search.steps() <= 8, "{}", search.steps());
    }
}

#[test]
fn deep_patterns_are_built_searched_and_dropped_without_recursion() {
    let source = "/{a}/b".repeat(5000);
    let patterns = [pattern(&source), pattern("/{a:path}/{b:path}")];
    let tree = build(&patterns);
    let text = "/a/b".repeat(5000);
    let mut search = tree.search(text.as_bytes());
    // The literal way is tried at every node that has one; nothing is tried twice.
    assert_eq!((search.next(), search.steps() <= 25_000), (Some(0), true));
    assert_eq!(find(&patterns[0], &text).map(|spans| spans.len()), Some(5000));
    assert_eq!(search.next(), Some(1));
}

#[test]
fn ambiguous_match_of_a_long_text_is_linear() {
    // Backtracking would cost the length to the power of the number of parameters.
    let pattern = pattern("/{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}!");
    let time = |length: usize| {
        let text = format!("/{}", "-".repeat(length));
        let start = Instant::now();
        assert_eq!(find(&pattern, &text), None);
        start.elapsed()
    };
    time(1000);
    let (short, long) = (time(20_000), time(200_000));
    assert!(long < short * 60, "{short:?}, then {long:?} for ten times the text");
}

#[test]
fn build_of_100_000_routes_takes_no_time_to_speak_of() {
    let patterns = (0..100_000)
        .map(|number| pattern(&format!("/a{number}/{{id}}/b")))
        .collect::<Vec<_>>();
    let start = Instant::now();
    let tree = build(&patterns);
    // Generous, for an unoptimised build on a busy machine. A quadratic build would take minutes.
    assert!(start.elapsed().as_secs() < 10);
    assert_eq!(search(&tree, &patterns, "/a99999/x/b"), [99_999]);
}
