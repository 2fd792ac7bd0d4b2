//! Windows of time, as far as a file can be wrong about them: which days, which dates, which hours.

/// Why a text is no window: days (`mon-thu`), dates (`dec 24-31`) and hours (`09:00-17:00`), in this order, each where it
/// is wanted. Names in any case; an hour of one digit is one of the morning.
pub(super) fn fault(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().peekable();
    if words.peek().is_none() {
        return Some(format!("expected {FORM}, found nothing"));
    }
    words.next_if(|word| is_range(word, |day| is_one_of(&DAYS, day)));
    if let Some(month) = words.next_if(|word| is_one_of(&MONTHS, word)) {
        let dates = words.next().unwrap_or_default();
        if !is_range(dates, is_date) {
            return Some(format!("expected a date or dates behind {month}, such as {month} 24-31, found {dates:?}"));
        }
    }
    words.next_if(|word| {
        word.split_once('-').is_some_and(|(from, to)| is_time(from) && is_time(to) && !is_same(from, to))
    });
    words.next().map(|word| format!("expected {FORM}, found {word:?}"))
}

/// Whether a text may be the name of a time zone. Which ones there are depends on the machine.
pub(super) fn is_time_zone(text: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split('/').all(|part| !part.is_empty() && part.chars().all(of_name))
}

const FORM: &str = "days, dates and hours, such as mon-thu 09:00-17:00 or dec 24-31";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// One, or one to another.
fn is_range(text: &str, is_one: impl Fn(&str) -> bool) -> bool {
    text.split_once('-').map_or_else(|| is_one(text), |(from, to)| is_one(from) && is_one(to))
}

fn is_one_of(names: &[&str], word: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

fn is_date(text: &str) -> bool {
    number(text).is_some_and(|day| (1..=31).contains(&day))
}

/// `0:00` to `24:00`
fn is_time(text: &str) -> bool {
    let parts = text.split_once(':').filter(|(_, minute)| minute.len() == 2);
    let numbers = parts.and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
    numbers.is_some_and(|(hour, minute)| (hour < 24 && minute < 60) || (hour, minute) == (24, 0))
}

/// `9:00` and `09:00`
fn is_same(a: &str, b: &str) -> bool {
    a.trim_start_matches('0') == b.trim_start_matches('0')
}

/// Of one or two digits.
fn number(text: &str) -> Option<u8> {
    let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let form = |found: &str| Some(format!("expected {FORM}, found {found}"));
        let dates =
            |found: &str| Some(format!("expected a date or dates behind dec, such as dec 24-31, found {found:?}"));
        for (text, expected) in [
            ("mon-thu 09:00-17:00", None),
            ("fri 09:00-12:00", None),
            ("dec 24-31", None),
            ("dec 24", None),
            ("sat-sun", None),
            ("22:00-06:00", None),
            ("  fri   dec 1-7 00:00-24:00 ", None),
            ("", form("nothing")),
            ("always", form("\"always\"")),
            ("Mon 09:00-17:00", None),
            ("MON-Fri Dec 24-31 9:00-17:00", None),
            ("0:00-8:30", None),
            ("mon-thur 09:00-17:00", form("\"mon-thur\"")),
            ("mon 9-17", form("\"9-17\"")),
            ("mon 9:0-17:00", form("\"9:0-17:00\"")),
            ("mon 009:00-17:00", form("\"009:00-17:00\"")),
            ("mon 9:00-09:00", form("\"9:00-09:00\"")),
            ("mon 00:00-0:00", form("\"00:00-0:00\"")),
            ("Monday 9:00-17:00", form("\"Monday\"")),
            ("mon 09:00-25:00", form("\"09:00-25:00\"")),
            ("mon 09:00-09:00", form("\"09:00-09:00\"")),
            ("mon 24:01-25:00", form("\"24:01-25:00\"")),
            ("09:00-17:00 mon", form("\"mon\"")),
            ("mon +9:00-17:00", form("\"+9:00-17:00\"")),
            ("dec", dates("")),
            ("dec 32", dates("32")),
            ("dec 0-7", dates("0-7")),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn time_zones() {
        for (text, expected) in [
            ("Europe/Berlin", true),
            ("America/Argentina/Buenos_Aires", true),
            ("Etc/GMT+1", true),
            ("UTC", true),
            ("", false),
            ("+02:00", false),
            ("Europe/", false),
            ("Europe Berlin", false),
        ] {
            assert_eq!(is_time_zone(text), expected, "{text}");
        }
    }
}
