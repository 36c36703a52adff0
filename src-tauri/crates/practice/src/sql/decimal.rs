//! Exact decimals of up to 38 digits, SQL Server's `decimal`, `numeric` and `money`.
//!
//! Crates for decimals stop at 28 digits (a 96-bit mantissa) or have no bound at all;
//! both would give other results than the precision rules ask for.

use std::{cmp::Ordering, fmt};

/// `mantissa / 10^scale`, with `|mantissa| < 10^38`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    pub(crate) mantissa: i128,
    pub(crate) scale: u8,
}

const LIMIT: i128 = 10_i128.pow(38);

fn pow10(n: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(n))
}

impl Decimal {
    pub(crate) fn new(mantissa: i128, scale: u8) -> Option<Self> {
        (mantissa.abs() < LIMIT && scale <= 38).then_some(Self { mantissa, scale })
    }

    pub(crate) fn from_int(n: i64) -> Self {
        Self {
            mantissa: i128::from(n),
            scale: 0,
        }
    }

    /// Reads `[+-]digits[.digits]`, also with an exponent. `None`: not a number, or too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((n, e)) => (n, e.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        let mut scale: i32 = 0;
        for (in_fraction, c) in whole
            .chars()
            .map(|c| (false, c))
            .chain(fraction.chars().map(|c| (true, c)))
        {
            let digit = i128::from(c.to_digit(10)?);
            // Digits after the 38th cannot be kept; in the fraction they are dropped.
            match mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(digit))
                .filter(|m| *m < LIMIT)
            {
                Some(m) => {
                    mantissa = m;
                    scale = scale.checked_add(i32::from(in_fraction))?;
                }
                None if in_fraction => {}
                None => return None,
            }
        }
        scale = scale.checked_sub(exponent)?;
        if scale < 0 {
            mantissa = mantissa.checked_mul(pow10(u8::try_from(scale.unsigned_abs()).ok()?)?)?;
            scale = 0;
        }
        while scale > 38 {
            mantissa /= 10;
            scale = scale.saturating_sub(1);
            if mantissa == 0 {
                scale = scale.min(38);
            }
        }
        Self::new(
            if negative { -mantissa } else { mantissa },
            u8::try_from(scale).ok()?,
        )
    }

    pub(crate) fn from_f64(value: f64, scale: u8) -> Option<Self> {
        if !value.is_finite() || value.abs() >= 1e38 {
            return None;
        }
        // Seventeen significant digits are all that a float has.
        Self::parse(&format!("{value:.*}", usize::from(scale.min(30))))
            .and_then(|d| d.rescale(scale))
    }

    pub(crate) fn to_f64(self) -> f64 {
        // Through text: the shortest way to a correctly rounded result.
        self.to_string().parse().unwrap_or(0.0)
    }

    /// The same number with another scale, rounded half away from zero.
    pub(crate) fn rescale(self, scale: u8) -> Option<Self> {
        if scale >= self.scale {
            let factor = pow10(scale.checked_sub(self.scale)?)?;
            return Self::new(self.mantissa.checked_mul(factor)?, scale);
        }
        let divisor = pow10(self.scale.checked_sub(scale)?)?;
        Self::new(round_div(self.mantissa, divisor), scale)
    }

    /// The same number cut, not rounded.
    pub(crate) fn truncate(self, scale: u8) -> Option<Self> {
        if scale >= self.scale {
            return self.rescale(scale);
        }
        let divisor = pow10(self.scale.checked_sub(scale)?)?;
        Self::new(self.mantissa.checked_div(divisor)?, scale)
    }

    /// Whether it fits into `decimal(precision, self.scale)`.
    pub(crate) fn fits(self, precision: u8) -> bool {
        pow10(precision).is_none_or(|limit| self.mantissa.abs() < limit)
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale), other.rescale(scale)) {
            (Some(a), Some(b)) => Self::new(a.mantissa.checked_add(b.mantissa)?, scale),
            _ => None,
        }
    }

    pub(crate) fn negate(self) -> Self {
        Self {
            mantissa: -self.mantissa,
            scale: self.scale,
        }
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let mut scale = self.scale.checked_add(other.scale)?;
        let (mut a, mut b) = (self.mantissa, other.mantissa);
        // Trailing zeros are given up first where the product would not fit.
        loop {
            if scale <= 38
                && let Some(product) = a.checked_mul(b)
                && product.abs() < LIMIT
            {
                return Some(Self {
                    mantissa: product,
                    scale,
                });
            }
            if scale == 0 {
                return None;
            }
            if a.abs() >= b.abs() {
                a = round_div(a, 10);
            } else {
                b = round_div(b, 10);
            }
            scale = scale.checked_sub(1)?;
        }
    }

    /// The quotient cut to `scale` digits. `None`: division by zero, or too large.
    pub(crate) fn divide(self, other: Self, scale: u8) -> Option<Self> {
        let negative = (self.mantissa < 0) != (other.mantissa < 0);
        let (n, d) = (self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        // n / 10^s1 / (d / 10^s2), digit by digit: no intermediate is wider than the result.
        let shift = i32::from(scale)
            .checked_add(i32::from(other.scale))?
            .checked_sub(i32::from(self.scale))?;
        let mut quotient = n.checked_div(d)?;
        let mut rest = n.checked_rem(d)?;
        let mut left = shift;
        while left > 0 {
            // rest < d < 10^38, and 10 × 10^38 would leave u128 for large divisors.
            let (digit, next) = match rest.checked_mul(10) {
                Some(r) => (r.checked_div(d)?, r.checked_rem(d)?),
                None => (rest.checked_div(d.checked_div(10)?)?, 0),
            };
            quotient = quotient.checked_mul(10)?.checked_add(digit)?;
            rest = next;
            left = left.saturating_sub(1);
        }
        while left < 0 {
            quotient /= 10;
            left = left.saturating_add(1);
        }
        let mantissa = i128::try_from(quotient).ok()?;
        Self::new(if negative { -mantissa } else { mantissa }, scale)
    }

    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale)?, other.rescale(scale)?);
        Self::new(a.mantissa.checked_rem(b.mantissa)?, scale)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The whole part, cut.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.truncate(0)?.mantissa).ok()
    }
}

