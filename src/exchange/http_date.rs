//! The `Date` header field.

use std::cell::RefCell;

use crate::time::UnixTime;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

thread_local! {
    /// The last second that was written.
    static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// A time as IMF-fixdate (RFC 9110 5.6.7), such as `Mon, 23 Nov 2026 22:39:16 GMT`.
pub fn http_date(time: UnixTime) -> String {
    LAST.with_borrow_mut(|(second, text)| {
        if *second != time.secs() {
            (*second, *text) = (time.secs(), written(time));
        }
        text.clone()
    })
}

fn written(time: UnixTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.civil();
    let weekday = DAYS[time.secs().div_euclid(86_400).rem_euclid(7) as usize];
    let month = MONTHS[(month as usize + 11) % 12];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_usual_form() {
        let time = UnixTime::parse_rfc3339("2026-11-23T22:39:16.5Z").unwrap();
        assert_eq!(http_date(time), "Mon, 23 Nov 2026 22:39:16 GMT");
        assert_eq!(http_date(UnixTime::from_secs(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
