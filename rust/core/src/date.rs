//! HTTP dates (RFC 9110 section 5.6.7): written as IMF-fixdate (`Sun, 06 Nov 1994 08:49:37 GMT`), read in that form and
//! in the two obsolete ones.
//!
//! Deviation: a year of two digits is in 1969 to 2068 regardless of the current year, as in Python's `email.utils`, and
//! the day of the week is not compared with the date.

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Names of days in RFC 850 dates.
const LONG_DAYS: [&[u8]; 7] = [
    b"Thursday",
    b"Friday",
    b"Saturday",
    b"Sunday",
    b"Monday",
    b"Tuesday",
    b"Wednesday",
];
const LONGEST_DAY: usize = b"Wednesday".len();

/// Two digits from this number on are a year before 2000.
const FIRST_OF_LAST_CENTURY: i64 = 69;

const SECONDS_A_DAY: i64 = 86_400;
const DAYS_IN_400_YEARS: i64 = 146_097;
const FROM_YEAR_0_MARCH_TO_1970: i64 = 719_468;

/// Seconds since 1970 of 0001-01-01 00:00:00 and 9999-12-31 23:59:59: the year has four digits.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// The date as text; None outside the years 1 to 9999.
#[must_use]
pub fn imf_fixdate(unix_seconds: i64) -> Option<[u8; 29]> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&unix_seconds) {
        return None;
    }
    let days = unix_seconds.div_euclid(SECONDS_A_DAY);
    let second = unix_seconds.rem_euclid(SECONDS_A_DAY);
    let (year, month, day) = civil_date(days);
    let mut text = *b"Ddd, 00 Mmm 0000 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[days.rem_euclid(7) as usize]);
    two_digits(&mut text, 5, day);
    text[8..11].copy_from_slice(MONTHS[(month - 1) as usize]);
    two_digits(&mut text, 12, year / 100);
    two_digits(&mut text, 14, year % 100);
    two_digits(&mut text, 17, second / 3600);
    two_digits(&mut text, 20, second / 60 % 60);
    two_digits(&mut text, 23, second % 60);
    Some(text)
}

/// Seconds since 1970 of a date in one of the three forms; None for anything else.
#[must_use]
pub fn parse_http_date(text: &[u8]) -> Option<i64> {
    let comma = text.iter().take(LONGEST_DAY + 1).position(|&byte| byte == b',');
    let Some(comma) = comma else {
        return parse_asctime(text);
    };
    let (day_name, behind) = text.split_at(comma);
    let behind = behind.strip_prefix(b", ")?;
    match *behind {
        // 06 Nov 1994 08:49:37 GMT
        [
            d1,
            d2,
            b' ',
            m1,
            m2,
            m3,
            b' ',
            y1,
            y2,
            y3,
            y4,
            b' ',
            ref time @ ..,
            b' ',
            b'G',
            b'M',
            b'T',
        ] if DAYS.iter().any(|name| day_name == &name[..]) => {
            let year = number(&[y1, y2, y3, y4])?;
            moment(year, month([m1, m2, m3])?, number(&[d1, d2])?, time)
        }
        // 06-Nov-94 08:49:37 GMT
        [
            d1,
            d2,
            b'-',
            m1,
            m2,
            m3,
            b'-',
            y1,
            y2,
            b' ',
            ref time @ ..,
            b' ',
            b'G',
            b'M',
            b'T',
        ] if LONG_DAYS.contains(&day_name) => {
            let year = number(&[y1, y2])?;
            let century = if year < FIRST_OF_LAST_CENTURY { 2000 } else { 1900 };
            moment(century + year, month([m1, m2, m3])?, number(&[d1, d2])?, time)
        }
        _ => None,
    }
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(text: &[u8]) -> Option<i64> {
    let [
        w1,
        w2,
        w3,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        d1,
        d2,
        b' ',
        ref time @ ..,
        b' ',
        y1,
        y2,
        y3,
        y4,
    ] = *text
    else {
        return None;
    };
    let tens = if d1 == b' ' { b'0' } else { d1 };
    if !DAYS.contains(&&[w1, w2, w3]) {
        return None;
    }
    let year = number(&[y1, y2, y3, y4])?;
    moment(year, month([m1, m2, m3])?, number(&[tens, d2])?, time)
}

/// Seconds since 1970 of a date and `hh:mm:ss`, where a leap second is allowed.
fn moment(year: i64, month: i64, day: i64, time: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *time else {
        return None;
    };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let days = day_count(year, month, day);
    let is_date = year >= 1 && civil_date(days) == (year, month, day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
}

/// The number of a month, from 1.
fn month(name: [u8; 3]) -> Option<i64> {
    let index = MONTHS.iter().position(|month| **month == name)?;
    Some(index as i64 + 1)
}

/// The value of at most four ASCII digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number * 10 + i64::from(digit))
    })
}

