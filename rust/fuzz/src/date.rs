//! HTTP dates: written, compared with a calendar that counts year by year and month by month, and read: accepted text
//! is a valid date in one of the three forms.

use std::sync::LazyLock;

use pallasite_core::date::{imf_fixdate, parse_http_date};
use regex::bytes::Regex;

static FORMS: LazyLock<Regex> = LazyLock::new(|| {
    let (day, month) = ("(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "([A-Z][a-z]{2})");
    let long = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
    let time = "([0-9]{2}:[0-9]{2}:[0-9]{2})";
    Regex::new(&format!(
        r"(?-u)\A(?:{day}, ([0-9]{{2}}) {month} ([0-9]{{4}}) {time} GMT|{long}, ([0-9]{{2}})-{month}-([0-9]{{2}}) {time} GMT|{day} {month} ([ 0-9][0-9]) {time} ([0-9]{{4}}))\z"
    ))
    .expect("a regular expression")
});

const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

// A date is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    read(input);
    if let Some(bytes) = input.first_chunk::<8>() {
        let any = i64::from_le_bytes(*bytes);
        written(any);
        // Most numbers are not a date.
        written(FIRST + any.rem_euclid(LAST - FIRST + 1));
    }
}

fn written(seconds: i64) {
    let text = imf_fixdate(seconds);
    assert_eq!(text.is_some(), (FIRST..=LAST).contains(&seconds));
    if let Some(text) = text {
        assert_eq!(std::str::from_utf8(&text).expect("ASCII"), reference(seconds));
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn reference(seconds: i64) -> String {
    let mut days = (seconds - FIRST) / 86_400;
    let second = (seconds - FIRST) % 86_400;
    // 0001-01-01 was a Monday.
    let weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][(days % 7) as usize];
    let mut year = 1;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let name = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month];
    format!(
        "{weekday}, {:02} {name} {year:04} {:02}:{:02}:{:02} GMT",
        days + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn read(text: &[u8]) {
    let Some(captures) = FORMS.captures(text) else {
        assert_eq!(parse_http_date(text), None);
        return;
    };
    let parts: Vec<&str> = captures
        .iter()
        .skip(1)
        .flatten()
        .map(|part| str::from_utf8(part.as_bytes()).expect("ASCII"))
        .collect();
    let is_asctime = captures.get(9).is_some();
    let (day, month, year, time) = if is_asctime {
        (parts[1].trim_start(), parts[0], parts[3], parts[2])
    } else {
        (parts[0], parts[1], parts[2], parts[3])
    };
    let year = match (year.len(), year.parse().expect("digits")) {
        (2, year @ 69..) => 1900 + year,
        (2, year) => 2000 + year,
        (_, year) => year,
    };
    let seconds = parse_http_date(text);
    // A leap second is the first second of the next minute.
    let (minutes, second) = time.rsplit_once(':').expect("matched");
    let is_leap_second = second == "60";
    let time = format!("{minutes}:{}", if is_leap_second { "59" } else { second });
    let expected = format!("{:0>2} {month} {year:04} {time} GMT", day);
    let is_moment = time.as_str() <= "23:59:59" && &time[3..] <= "59:59" && second <= "60";
    let is_date = is_moment && year >= 1 && exists(day.parse().expect("digits"), month, year);
    assert_eq!(seconds.is_some(), is_date);
    if let Some(seconds) = seconds {
        let written = reference(seconds - i64::from(is_leap_second));
        assert_eq!(&written[5..], expected);
    }
}

fn exists(day: i64, month: &str, year: i64) -> bool {
    let last = match month {
        "Jan" | "Mar" | "May" | "Jul" | "Aug" | "Oct" | "Dec" => 31,
        "Apr" | "Jun" | "Sep" | "Nov" => 30,
        "Feb" if is_leap(year) => 29,
        "Feb" => 28,
        _ => 0,
    };
    (1..=last).contains(&day)
}
