//! Dates and times: reading, rounding and printing.

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike,
};

use super::types::Type;

const NANOS_PER_DAY: u64 = 86_400_000_000_000;

/// What a text holds when it is read as a date and time.
pub(crate) struct Moment {
    pub(crate) at: NaiveDateTime,
    /// Minutes east of UTC, where the text named a zone.
    pub(crate) offset: Option<i32>,
}

pub(crate) fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default()
}

/// Reads the forms that SQL Server reads under `us_english`: ISO 8601, `yyyymmdd`, `mm/dd/yyyy`,
/// `Mon dd yyyy`, `dd Mon yyyy`, each with an optional time, and a time alone.
pub(crate) fn parse(text: &str, day_first: bool) -> Option<Moment> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Moment {
            at: epoch().and_time(NaiveTime::MIN),
            offset: None,
        });
    }
    let (main, offset) = split_offset(text)?;
    let main = main.trim();
    let (date_text, time_text) = split_time(main);
    let date = match date_text.trim() {
        "" => epoch(),
        d => parse_date(d, day_first)?,
    };
    let time = match time_text.trim() {
        "" => NaiveTime::MIN,
        t => parse_time(t)?,
    };
    Some(Moment {
        at: date.and_time(time),
        offset,
    })
}

fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(rest) = text.strip_suffix(['Z', 'z'])
        && rest.contains(':')
    {
        return Some((rest, Some(0)));
    }
    let Some(colon) = text.rfind(':') else {
        return Some((text, None));
    };
    let Some(sign_at) = text
        .rfind(['+', '-'])
        .filter(|at| *at < colon && text.get(..*at).is_some_and(|h| h.contains(':')))
    else {
        return Some((text, None));
    };
    let (main, zone) = (text.get(..sign_at)?, text.get(sign_at..)?);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let total = hours
        .trim()
        .parse::<i32>()
        .ok()?
        .checked_mul(60)?
        .checked_add(minutes.trim().parse().ok()?)?;
    if !(0..=840).contains(&total) {
        return None;
    }
    Some((
        main,
        Some(if zone.starts_with('-') { -total } else { total }),
    ))
}

fn split_time(text: &str) -> (&str, &str) {
    if let Some((d, t)) = text.split_once('T')
        && d.ends_with(|c: char| c.is_ascii_digit())
        && t.starts_with(|c: char| c.is_ascii_digit())
    {
        return (d, t);
    }
    match text.find(':') {
        Some(colon) => {
            let head = text.get(..colon).unwrap_or("");
            match head.rfind(char::is_whitespace) {
                Some(space) => (
                    text.get(..space).unwrap_or(""),
                    text.get(space..).unwrap_or(""),
                ),
                None => ("", text),
            }
        }
        None => {
            let upper = text.to_ascii_uppercase();
            if (upper.ends_with("AM") || upper.ends_with("PM"))
                && !upper.contains('/')
                && !upper.contains('-')
            {
                ("", text)
            } else {
                (text, "")
            }
        }
    }
}

fn year(text: &str) -> Option<i32> {
    let n: i32 = text.parse().ok()?;
    match text.len() {
        4 => Some(n),
        // The two digit year cutoff of a server that nobody changed is 2049.
        2 | 1 => Some(if n < 50 {
            n.checked_add(2000)?
        } else {
            n.checked_add(1900)?
        }),
        _ => None,
    }
}