fn two_digits(text: &mut [u8; 29], at: usize, number: i64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month and day (both from 1) of a day counted from 1970, in the Gregorian calendar.
///
/// Years start in March here, so that the leap day is the last day of its year and the months need no table.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + FROM_YEAR_0_MARCH_TO_1970;
    let era = shifted.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = shifted.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The day, counted from 1970, of a date. The inverse of `civil_date`.
fn day_count(year: i64, month: i64, day: i64) -> i64 {
    let (year, march_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_IN_400_YEARS + day_of_era - FROM_YEAR_0_MARCH_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_seconds: i64) -> String {
        String::from_utf8(imf_fixdate(unix_seconds).expect("in range").to_vec()).expect("ASCII")
    }

    #[test]
    fn date_known_moments_are_written() {
        let cases = [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // RFC 9110's own example
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (FIRST_SECOND, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (unix_seconds, expected) in cases {
            assert_eq!(text(unix_seconds), expected);
        }
    }

    #[test]
    fn date_is_read_in_three_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http_date(text.as_bytes()), Some(784_111_777), "{text}");
        }
        for (text, expected) in [
            ("Thu, 29 Feb 2024 23:59:60 GMT", Some(1_709_251_200)),
            ("Friday, 31-Dec-68 00:00:00 GMT", Some(3_124_137_600)),
            ("Friday, 31-Dec-69 00:00:00 GMT", Some(-86_400)),
            ("Sun Nov 16 08:49:37 1994", Some(784_975_777)),
            ("Mon, 01 Jan 0001 00:00:00 GMT", Some(FIRST_SECOND)),
        ] {
            assert_eq!(parse_http_date(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn date_in_another_form_is_none() {
        for text in [
            "",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "sun, 06 nov 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun Nov 06 1994 08:49:37",
            "Xyz Nov  6 08:49:37 1994",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 23:60:00 GMT",
            "Sun, 06 Nov 1994 23:59:61 GMT",
            "Sun, 06 Nov 1994 -1:59:59 GMT",
        ] {
            assert_eq!(parse_http_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn date_written_is_read_again() {
        for seconds in (FIRST_SECOND..=LAST_SECOND).step_by(86_399 * 37) {
            let text = imf_fixdate(seconds).expect("in range");
            assert_eq!(parse_http_date(&text), Some(seconds));
        }
    }

    #[test]
    fn date_outside_four_digit_years_is_none() {
        for unix_seconds in [FIRST_SECOND - 1, LAST_SECOND + 1, i64::MIN, i64::MAX] {
            assert_eq!(imf_fixdate(unix_seconds), None);
        }
    }

    #[test]
    fn date_every_day_follows_the_one_before() {
        let mut last = civil_date(FIRST_SECOND / SECONDS_A_DAY);
        assert_eq!(last, (1, 1, 1));
        for days in FIRST_SECOND / SECONDS_A_DAY + 1..=LAST_SECOND.div_euclid(SECONDS_A_DAY) {
            let (year, month, day) = civil_date(days);
            let next_day = (year, month) == (last.0, last.1) && day == last.2 + 1;
            let next_month = day == 1 && (28..=31).contains(&last.2) && {
                (year, month) == (last.0, last.1 + 1) || (year, month, last.1) == (last.0 + 1, 1, 12)
            };
            assert!(next_day || next_month, "{last:?} then {:?}", (year, month, day));
            last = (year, month, day);
        }
        assert_eq!(last, (9999, 12, 31));
    }
}
