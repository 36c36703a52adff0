//! Functions of dates and times.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::{Args, Function, P, f, open};
use crate::sql::{
    clock::{now, utc_now},
    convert::{self, Style},
    message::{self, Message, SqlResult},
    time,
    types::{Family, Type},
    value::Value,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Quarter,
    Month,
    DayOfYear,
    Day,
    Week,
    IsoWeek,
    Weekday,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Offset,
}

fn part(text: &str, function: &str) -> SqlResult<Part> {
    Ok(match text {
        "year" | "yy" | "yyyy" => Part::Year,
        "quarter" | "qq" | "q" => Part::Quarter,
        "month" | "mm" | "m" => Part::Month,
        "dayofyear" | "dy" | "y" => Part::DayOfYear,
        "day" | "dd" | "d" => Part::Day,
        "week" | "wk" | "ww" => Part::Week,
        "iso_week" | "isowk" | "isoww" => Part::IsoWeek,
        "weekday" | "dw" | "w" => Part::Weekday,
        "hour" | "hh" => Part::Hour,
        "minute" | "mi" | "n" => Part::Minute,
        "second" | "ss" | "s" => Part::Second,
        "millisecond" | "ms" => Part::Millisecond,
        "microsecond" | "mcs" => Part::Microsecond,
        "nanosecond" | "ns" => Part::Nanosecond,
        "tzoffset" | "tz" => Part::Offset,
        _ => {
            return Err(Message::new(
                155,
                15,
                1,
                format!("'{text}' is not a recognized {function} option."),
            )
            .ending(message::Ends::Batch));
        }
    })
}

fn moment(a: &Args<'_>, n: usize) -> SqlResult<(NaiveDateTime, Option<i32>)> {
    Ok(
        convert::as_moment(a.value(n), a.ty_of(n), Style::default())?
            .unwrap_or((NaiveDateTime::default(), None)),
    )
}

/// Back to the type that went in.
fn back(at: NaiveDateTime, offset: Option<i32>, ty: Type) -> SqlResult<Value> {
    let out = || {
        Message::new(
            517,
            16,
            1,
            format!(
                "Adding a value to a '{}' column caused an overflow.",
                ty.name()
            ),
        )
    };
    Ok(match ty.family() {
        Family::Date => Value::Date(at.date()),
        Family::Time => Value::Time(at.time()),
        Family::Offset => {
            Value::Offset(time::with_offset(at, offset.unwrap_or(0)).ok_or_else(out)?)
        }
        _ => Value::DateTime(time::round(at, ty).ok_or_else(out)?),
    })
}

fn dateadd(a: &Args<'_>) -> SqlResult<Value> {
    let p = part(a.text(0), "dateadd")?;
    let n = a.int(1);
    let (at, offset) = moment(a, 2)?;
    let ty = a.ty;
    let out = || {
        Message::new(
            517,
            16,
            1,
            format!(
                "Adding a value to a '{}' column caused an overflow.",
                ty.name()
            ),
        )
    };
    let months = |factor: i64| -> Option<NaiveDateTime> {
        let total = n.checked_mul(factor)?;
        let count = Months::new(u32::try_from(total.unsigned_abs()).ok()?);
        if total < 0 {
            at.checked_sub_months(count)
        } else {
            at.checked_add_months(count)
        }
    };
    let plus = |d: Option<TimeDelta>| d.and_then(|d| at.checked_add_signed(d));
    let days = |factor: i64| plus(n.checked_mul(factor).and_then(TimeDelta::try_days));
    let nanos = |factor: i64| {
        let total = i128::from(n).checked_mul(i128::from(factor))?;
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
        let rest = u32::try_from(total.rem_euclid(1_000_000_000)).ok()?;
        at.checked_add_signed(TimeDelta::new(seconds, rest)?)
    };
    let result = match p {
        Part::Year => months(12),
        Part::Quarter => months(3),
        Part::Month => months(1),
        Part::Day | Part::DayOfYear | Part::Weekday => days(1),
        Part::Week | Part::IsoWeek => days(7),
        Part::Hour => nanos(3_600_000_000_000),
        Part::Minute => nanos(60_000_000_000),
        Part::Second => nanos(1_000_000_000),
        Part::Millisecond => nanos(1_000_000),
        Part::Microsecond => nanos(1000),
        Part::Nanosecond => nanos(1),
        Part::Offset => None,
    };
    back(
        result
            .filter(|r| (1..=9999).contains(&r.year()))
            .ok_or_else(out)?,
        offset,
        ty,
    )
}

