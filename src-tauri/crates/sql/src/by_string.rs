//! Opening a finished connection string, by the driver's own reader: the proof that the string works.

use std::time::Duration;

use berth_core::{Code, Dial, Error, Result, Secret, secret::ExposeSecret};
use tiberius::{Client, Config};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::error::ConnectError;

/// Opens an ADO.NET string with tiberius's reader over `dial`, which leads where the string says (see [`server_of`]), and
/// asks the server for its version text.
///
/// # Errors
/// Where the driver refuses the string, or the server the login.
pub async fn version_by_string(
    dial: &dyn Dial,
    string: &Secret,
    timeout: Duration,
) -> Result<String> {
    let work = async {
        let mut config = read(string)?;
        config.handshake_timeout(None);
        config.command_timeout(None);
        let stream = dial.dial().await?;
        let mut client = Box::pin(Client::connect(config, stream.compat_write()))
            .await
            .map_err(|e| ConnectError::from_driver("the string's login", e).error)?;
        let unusable = |e: tiberius::error::Error| {
            Error::failed("The server did not say its version").because(e.to_string())
        };
        let row = client
            .simple_query("SELECT @@VERSION")
            .await
            .map_err(unusable)?
            .into_row()
            .await
            .map_err(unusable)?;
        Ok(row
            .and_then(|r| r.get::<&str, _>(0).map(str::to_owned))
            .unwrap_or_default())
    };
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(
                Code::TimedOut,
                format!("The string led nowhere in {} s", timeout.as_secs()),
            ))
        })
}

/// Where an ADO.NET string leads, `host:port`.
///
/// # Errors
/// Where the driver refuses the string.
pub fn server_of(string: &Secret) -> Result<String> {
    read(string).map(|config| config.get_addr())
}

fn read(string: &Secret) -> Result<Config> {
    Config::from_ado_string(string.expose_secret())
        // The driver's message may quote the string.
        .map_err(|_| {
            Error::failed("The driver cannot read this connection string")
                .hint("Take it as `berth connection` prints it")
        })
}
