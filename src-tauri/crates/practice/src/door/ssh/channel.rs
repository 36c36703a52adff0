//! Joins an SSH channel to a stream inside the machine.
//!
//! Both ways are bounded, and each runs by itself: a client that does not read its channel
//! fills that channel's window and stops nothing else.

use std::time::Duration;

use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, server::Msg};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

/// Bytes between a channel and what it is joined to, each way.
const BUFFER: usize = 1024 * 1024;
/// How long what a client sends may lie unread before its channel is closed. In that time the
/// whole connection waits: SSH's flow control is the library's, and it grants the next window
/// on receipt, not on reading.
const UNREAD: Duration = Duration::from_secs(30);

/// A stream for something inside the machine, and the end that [`join`] takes.
pub(super) fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(BUFFER)
}

/// Carries bytes until the inside closes its stream or the client its channel. Says whether the
/// inside ended first, so that an exit status can still be told.
pub(super) async fn join(
    channel: Channel<Msg>,
    near: DuplexStream,
) -> (bool, ChannelWriteHalf<Msg>) {
    let (read, write) = channel.split();
    let (from_inside, to_inside) = tokio::io::split(near);
    let ended = {
        let out = outward(from_inside, &write);
        let inward = inward(read, to_inside);
        tokio::select! {
            () = out => true,
            () = inward => false,
        }
    };
    (ended, write)
}

/// Ends with the client's close, or when the inside does not take what it sends.
async fn inward(mut read: ChannelReadHalf, mut inside: WriteHalf<DuplexStream>) {
    let mut open = true;
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } if open => {
                match tokio::time::timeout(UNREAD, inside.write_all(&data)).await {
                    Ok(Ok(())) => {}
                    // The inside reads no more, but may still write.
                    Ok(Err(_)) => open = false,
                    Err(_) => return,
                }
            }
            ChannelMsg::Eof if open => {
                open = false;
                let _ = inside.shutdown().await;
            }
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Ends when the inside has said all it will.
async fn outward(mut inside: ReadHalf<DuplexStream>, write: &ChannelWriteHalf<Msg>) {
    let mut to_client = write.make_writer();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match inside.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                let Some(part) = buffer.get(..n) else { return };
                if to_client.write_all(part).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads and forgets what a client sends to a command that takes no input; ends with its close.
pub(super) async fn drain(mut read: ChannelReadHalf) {
    while let Some(message) = read.wait().await {
        if matches!(message, ChannelMsg::Close) {
            return;
        }
    }
}