/// Weeks begin on the day that DATEFIRST says; DATEDIFF always counts from Sunday.
fn week_number(date: NaiveDate, first: u8) -> i64 {
    let start = NaiveDate::from_ymd_opt(date.year(), 1, 1).unwrap_or(date);
    let lead = weekday(start, first).saturating_sub(1);
    i64::from(date.ordinal0()).saturating_add(lead) / 7 + 1
}

fn weekday(date: NaiveDate, first: u8) -> i64 {
    let monday_one = i64::from(date.weekday().number_from_monday());
    (monday_one
        .saturating_sub(i64::from(first))
        .saturating_add(7))
        % 7
        + 1
}

fn datediff(a: &Args<'_>) -> SqlResult<Value> {
    let p = part(a.text(0), "datediff")?;
    let utc = |n: usize| -> SqlResult<NaiveDateTime> {
        let (at, offset) = moment(a, n)?;
        // Offsets are taken off before boundaries are counted.
        Ok(at
            .checked_sub_signed(TimeDelta::minutes(i64::from(offset.unwrap_or(0))))
            .unwrap_or(at))
    };
    let (x, y) = (utc(1)?, utc(2)?);
    let days = |t: NaiveDateTime| i64::from(t.date().num_days_from_ce());
    let month = |t: NaiveDateTime| {
        i64::from(t.year())
            .saturating_mul(12)
            .saturating_add(i64::from(t.month0()))
    };
    let ticks = |t: NaiveDateTime, unit: i128| -> i128 {
        let total = i128::from(days(t))
            .saturating_mul(86_400_000_000_000)
            .saturating_add(i128::from(time::nanos_of_day(t.time())));
        total.div_euclid(unit)
    };
    let by = |unit: i128| ticks(y, unit).saturating_sub(ticks(x, unit));
    let n: i128 = match p {
        Part::Year => i128::from(y.year()).saturating_sub(i128::from(x.year())),
        Part::Quarter => i128::from(
            month(y)
                .div_euclid(3)
                .saturating_sub(month(x).div_euclid(3)),
        ),
        Part::Month => i128::from(month(y).saturating_sub(month(x))),
        Part::Day | Part::DayOfYear | Part::Weekday => i128::from(days(y).saturating_sub(days(x))),
        // Day 0 of the count is a Sunday.
        Part::Week => i128::from(days(y).div_euclid(7).saturating_sub(days(x).div_euclid(7))),
        Part::Hour => by(3_600_000_000_000),
        Part::Minute => by(60_000_000_000),
        Part::Second => by(1_000_000_000),
        Part::Millisecond => by(1_000_000),
        Part::Microsecond => by(1000),
        Part::Nanosecond => by(1),
        Part::IsoWeek | Part::Offset => {
            return Err(Message::new(
                9806,
                16,
                11,
                format!(
                    "The datepart {} is not supported by date function datediff.",
                    a.text(0)
                ),
            )
            .ending(message::Ends::Batch));
        }
    };
    let too_many = || {
        Message::new(
            535,
            16,
            0,
            "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
        )
    };
    let n = i64::try_from(n).map_err(|_| too_many())?;
    if a.ty == Type::Int && i32::try_from(n).is_err() {
        Err(too_many())
    } else {
        Ok(Value::Int(n))
    }
}

fn number_of(a: &Args<'_>, p: Part) -> SqlResult<i64> {
    let (at, offset) = moment(a, 1)?;
    let first = a.s.settings.borrow().datefirst;
    Ok(match p {
        Part::Year => i64::from(at.year()),
        Part::Quarter => i64::from(at.month0() / 3 + 1),
        Part::Month => i64::from(at.month()),
        Part::DayOfYear => i64::from(at.ordinal()),
        Part::Day => i64::from(at.day()),
        Part::Week => week_number(at.date(), first),
        Part::IsoWeek => i64::from(at.iso_week().week()),
        Part::Weekday => weekday(at.date(), first),
        Part::Hour => i64::from(at.hour()),
        Part::Minute => i64::from(at.minute()),
        Part::Second => i64::from(at.second()),
        Part::Millisecond => i64::from(at.nanosecond() / 1_000_000),
        Part::Microsecond => i64::from(at.nanosecond() / 1000),
        Part::Nanosecond => i64::from(at.nanosecond()),
        Part::Offset => i64::from(offset.unwrap_or(0)),
    })
}

