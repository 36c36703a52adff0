//! The certificates of the listener that Berth gave a host's engine: made here, kept in the keychain.
//!
//! The authority's key is gone once it has signed, and the engine's is kept on its host alone. New ones are kept before
//! the host gets them, beside the older ones: whichever of the two the host has after a break, this machine can use it.

use berth_core::{Error, Result, Secret, prepare, secret::ExposeSecret};
use berth_remote::{Certificates, TlsInside};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{Berth, passwords};

/// What the keychain item of a host is called by.
const KIND: &str = "engine";
/// How long before their end certificates are renewed, in seconds: a month.
const SOON: u64 = 30 * 86_400;

/// What this machine keeps of one set.
#[derive(Clone)]
pub(crate) struct Kept {
    ca: String,
    server: String,
    client: String,
    key: Secret,
    ends: u64,
}

impl Kept {
    fn of(made: &Certificates) -> Self {
        Self {
            ca: made.ca.clone(),
            server: made.server.clone(),
            client: made.client.clone(),
            key: made.client_key.clone(),
            ends: made.ends,
        }
    }

    fn write(&self) -> Value {
        json!({
            "ca": self.ca,
            "server": self.server,
            "client": self.client,
            "key": self.key.expose_secret(),
            "ends": self.ends,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            ca: text("ca")?,
            server: text("server")?,
            client: text("client")?,
            key: Secret::from(text("key")?),
            ends: value.get("ends").and_then(Value::as_u64)?,
        })
    }

    /// As a plan compares it with what the host has.
    pub(crate) fn pair(&self) -> prepare::Pair {
        prepare::Pair {
            ca: Some(self.ca.clone()),
            server: Some(self.server.clone()),
            ending: (self.ends <= now().saturating_add(SOON)).then(|| {
                i64::try_from(self.ends)
                    .ok()
                    .and_then(|s| DateTime::<Utc>::from_timestamp(s, 0))
                    .map_or_else(String::new, |t| t.format("%Y-%m-%d").to_string())
            }),
        }
    }

    /// Whether the host has this one.
    pub(crate) fn is_of(&self, look: &prepare::Look) -> bool {
        look.tls.ca.as_deref().map(str::trim) == Some(self.ca.trim())
    }

    /// What opens the listener.
    pub(crate) fn opener(&self) -> Result<TlsInside> {
        TlsInside::new(&self.ca, &self.client, &self.key)
    }
}

fn now() -> u64 {
    u64::try_from(Utc::now().timestamp()).unwrap_or_default()
}

/// What is kept for a host, the newest first.
pub(crate) async fn kept(berth: &Berth, host: &str) -> Result<Vec<Kept>> {
    let Some(item) = passwords::of_host(berth, host, KIND).await? else {
        return Ok(Vec::new());
    };
    // What cannot be read is as good as lost, and is never quoted.
    let all: Vec<Value> = serde_json::from_str(item.expose_secret()).unwrap_or_default();
    Ok(all.iter().filter_map(Kept::read).collect())
}

async fn keep(berth: &Berth, host: &str, all: &[Kept]) -> Result<()> {
    let item = serde_json::to_string(&all.iter().map(Kept::write).collect::<Vec<_>>())
        .map_err(|_| Error::failed("The certificates cannot be written"))?;
    passwords::store_of_host(berth, host, KIND, Secret::from(item)).await
}

/// Makes new ones and keeps them beside those that the host has now.
pub(crate) async fn make(berth: &Berth, host: &str) -> Result<(Certificates, Vec<Kept>)> {
    let name = host.to_owned();
    let made = crate::berth::blocking(move || Certificates::make(&name, now())).await?;
    let mut all = kept(berth, host).await?;
    all.truncate(1);
    all.insert(0, Kept::of(&made));
    keep(berth, host, &all).await?;
    Ok((made, all))
}

/// Keeps the one that the host has, and no other.
pub(crate) async fn settle(berth: &Berth, host: &str, all: &[Kept], one: &Kept) -> Result<()> {
    if all.len() == 1 {
        return Ok(());
    }
    keep(berth, host, std::slice::from_ref(one)).await
}

/// Forgets them.
pub(crate) async fn forget(berth: &Berth, host: &str) -> Result<()> {
    passwords::forget_of_host(berth, host, KIND).await
}

/// What opens the listener of a host's engine; there are other ways to it where there is none.
pub(crate) async fn opener(berth: &Berth, host: &str) -> Option<TlsInside> {
    let found = match kept(berth, host).await {
        Ok(all) => all.first().map(Kept::opener),
        Err(e) => Some(Err(e)),
    };
    match found? {
        Ok(opener) => Some(opener),
        Err(e) => {
            tracing::warn!("the certificates of `{host}` cannot be used: {e}");
            None
        }
    }
}
