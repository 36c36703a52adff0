//! Packets: eight bytes of header, and messages that are cut into them (MS-TDS 2.2.3).

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

use crate::sql::output::Gone;

/// Bytes of a packet's header.
pub(super) const HEADER: usize = 8;

/// Packet size before anything else is agreed on.
pub(super) const FIRST_SIZE: u16 = 4096;

/// Bytes of one message. SQL Server takes 65,536 packets; here texts of this size are long enough.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// Packet types (MS-TDS 2.2.3.1.1).
pub(super) mod kind {
    pub(crate) const BATCH: u8 = 0x01;
    pub(crate) const RPC: u8 = 0x03;
    pub(crate) const RESPONSE: u8 = 0x04;
    pub(crate) const ATTENTION: u8 = 0x06;
    pub(crate) const BULK: u8 = 0x07;
    pub(crate) const TRANSACTION: u8 = 0x0e;
    pub(crate) const LOGIN: u8 = 0x10;
    pub(crate) const PRELOGIN: u8 = 0x12;
}

/// Bits of a packet's status (MS-TDS 2.2.3.1.2).
pub(super) mod status {
    pub(crate) const END: u8 = 0x01;
    pub(crate) const IGNORE: u8 = 0x02;
    pub(crate) const RESET: u8 = 0x08;
    pub(crate) const RESET_KEEP_TRANSACTION: u8 = 0x10;
}

/// One message of a client, put together.
pub(super) struct Request {
    pub(super) kind: u8,
    /// The bits of all its packets.
    pub(super) status: u8,
    pub(super) body: zeroize::Zeroizing<Vec<u8>>,
}

/// The header of a packet: type, status, length with header. Lengths are big-endian.
pub(super) fn header(kind: u8, status: u8, length: u16, session: u16, number: u8) -> [u8; HEADER] {
    let [l1, l0] = length.to_be_bytes();
    let [s1, s0] = session.to_be_bytes();
    [kind, status, l1, l0, s1, s0, number, 0]
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Reads one message. `None`: the client ended between two messages.
///
/// # Errors
/// The connection's own; `InvalidData` for what is no message or is longer than `limit` bytes.
pub(super) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> io::Result<Option<Request>> {
    let mut first = [0; 1];
    if stream.read(&mut first).await? == 0 {
        return Ok(None);
    }
    let [mut kind_now] = first;
    let mut message = Request {
        kind: kind_now,
        status: 0,
        body: zeroize::Zeroizing::default(),
    };
    loop {
        let mut rest = [0; HEADER - 1];
        stream.read_exact(&mut rest).await?;
        let [status, l1, l0, ..] = rest;
        let length = usize::from(u16::from_be_bytes([l1, l0]))
            .checked_sub(HEADER)
            .ok_or_else(|| broken("a packet shorter than its header"))?;
        if kind_now != message.kind {
            return Err(broken("a message of packets of different types"));
        }
        let begin = message.body.len();
        let end = begin.saturating_add(length);
        if end > limit {
            return Err(broken("a message that is too long"));
        }
        message.status |= status;
        message.body.resize(end, 0);
        if let Some(part) = message.body.get_mut(begin..) {
            stream.read_exact(part).await?;
        }
        if status & status::END != 0 {
            return Ok(Some(message));
        }
        kind_now = stream.read_u8().await?;
    }
}

/// Cuts replies into packets and hands each full one on.
pub(super) struct Packets {
    out: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
    /// Bytes of a packet with its header, 512 to 32767.
    size: usize,
    session: u16,
    number: u8,
}

impl Packets {
    pub(super) fn new(out: mpsc::Sender<Vec<u8>>) -> Self {
        let mut new = Self {
            out,
            buffer: Vec::new(),
            size: usize::from(FIRST_SIZE),
            session: 0,
            number: 0,
        };
        new.start();
        new
    }

    fn start(&mut self) {
        self.buffer = Vec::with_capacity(self.size.min(usize::from(FIRST_SIZE)));
        self.buffer.extend_from_slice(&[0; HEADER]);
    }

    /// From the next packet on.
    pub(super) fn set_size(&mut self, size: u16) {
        self.size = usize::from(size).max(512);
    }

    pub(super) fn set_session(&mut self, spid: u16) {
        self.session = spid;
    }

    /// Adds bytes to the reply. Waits while the client does not take what is ready.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let room = self.size.saturating_sub(self.buffer.len());
            if room == 0 {
                self.send(false)?;
                continue;
            }
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the reply.
    pub(super) fn end(&mut self) -> Result<(), Gone> {
        self.send(true)?;
        self.number = 0;
        Ok(())
    }

    fn send(&mut self, last: bool) -> Result<(), Gone> {
        self.number = self.number.wrapping_add(1);
        let length = u16::try_from(self.buffer.len()).unwrap_or(u16::MAX);
        let head = header(
            kind::RESPONSE,
            if last { status::END } else { 0 },
            length,
            self.session,
            self.number,
        );
        if let Some(place) = self.buffer.first_chunk_mut::<HEADER>() {
            *place = head;
        }
        let full = std::mem::take(&mut self.buffer);
        self.start();
        self.out.blocking_send(full).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stream that gives at most so many bytes at a time.
    struct Drip(Vec<u8>, usize);

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            let n = self.1.min(buf.remaining()).min(self.0.len());
            let part: Vec<u8> = self.0.drain(..n).collect();
            buf.put_slice(&part);
            std::task::Poll::Ready(Ok(()))
        }
    }

    fn wait<T>(f: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(f)
    }

    proptest! {
        #[test]
        fn a_message_is_whole_however_it_was_cut(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8), step in 1_usize..40) {
            let mut wire = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                let last = u8::from(i + 1 == parts.len());
                wire.extend(header(kind::BATCH, last, (part.len() + HEADER) as u16, 0, i as u8));
                wire.extend(part);
            }
            let mut stream = Drip(wire, step);
            let got = wait(read_message(&mut stream, 1 << 20)).unwrap().unwrap();
            prop_assert_eq!(&*got.body, &parts.concat());
            prop_assert!(wait(read_message(&mut stream, 10)).unwrap().is_none(), "nothing is left over");
        }

        #[test]
        fn a_reply_is_whole_and_no_packet_is_too_long(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..8), size in 512_u16..=32767) {
            let (tx, mut rx) = mpsc::channel(1000);
            let mut packets = Packets::new(tx);
            packets.set_size(size);
            for part in &parts {
                packets.write(part).unwrap();
            }
            packets.end().unwrap();
            let (mut body, mut ends) = (Vec::new(), Vec::new());
            while let Ok(packet) = rx.try_recv() {
                prop_assert!(packet.len() <= usize::from(size));
                prop_assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
                ends.push(packet[1] & 1);
                body.extend_from_slice(&packet[HEADER..]);
            }
            prop_assert_eq!(body, parts.concat());
            prop_assert_eq!(ends.pop(), Some(1), "the last packet says that it is the last");
            prop_assert!(!ends.contains(&1));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            // Neither a panic nor a wait for ever.
            let _ = wait(read_message(&mut Drip(bytes, 7), 100));
        }
    }

    #[test]
    fn a_message_has_a_bound() {
        let mut wire = header(kind::BATCH, 1, 108, 0, 1).to_vec();
        wire.extend([0; 100]);
        assert!(
            wait(read_message(&mut Drip(wire, 50), 99)).is_err(),
            "memory is not the client's to fill"
        );
    }
}
