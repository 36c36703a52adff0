//! Amounts of memory and disk, as people write them.

use crate::{Error, Result};

const UNITS: [(&str, u64); 4] = [
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

/// Reads `512m`, `2g`, `2GB`, `2 GiB` or plain bytes, in powers of 1024 as Docker does.
///
/// # Errors
/// [`crate::Code::Usage`] where it is no amount or does not fit 63 bits.
pub fn parse(text: &str) -> Result<u64> {
    let bad = || {
        Error::usage(format!("`{text}` is not an amount of memory"))
            .hint("Write a number with a unit, such as `2g` or `1536m`")
    };
    let lower = text.trim().to_ascii_lowercase();
    let split = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at_checked(split).ok_or_else(bad)?;
    let unit = unit.trim();
    let unit = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(unit);
    let factor = if unit.is_empty() {
        1
    } else {
        UNITS.iter().find(|(n, _)| *n == unit).ok_or_else(bad)?.1
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "factors are powers of two, exact in f64"
    )]
    let bytes = number * factor as f64;
    if !(1.0..9.2e18).contains(&bytes) {
        return Err(bad());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "range checked above"
    )]
    let bytes = bytes as u64;
    Ok(bytes)
}

/// Writes an amount the way [`parse`] reads it, in the largest unit that keeps it short.
#[must_use]
pub fn format(bytes: u64) -> String {
    for (unit, factor) in UNITS.iter().rev() {
        if bytes >= *factor {
            #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
            let n = bytes as f64 / *factor as f64;
            let text = format!("{n:.1}");
            let text = text.strip_suffix(".0").unwrap_or(&text);
            return format!("{text} {}iB", unit.to_ascii_uppercase());
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("2g", 2 << 30),
            ("2G", 2 << 30),
            ("1536m", 1536 << 20),
            ("1.5g", 1536 << 20),
            ("2 GiB", 2 << 30),
            ("2gb", 2 << 30),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(parse(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "g",
            "-1g",
            "2x",
            "nan",
            "1e400g",
            "99999999999t",
            "0",
            "2 g g",
        ] {
            assert!(parse(text).is_err(), "{text} is no amount of memory");
        }
        assert_eq!(format(1536 << 20), "1.5 GiB");
        assert_eq!(format(2 << 30), "2 GiB");
    }
}