fn parse_date(text: &str, day_first: bool) -> Option<NaiveDate> {
    if text.chars().all(|c| c.is_ascii_digit()) {
        return match text.len() {
            8 => NaiveDate::from_ymd_opt(
                text.get(..4)?.parse().ok()?,
                text.get(4..6)?.parse().ok()?,
                text.get(6..)?.parse().ok()?,
            ),
            6 => NaiveDate::from_ymd_opt(
                year(text.get(..2)?)?,
                text.get(2..4)?.parse().ok()?,
                text.get(4..)?.parse().ok()?,
            ),
            4 => NaiveDate::from_ymd_opt(text.parse().ok()?, 1, 1),
            _ => None,
        };
    }
    let parts: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | '.' | ','))
        .filter(|p| !p.is_empty())
        .collect();
    let [a, b, c] = parts.as_slice() else {
        return None;
    };
    if let Some(m) = month(a) {
        return NaiveDate::from_ymd_opt(year(c)?, m, b.parse().ok()?);
    }
    if let Some(m) = month(b) {
        return if a.len() == 4 {
            NaiveDate::from_ymd_opt(year(a)?, m, c.parse().ok()?)
        } else {
            NaiveDate::from_ymd_opt(year(c)?, m, a.parse().ok()?)
        };
    }
    if a.len() == 4 {
        return NaiveDate::from_ymd_opt(a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    }
    let (m, d) = if day_first { (b, a) } else { (a, b) };
    NaiveDate::from_ymd_opt(year(c)?, m.parse().ok()?, d.parse().ok()?)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn month(text: &str) -> Option<u32> {
    if text.len() < 3 {
        return None;
    }
    let at = MONTHS.iter().position(|m| {
        m.get(..text.len()).is_some_and(|head| {
            (text.len() == 3 || text.len() == m.len()) && head.eq_ignore_ascii_case(text)
        })
    })?;
    u32::try_from(at.checked_add(1)?).ok()
}

pub(crate) fn month_name(month: u32) -> &'static str {
    usize::try_from(month)
        .ok()
        .and_then(|m| MONTHS.get(m.wrapping_sub(1)))
        .copied()
        .unwrap_or("")
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let upper = text.trim().to_ascii_uppercase();
    let (clock, half) = if let Some(rest) = upper.strip_suffix("AM") {
        (rest.trim(), Some(0))
    } else if let Some(rest) = upper.strip_suffix("PM") {
        (rest.trim(), Some(12))
    } else {
        (upper.as_str(), None)
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let mut hour: u32 = parts.next()?.trim().parse().ok()?;
    let minute: u32 = parts.next().unwrap_or("0").trim().parse().ok()?;
    let second: u32 = parts.next().unwrap_or("0").trim().parse().ok()?;
    // `hh:mm:ss:mmm` counts thousandths.
    let nanos = match parts.next() {
        Some(millis) => millis.parse::<u32>().ok()?.checked_mul(1_000_000)?,
        None if fraction.is_empty() => 0,
        None => {
            if fraction.len() > 9 || !fraction.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            format!("{fraction:0<9}").parse().ok()?
        }
    };
    if let Some(add) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + add;
    }
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}

pub(crate) fn nanos_of_day(t: NaiveTime) -> u64 {
    u64::from(t.num_seconds_from_midnight())
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(t.nanosecond()))
}

pub(crate) fn from_nanos_of_day(nanos: u64) -> NaiveTime {
    let nanos = nanos.min(NANOS_PER_DAY.saturating_sub(1));
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    NaiveTime::from_num_seconds_from_midnight_opt(
        u32::try_from(seconds).unwrap_or(0),
        u32::try_from(rest).unwrap_or(0),
    )
    .unwrap_or(NaiveTime::MIN)
}

/// The distance in nanoseconds between two values of a type with this scale.
fn step(scale: u8) -> u64 {
    10_u64.pow(9_u32.saturating_sub(u32::from(scale.min(7))))
}

/// Rounds a time of day; a `time` never becomes midnight of the next day.
pub(crate) fn round_time(t: NaiveTime, scale: u8) -> NaiveTime {
    let step = step(scale);
    let nanos = nanos_of_day(t);
    let rounded = nanos.saturating_add(step / 2) / step * step;
    if rounded >= NANOS_PER_DAY {
        from_nanos_of_day(NANOS_PER_DAY.saturating_sub(step))
    } else {
        from_nanos_of_day(rounded)
    }
}