fn datepart(a: &Args<'_>) -> SqlResult<Value> {
    number_of(a, part(a.text(0), "datepart")?).map(Value::Int)
}

fn datename(a: &Args<'_>) -> SqlResult<Value> {
    let p = part(a.text(0), "datename")?;
    let (at, offset) = moment(a, 1)?;
    Ok(Value::text(match p {
        Part::Month => time::month_name(at.month()).to_owned(),
        Part::Weekday => at.format("%A").to_string(),
        Part::Offset => time::offset_text(offset.unwrap_or(0)),
        p => number_of(a, p)?.to_string(),
    }))
}

fn datetrunc(a: &Args<'_>) -> SqlResult<Value> {
    let p = part(a.text(0), "datetrunc")?;
    let (at, offset) = moment(a, 1)?;
    let d = at.date();
    let first_of = |m: u32| {
        NaiveDate::from_ymd_opt(d.year(), m, 1)
            .unwrap_or(d)
            .and_time(NaiveTime::MIN)
    };
    let cut = |unit: u64| {
        d.and_time(time::from_nanos_of_day(
            time::nanos_of_day(at.time()) / unit * unit,
        ))
    };
    let result = match p {
        Part::Year => first_of(1),
        Part::Quarter => first_of(d.month0() / 3 * 3 + 1),
        Part::Month => first_of(d.month()),
        Part::Day | Part::DayOfYear => d.and_time(NaiveTime::MIN),
        Part::Week => {
            let back = weekday(d, a.s.settings.borrow().datefirst).saturating_sub(1);
            d.checked_sub_days(Days::new(u64::try_from(back).unwrap_or(0)))
                .unwrap_or(d)
                .and_time(NaiveTime::MIN)
        }
        Part::Hour => cut(3_600_000_000_000),
        Part::Minute => cut(60_000_000_000),
        Part::Second => cut(1_000_000_000),
        Part::Millisecond => cut(1_000_000),
        Part::Microsecond => cut(1000),
        _ => {
            return Err(message::not_implemented(format!(
                "DATETRUNC({}, …)",
                a.text(0)
            )));
        }
    };
    back(result, offset, a.ty)
}

fn from_parts(a: &Args<'_>, count: usize) -> Option<NaiveDateTime> {
    let n = |i: usize| if i < count { a.int(i) } else { 0 };
    let u = |i: usize| u32::try_from(n(i)).ok();
    let date = NaiveDate::from_ymd_opt(i32::try_from(n(0)).ok()?, u(1)?, u(2)?)?;
    let time = NaiveTime::from_hms_opt(u(3)?, u(4)?, u(5)?)?;
    (1..=9999)
        .contains(&date.year())
        .then(|| date.and_time(time))
}

fn bad_parts(what: &str) -> message::SqlError {
    Message::new(
        289,
        16,
        1,
        format!(
            "Cannot construct data type {what}, some of the arguments have values which are not valid."
        ),
    )
}

fn isdate(a: &Args<'_>) -> SqlResult<Value> {
    let yes = match a.value(0) {
        Value::Text(t) => {
            !t.trim().is_empty()
                && time::parse(t, a.s.settings.borrow().day_first)
                    .is_some_and(|m| time::round(m.at, Type::DateTime).is_some())
        }
        Value::DateTime(_) => true,
        _ => false,
    };
    Ok(Value::Int(i64::from(yes)))
}

fn eomonth(a: &Args<'_>) -> SqlResult<Value> {
    let (at, _) = moment(a, 0)?;
    let shift = if a.given(1) { a.int(1) } else { 0 };
    let months = Months::new(u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX));
    let first = at.date().with_day(1).and_then(|d| {
        if shift < 0 {
            d.checked_sub_months(months)
        } else {
            d.checked_add_months(months)
        }
    });
    first
        .and_then(|d| d.checked_add_months(Months::new(1)))
        .and_then(|d| d.pred_opt())
        .map(Value::Date)
        .ok_or_else(|| message::overflow("date"))
}

