//! HTTP dates in their one modern form, IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

const SECONDS_A_DAY: i64 = 86_400;

/// Seconds since 1970 of 0001-01-01 00:00:00 and of 9999-12-31 23:59:59: the form has four digits for the year.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// The date as text; None outside the years 1 to 9999.
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

fn two_digits(text: &mut [u8; 29], at: usize, number: i64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month and day (both from 1) of a day counted from 1970, in the Gregorian calendar.
///
/// Years are taken to begin in March, so that the leap day is the last of its year and months need no table.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    const FROM_YEAR_0_MARCH_TO_1970: i64 = 719_468;
    let shifted = days + FROM_YEAR_0_MARCH_TO_1970;
    let era = shifted.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = shifted.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
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
                (year, month) == (last.0, last.1 + 1)
                    || (year, month, last.1) == (last.0 + 1, 1, 12)
            };
            assert!(
                next_day || next_month,
                "{last:?} then {:?}",
                (year, month, day)
            );
            last = (year, month, day);
        }
        assert_eq!(last, (9999, 12, 31));
    }
}