/// Rounds to the type's own resolution. `None`: outside its range.
pub(crate) fn round(at: NaiveDateTime, ty: Type) -> Option<NaiveDateTime> {
    let nanos = nanos_of_day(at.time());
    let midnight = at.date().and_time(NaiveTime::MIN);
    let plus = |n: u64| midnight.checked_add_signed(TimeDelta::nanoseconds(i64::try_from(n).ok()?));
    let (rounded, from, to) = match ty {
        // 1/300 of a second.
        Type::DateTime => {
            let ticks = ticks_300(at.time());
            (plus(from_ticks_300(ticks))?, 1753, 9999)
        }
        Type::SmallDateTime => {
            // 29.998 seconds round down, 29.999 up.
            let minute = 60_000_000_000;
            (
                plus(
                    nanos.saturating_add(30_001_000_000_u64.saturating_sub(2_000_000)) / minute
                        * minute,
                )?,
                1900,
                2079,
            )
        }
        Type::DateTime2(s) | Type::DateTimeOffset(s) => {
            let step = step(s);
            (plus(nanos.saturating_add(step / 2) / step * step)?, 1, 9999)
        }
        _ => (at, 1, 9999),
    };
    (from..=to).contains(&rounded.year()).then_some(rounded)
}

/// `datetime` counts 300ths of a second since midnight.
pub(crate) fn ticks_300(t: NaiveTime) -> u64 {
    // Rounded half up: 3 ticks are 10 ms.
    (nanos_of_day(t).saturating_mul(3).saturating_add(5_000_000)) / 10_000_000
}

/// The nanoseconds that SQL Server shows for a tick: .000, .003, .007.
pub(crate) fn from_ticks_300(ticks: u64) -> u64 {
    let millis = (ticks.saturating_mul(10).saturating_add(1)) / 3;
    millis.saturating_mul(1_000_000)
}

fn clock(t: NaiveTime, scale: u8) -> String {
    let base = t.format("%H:%M:%S").to_string();
    if scale == 0 {
        return base;
    }
    let digits = format!("{:09}", t.nanosecond());
    format!(
        "{base}.{}",
        digits.get(..usize::from(scale.min(7))).unwrap_or("")
    )
}

fn twelve(t: NaiveTime) -> (u32, &'static str) {
    let (pm, hour) = t.hour12();
    (hour, if pm { "PM" } else { "AM" })
}

/// `Nov 22 2026  4:05PM`, the default print of `datetime` and `smalldatetime`.
fn default_text(at: NaiveDateTime) -> String {
    let (hour, half) = twelve(at.time());
    format!(
        "{} {:>2} {} {hour:>2}:{:02}{half}",
        month_name(at.month()).get(..3).unwrap_or(""),
        at.day(),
        at.year(),
        at.minute()
    )
}

pub(crate) fn offset_text(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let m = minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", m / 60, m % 60)
}

