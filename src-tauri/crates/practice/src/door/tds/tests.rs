use std::{path::Path, sync::Arc};

use berth_core::Secret;
use tokio::net::TcpListener;

use crate::sql::{Options, SqlServer};

const PASSWORD: &str = "Str0ng;\"'{}=pässwörd ";

/// A server on a free port of 127.0.0.1, until it is dropped.
struct Served {
    server: Arc<SqlServer>,
    port: u16,
    _dir: tempfile::TempDir,
}

async fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path());
    server.set_sa_password(&Secret::from(PASSWORD)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let server = Arc::clone(&serving);
            tokio::spawn(async move { server.serve(Box::new(stream)).await });
        }
    });
    Served {
        server,
        port,
        _dir: dir,
    }
}

fn open(dir: &Path) -> Arc<SqlServer> {
    let options = Options {
        server_name: "PRACTICE".into(),
        version: 2022,
        edition: "Express".into(),
        collation: String::new(),
        memory_mb: None,
    };
    SqlServer::open(dir, options).unwrap()
}

/// Serves until killed, for clients that are tried by hand.
#[tokio::test]
#[ignore = "serves until it is killed"]
async fn by_hand() {
    let served = serve().await;
    eprintln!("PORT {}", served.port);
    served.server.stopped().await;
}
