//! SQL Server's wire protocol, MS-TDS 7.4, in front of the practice host's SQL engine.
//!
//! [`serve`] takes any byte stream. Reading, writing and TLS are async; the session itself
//! runs on a thread of its own, with a bounded queue on either side. An attention overtakes the queue.

mod connection;
mod login;
mod packet;
mod prelogin;
mod read;
mod rpc;
mod session;
mod tls;
mod token;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use berth_core::ByteStream;

use crate::sql::SqlServer;

impl SqlServer {
    /// Serves one TDS connection until it ends.
    pub async fn serve(self: &Arc<Self>, stream: Box<dyn ByteStream>) {
        connection::serve(self, stream).await;
    }
}