/// `a / b` rounded half away from zero; `b` is positive.
fn round_div(a: i128, b: i128) -> i128 {
    let (q, r) = (a.checked_div(b).unwrap_or(0), a.checked_rem(b).unwrap_or(0));
    let half = b / 2 + b % 2;
    if r.abs() >= half {
        q.saturating_add(a.signum())
    } else {
        q
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let scale = usize::from(self.scale);
        if scale == 0 {
            return f.write_str(&digits);
        }
        let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(scale));
        write!(f, "{whole}.{fraction}")
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale), other.rescale(scale)) {
            (Some(a), Some(b)) => a.mantissa.cmp(&b.mantissa),
            // One does not fit at the finer scale, so the whole parts differ.
            _ => self
                .truncate(0)
                .map(|d| d.mantissa)
                .cmp(&other.truncate(0).map(|d| d.mantissa)),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn arithmetic_is_exact_where_floats_are_not() {
        assert_eq!(d("0.1").add(d("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(d("10").divide(d("3"), 6).unwrap().to_string(), "3.333333");
        assert_eq!(d("-1.005").rescale(2).unwrap().to_string(), "-1.01");
        assert_eq!(d("1.5e3").to_string(), "1500");
        assert_eq!(
            d("99999999999999999999999999999999999999")
                .to_string()
                .len(),
            38
        );
        assert!(
            Decimal::parse("100000000000000000000000000000000000000").is_none(),
            "39 digits do not fit"
        );
        assert!(d("1").divide(d("0"), 2).is_none());
    }

    proptest! {
        #[test]
        fn text_goes_round(m in -99_999_999_999_999_999_999_999_999_999_999_999_999_i128..=99_999_999_999_999_999_999_999_999_999_999_999_999, scale in 0_u8..=38) {
            let a = Decimal::new(m, scale).unwrap();
            let b = d(&a.to_string());
            prop_assert_eq!((a.mantissa, a.scale), (b.mantissa, b.scale));
        }

        #[test]
        fn division_undoes_multiplication(a in -1_000_000_000_i64..1_000_000_000, b in 1_i64..1_000_000) {
            let (x, y) = (Decimal::from_int(a), Decimal::from_int(b));
            prop_assert_eq!(x.multiply(y).unwrap().divide(y, 0).unwrap().mantissa, i128::from(a));
        }
    }
}
