//! A request's query, with Go's reading of flags.

use chrono::{DateTime, Utc};

use crate::machine::refusal::{Answer, Refusal};

/// Names and values, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(&part.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        Self(
            text.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// moby's reading: everything but these is yes.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| {
            !matches!(
                v.trim().to_ascii_lowercase().as_str(),
                "" | "0" | "no" | "false" | "none"
            )
        })
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.get(name).is_some() {
            self.flag(name)
        } else {
            default
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Answer<Option<i64>> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Refusal::invalid(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
            }),
        }
    }

    /// Seconds since 1970 with an optional fraction, or RFC 3339; 0 and nothing are "not given".
    pub(super) fn time(&self, name: &str) -> Answer<Option<DateTime<Utc>>> {
        let Some(text) = self.get(name).filter(|t| !matches!(*t, "" | "0")) else {
            return Ok(None);
        };
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Some(time.to_utc()));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos = format!("{fraction:0<9}");
        let time = whole
            .parse::<i64>()
            .ok()
            .zip(nanos.get(..9).and_then(|n| n.parse::<u32>().ok()))
            .and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos));
        time.map(Some)
            .ok_or_else(|| Refusal::invalid(format!("invalid value for \"{name}\": {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_flags_read_as_in_go() {
        let query = Query::parse("a=x%20y+z&b=1&c=0&d=False&e");
        assert_eq!(query.get("a"), Some("x y z"));
        assert!(
            query.flag("b")
                && !query.flag("c")
                && !query.flag("d")
                && !query.flag("e")
                && !query.flag("f")
        );
        assert!(query.flag_or("f", true));
    }

    #[test]
    fn times_come_as_seconds_or_text() {
        let at = |text: &str| {
            Query::parse(&format!("since={text}"))
                .time("since")
                .unwrap()
                .map(|t| t.timestamp_millis())
        };
        assert_eq!(at("1700000000.25"), Some(1_700_000_000_250));
        assert_eq!(at("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(at("0"), None);
        assert!(Query::parse("since=yesterday").time("since").is_err());
    }
}
