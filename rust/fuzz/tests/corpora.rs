//! Runs every committed input through its check, so that the findings of a fuzzer are tested without one.

use std::fs;
use std::path::Path;

use pallasite_fuzz::CHECKS;

#[test]
fn corpora_keep_every_promise() {
    for (name, check) in CHECKS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = fs::read_dir(&directory).expect("every target has a corpus");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        assert!(paths.len() >= 5, "{name}: {paths:?}");
        paths.sort();
        for path in paths {
            let input = fs::read(&path).expect("readable");
            // Printed only if the check fails.
            println!("{}", path.display());
            check(&input);
        }
    }
}

#[test]
fn inputs_that_repeat_a_corpus_are_no_dearer() {
    for (_, check) in CHECKS {
        check(b"");
    }
    for (name, check) in CHECKS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        for entry in fs::read_dir(&directory).expect("every target has a corpus") {
            let path = entry.expect("readable").path();
            let input = fs::read(&path).expect("readable");
            println!("{} again and again", path.display());
            check(&input.repeat(4_000 / input.len().max(1)));
        }
    }
}