/// Prints a moment in one of `CONVERT`'s styles. `None`: no such style.
pub(crate) fn format(
    at: NaiveDateTime,
    ty: Type,
    offset: Option<i32>,
    style: Option<i64>,
) -> Option<String> {
    let (d, t) = (at.date(), at.time());
    let scale = match ty {
        Type::Time(s) | Type::DateTime2(s) | Type::DateTimeOffset(s) => s,
        Type::DateTime => 3,
        _ => 0,
    };
    let iso_date = d.format("%Y-%m-%d").to_string();
    let zone = offset
        .map(|o| format!(" {}", offset_text(o)))
        .unwrap_or_default();
    let Some(style) = style else {
        return Some(match ty {
            Type::Date => iso_date,
            Type::Time(s) => clock(t, s),
            Type::DateTime | Type::SmallDateTime => default_text(at),
            _ => format!("{iso_date} {}{zone}", clock(t, scale)),
        });
    };
    if ty == Type::Date && !matches!(style, 8 | 108 | 14 | 114 | 24) {
        // A date prints its date part only.
        let full = format(at, Type::DateTime, None, Some(style))?;
        return Some(match style {
            0 | 100 | 9 | 109 => full.get(..11)?.to_owned(),
            13 | 113 => full.get(..11)?.to_owned(),
            20 | 21 | 25 | 120 | 121 | 126 | 127 => iso_date,
            _ => full,
        });
    }
    let fraction = |s: &str| {
        if scale == 0 {
            String::new()
        } else {
            format!("{s}{}", clock(t, scale).get(9..).unwrap_or(""))
        }
    };
    let f = |pattern: &str| at.format(pattern).to_string();
    if let Type::Time(_) = ty {
        return Some(match style {
            0 | 100 => {
                let (hour, half) = twelve(t);
                format!("{hour:>2}:{:02}{half}", t.minute())
            }
            8 | 108 => f("%H:%M:%S"),
            _ => clock(t, scale),
        });
    }
    Some(match style {
        0 | 100 => format!("{}{zone}", default_text(at)),
        1 => f("%m/%d/%y"),
        101 => f("%m/%d/%Y"),
        2 => f("%y.%m.%d"),
        102 => f("%Y.%m.%d"),
        3 => f("%d/%m/%y"),
        103 => f("%d/%m/%Y"),
        4 => f("%d.%m.%y"),
        104 => f("%d.%m.%Y"),
        5 => f("%d-%m-%y"),
        105 => f("%d-%m-%Y"),
        6 => f("%d %b %y"),
        106 => f("%d %b %Y"),
        7 => f("%b %d, %y"),
        107 => f("%b %d, %Y"),
        8 | 24 | 108 => f("%H:%M:%S"),
        9 | 109 => {
            let (hour, half) = twelve(t);
            format!(
                "{} {hour:>2}:{}{}{half}",
                f("%b %e %Y"),
                f("%M:%S"),
                fraction(":")
            )
        }
        10 => f("%m-%d-%y"),
        110 => f("%m-%d-%Y"),
        11 => f("%y/%m/%d"),
        111 => f("%Y/%m/%d"),
        12 => f("%y%m%d"),
        112 => f("%Y%m%d"),
        13 | 113 => format!("{}{}", f("%d %b %Y %H:%M:%S"), fraction(":")),
        14 | 114 => format!("{}{}", f("%H:%M:%S"), fraction(":")),
        20 | 120 => format!("{}{zone}", f("%Y-%m-%d %H:%M:%S")),
        21 | 25 | 121 => format!("{}{}{zone}", f("%Y-%m-%d %H:%M:%S"), fraction(".")),
        126 | 127 => {
            let fraction = if ty == Type::DateTime && t.nanosecond() == 0 {
                String::new()
            } else {
                fraction(".")
            };
            let zone = match (style, offset) {
                (127, Some(0)) => "Z".to_owned(),
                (_, Some(o)) => offset_text(o),
                _ => String::new(),
            };
            format!("{}{fraction}{zone}", f("%Y-%m-%dT%H:%M:%S"))
        }
        _ => return None,
    })
}

pub(crate) fn with_offset(at: NaiveDateTime, minutes: i32) -> Option<DateTime<FixedOffset>> {
    let zone = FixedOffset::east_opt(minutes.checked_mul(60)?)?;
    at.and_local_timezone(zone).single()
}

pub(crate) fn offset_minutes(at: &DateTime<FixedOffset>) -> i32 {
    at.offset().local_minus_utc() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        for (text, iso) in [
            ("2026-11-22", "2026-11-22 00:00:00"),
            ("20261122 10:05", "2026-11-22 10:05:00"),
            (
                "2026-11-22T10:05:06.1234567",
                "2026-11-22 10:05:06.123456700",
            ),
            ("11/22/2026 4:05 PM", "2026-11-22 16:05:00"),
            ("Nov 22 2026  4:05PM", "2026-11-22 16:05:00"),
            ("22 November 2026", "2026-11-22 00:00:00"),
            ("10:05", "1900-01-01 10:05:00"),
        ] {
            assert_eq!(parse(text, false).unwrap().at.to_string(), iso, "{text}");
        }
        assert_eq!(
            parse("2026-11-22 10:05:00 -05:30", false).unwrap().offset,
            Some(-330)
        );
        assert_eq!(
            parse("2026-11-22T10:05:00Z", false).unwrap().offset,
            Some(0)
        );
        for wrong in ["2026-13-01", "hello", "2026-02-30", "25:00"] {
            assert!(parse(wrong, false).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_datetime_keeps_three_hundredths() {
        let at = parse("2026-11-22 10:00:00.005", false).unwrap().at;
        assert_eq!(
            round(at, Type::DateTime).unwrap().to_string(),
            "2026-11-22 10:00:00.007"
        );
        assert_eq!(
            format(
                round(at, Type::DateTime).unwrap(),
                Type::DateTime,
                None,
                Some(121)
            )
            .unwrap(),
            "2026-11-22 10:00:00.007"
        );
        assert_eq!(
            format(at, Type::DateTime, None, None).unwrap(),
            "Nov 22 2026 10:00AM"
        );
    }
}