fn moment_type(t: &[Type]) -> Type {
    match t.last().copied() {
        Some(t)
            if matches!(
                t.family(),
                Family::Date | Family::Time | Family::DateTime | Family::Offset
            ) =>
        {
            t
        }
        _ => Type::DateTime,
    }
}

fn rounded(at: NaiveDateTime, ty: Type) -> SqlResult<Value> {
    time::round(at, ty)
        .map(Value::DateTime)
        .ok_or_else(|| message::overflow(ty.name()))
}

pub(super) const FUNCTIONS: &[Function] = &[
    open(
        "GETDATE",
        &[],
        0,
        |_| Type::DateTime,
        |_| rounded(now(), Type::DateTime),
    ),
    open(
        "CURRENT_TIMESTAMP",
        &[],
        0,
        |_| Type::DateTime,
        |_| rounded(now(), Type::DateTime),
    ),
    open(
        "GETUTCDATE",
        &[],
        0,
        |_| Type::DateTime,
        |_| rounded(utc_now(), Type::DateTime),
    ),
    open(
        "SYSDATETIME",
        &[],
        0,
        |_| Type::DateTime2(7),
        |_| rounded(now(), Type::DateTime2(7)),
    ),
    open(
        "SYSUTCDATETIME",
        &[],
        0,
        |_| Type::DateTime2(7),
        |_| rounded(utc_now(), Type::DateTime2(7)),
    ),
    open(
        "SYSDATETIMEOFFSET",
        &[],
        0,
        |_| Type::DateTimeOffset(7),
        |_| {
            let here = crate::sql::clock::here();
            let minutes = here.offset().local_minus_utc() / 60;
            let at = time::round(here.naive_local(), Type::DateTime2(7)).unwrap_or_default();
            Ok(time::with_offset(at, minutes).map_or(Value::Null, Value::Offset))
        },
    ),
    open(
        "CURRENT_DATE",
        &[],
        0,
        |_| Type::Date,
        |_| Ok(Value::Date(now().date())),
    ),
    f(
        "DATEADD",
        &[P::Text, P::BigInt, P::Legacy],
        3,
        moment_type,
        dateadd,
    ),
    f(
        "DATEDIFF",
        &[P::Text, P::Moment, P::Moment],
        3,
        |_| Type::Int,
        datediff,
    ),
    f(
        "DATEDIFF_BIG",
        &[P::Text, P::Moment, P::Moment],
        3,
        |_| Type::BigInt,
        datediff,
    ),
    f(
        "DATEPART",
        &[P::Text, P::Moment],
        2,
        |_| Type::Int,
        datepart,
    ),
    f(
        "DATENAME",
        &[P::Text, P::Moment],
        2,
        |_| Type::NVarChar(30),
        datename,
    ),
    f(
        "DATETRUNC",
        &[P::Text, P::Moment],
        2,
        moment_type,
        datetrunc,
    ),
    f(
        "YEAR",
        &[P::Moment],
        1,
        |_| Type::Int,
        |a| Ok(Value::Int(i64::from(moment(a, 0)?.0.year()))),
    ),
    f(
        "MONTH",
        &[P::Moment],
        1,
        |_| Type::Int,
        |a| Ok(Value::Int(i64::from(moment(a, 0)?.0.month()))),
    ),
    f(
        "DAY",
        &[P::Moment],
        1,
        |_| Type::Int,
        |a| Ok(Value::Int(i64::from(moment(a, 0)?.0.day()))),
    ),
    f("EOMONTH", &[P::Moment, P::Int], 1, |_| Type::Date, eomonth),
    f(
        "DATEFROMPARTS",
        &[P::Int, P::Int, P::Int],
        3,
        |_| Type::Date,
        |a| {
            from_parts(a, 3)
                .map(|d| Value::Date(d.date()))
                .ok_or_else(|| bad_parts("date"))
        },
    ),
    f(
        "DATETIMEFROMPARTS",
        &[P::Int, P::Int, P::Int, P::Int, P::Int, P::Int, P::Int],
        7,
        |_| Type::DateTime,
        |a| {
            let at = from_parts(a, 6)
                .and_then(|d| d.checked_add_signed(TimeDelta::try_milliseconds(a.int(6))?));
            at.and_then(|at| time::round(at, Type::DateTime))
                .map(Value::DateTime)
                .ok_or_else(|| bad_parts("datetime"))
        },
    ),
    open("ISDATE", &[P::Any], 1, |_| Type::Int, isdate),
];
