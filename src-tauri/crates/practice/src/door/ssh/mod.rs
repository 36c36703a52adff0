//! The SSH door, as Microsoft's OpenSSH server has it.

mod channel;
pub mod command;
mod keys;
mod session;
mod sftp;
mod wire;

use std::{sync::Arc, time::Duration};

use berth_core::{BoxFuture, ByteStream};
use russh::{
    Disconnect, SshId,
    server::{self, Config},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::wire::{Bad, Wire};
use crate::machine::Model;

/// What Windows Server 2022's own sshd says, and that it is played.
const BANNER: &str = "SSH-2.0-OpenSSH_for_Windows_8.1 Berth-practice";
/// sshd's `MaxAuthTries`.
const MAX_AUTH_TRIES: usize = 6;
/// sshd's `LoginGraceTime`.
const LOGIN_TIME: Duration = Duration::from_secs(120);
/// How long a client may take to say that it speaks SSH.
const BANNER_TIME: Duration = Duration::from_secs(30);
/// Connections at once.
const CONNECTIONS: usize = 256;

/// Lets clients in until the machine goes down.
pub(crate) async fn serve(model: Arc<Model>, listener: TcpListener) {
    let config = Arc::new(Config {
        server_id: SshId::Standard(BANNER.into()),
        methods: session::methods(),
        keys: vec![model.identity().shown_host_key(model.faults())],
        max_auth_attempts: MAX_AUTH_TRIES,
        // A wrong password costs a moment; the first, empty try costs none.
        auth_rejection_time: Duration::from_millis(300),
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = model.down().cancelled() => break,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others must end before the next comes in.
                tracing::warn!(%error, "the practice host could not take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if *model.windows().away().borrow() {
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (model, config) = (Arc::clone(&model), Arc::clone(&config));
        let _ = stream.set_nodelay(true);
        connections.spawn(async move {
            answer(model, config, Box::new(stream)).await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(5), async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

/// Answers one client. Boxed, since a client may come again through its own connection.
fn answer(
    model: Arc<Model>,
    config: Arc<Config>,
    stream: Box<dyn ByteStream>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        if let Err(error) = connection(model, config, stream).await {
            tracing::debug!(%error, "an SSH connection ended");
        }
    })
}

async fn connection(
    model: Arc<Model>,
    config: Arc<Config>,
    stream: Box<dyn ByteStream>,
) -> Result<(), russh::Error> {
    let (signed_in, mut is_signed_in) = watch::channel(false);
    let cut = CancellationToken::new();
    let faults = model.faults();
    let stream = Wire::new(
        stream,
        Bad {
            drop_at: faults.drop_at(),
            latency: faults.latency(),
            bandwidth: faults.bandwidth(),
        },
        cut.clone(),
    );
    let handler = session::Connection::new(
        Arc::clone(&model),
        Arc::clone(&config),
        signed_in,
        cut.clone(),
    );
    let running = tokio::time::timeout(BANNER_TIME, server::run_stream(config, stream, handler))
        .await
        .map_err(|_| russh::Error::ConnectionTimeout)??;
    let handle = running.handle();
    let bye = |why: &'static str| {
        let handle = handle.clone();
        async move {
            let _ = handle
                .disconnect(Disconnect::ByApplication, why.into(), String::new())
                .await;
        }
    };
    let too_long = async {
        if tokio::time::timeout(LOGIN_TIME, is_signed_in.wait_for(|yes| *yes))
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(running);
    let mut away = model.windows().away();
    let mut cuts = model.faults().cuts();
    cuts.mark_unchanged();
    let at_once = {
        let cut = cut.clone();
        async move {
            let _ = cuts.changed().await;
            cut.cancel();
            std::future::pending::<()>().await;
        }
    };
    let restarts = async {
        let _ = away.wait_for(|away| *away).await;
    };
    tokio::select! {
        result = &mut running => return result,
        () = at_once => {}
        () = restarts => bye("The host restarts").await,
        () = too_long => bye("Login timeout").await,
        () = model.down().cancelled() => bye("The host is shutting down").await,
    }
    // What was said goodbye to may still not read: it is not waited for long.
    tokio::time::timeout(Duration::from_secs(2), running)
        .await
        .unwrap_or(Ok(()))
}
