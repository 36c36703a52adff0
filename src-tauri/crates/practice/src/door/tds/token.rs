//! Writing replies: tokens, one after the other (MS-TDS 2.2.7).

use bytes::BufMut as _;

use super::{
    packet::Packets,
    types::{write_cell, write_column, write_type, write_value},
};
use crate::sql::{
    collation::Collation,
    message::{self, Message},
    output::{Change, Column, Done, Gone, Output},
    session::Session,
    types::Type,
    value::Value,
};

mod tag {
    pub(super) const RETURN_STATUS: u8 = 0x79;
    pub(super) const COLUMNS: u8 = 0x81;
    pub(super) const ERROR: u8 = 0xaa;
    pub(super) const INFO: u8 = 0xab;
    pub(super) const RETURN_VALUE: u8 = 0xac;
    pub(super) const LOGIN: u8 = 0xad;
    pub(super) const FEATURES: u8 = 0xae;
    pub(super) const ROW: u8 = 0xd1;
    pub(super) const CHANGE: u8 = 0xe3;
    pub(super) const DONE: u8 = 0xfd;
    pub(super) const DONE_PROCEDURE: u8 = 0xfe;
    pub(super) const DONE_INSIDE: u8 = 0xff;
}

/// Kinds of ENVCHANGE (MS-TDS 2.2.7.9).
mod change {
    pub(super) const DATABASE: u8 = 1;
    pub(super) const LANGUAGE: u8 = 2;
    pub(super) const PACKET_SIZE: u8 = 4;
    pub(super) const COLLATION: u8 = 7;
    pub(super) const BEGAN: u8 = 8;
    pub(super) const COMMITTED: u8 = 9;
    pub(super) const ROLLED_BACK: u8 = 10;
    pub(super) const RESET: u8 = 18;
}

/// Bits of a DONE token.
mod done {
    pub(super) const MORE: u16 = 0x01;
    pub(super) const ERROR: u16 = 0x02;
    pub(super) const IN_TRANSACTION: u16 = 0x04;
    pub(super) const COUNT: u16 = 0x10;
    pub(super) const ATTENTION: u16 = 0x20;
}

/// UTF-16 units of a message's text that are sent at most. An ERROR token cannot be longer than 65,535 bytes.
const MESSAGE_UNITS: usize = 8000;

/// A DONE token that waits: whether more comes is known when it comes.
struct Waiting {
    token: u8,
    status: u16,
    command: u16,
    count: u64,
}

/// The reply to one request.
pub(super) struct Reply<'a> {
    packets: &'a mut Packets,
    /// The server's name in messages.
    server: &'a str,
    session: Option<&'a Session>,
    /// The request is a call: what is done in it is done inside of a procedure.
    call: bool,
    waiting: Option<Waiting>,
    /// Type, and whether it may be NULL.
    columns: Vec<(Type, bool)>,
    collation: Collation,
    /// An error was sent that no DONE has told of yet.
    failed: bool,
    scratch: Vec<u8>,
    /// Why the connection must end after this reply.
    broken: bool,
}

impl<'a> Reply<'a> {
    pub(super) fn new(
        packets: &'a mut Packets,
        server: &'a str,
        session: Option<&'a Session>,
    ) -> Self {
        Self {
            packets,
            server,
            session,
            call: false,
            waiting: None,
            columns: Vec::new(),
            collation: session.map_or(Collation::DEFAULT, Session::collation),
            failed: false,
            scratch: Vec::new(),
            broken: false,
        }
    }

    /// From now on statements are inside of a procedure.
    pub(super) fn begin_call(&mut self) {
        self.call = true;
    }

    /// Whether a value could not be sent as what it is.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    fn flush_waiting(&mut self, more: bool) -> Result<(), Gone> {
        let Some(w) = self.waiting.take() else {
            return Ok(());
        };
        let mut out = Vec::with_capacity(13);
        out.put_u8(w.token);
        out.put_u16_le(w.status | if more { done::MORE } else { 0 });
        out.put_u16_le(w.command);
        out.put_u64_le(w.count);
        self.packets.write(&out)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.flush_waiting(true)?;
        self.packets.write(bytes)
    }

    fn wait(
        &mut self,
        token: u8,
        mut status: u16,
        command: u16,
        count: Option<u64>,
    ) -> Result<(), Gone> {
        self.flush_waiting(true)?;
        if std::mem::take(&mut self.failed) {
            status |= done::ERROR;
        }
        if self.session.is_some_and(in_transaction) {
            status |= done::IN_TRANSACTION;
        }
        if count.is_some() {
            status |= done::COUNT;
        }
        self.waiting = Some(Waiting {
            token,
            status,
            command,
            count: count.unwrap_or(0),
        });
        Ok(())
    }

    /// Ends one call of a procedure.
    pub(super) fn end_call(&mut self) -> Result<(), Gone> {
        self.wait(tag::DONE_PROCEDURE, 0, 0xe0, None)
    }

    /// Ends the reply.
    pub(super) fn end(&mut self) -> Result<(), Gone> {
        let open = self
            .waiting
            .as_ref()
            .is_none_or(|w| w.token == tag::DONE_INSIDE);
        if open {
            self.wait(tag::DONE, 0, 0xfd, None)?;
        }
        self.flush_waiting(false)?;
        self.packets.end()
    }

    /// The whole reply to an attention.
    pub(super) fn end_attention(&mut self) -> Result<(), Gone> {
        self.wait(tag::DONE, done::ATTENTION, 0, None)?;
        self.flush_waiting(false)?;
        self.packets.end()
    }

    fn env_change(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Gone> {
        let mut body = vec![kind];
        fill(&mut body);
        let mut out = vec![tag::CHANGE];
        put_length(&mut out, body.len());
        out.extend(body);
        self.send(&out)
    }

    fn env_text(&mut self, kind: u8, new: &str, old: &str) -> Result<(), Gone> {
        self.env_change(kind, |b| {
            put_short(b, new);
            put_short(b, old);
        })
    }

    /// The session is as new.
    pub(super) fn was_reset(&mut self) -> Result<(), Gone> {
        self.env_change(change::RESET, |b| b.extend([0, 0]))
    }

    pub(super) fn collation_is(&mut self, collation: Collation) -> Result<(), Gone> {
        self.env_change(change::COLLATION, |b| {
            b.put_u8(5);
            b.extend(collation.wire());
            b.put_u8(0);
        })
    }

    pub(super) fn packet_size_is(&mut self, new: u16, old: u16) -> Result<(), Gone> {
        self.env_text(change::PACKET_SIZE, &new.to_string(), &old.to_string())
    }

    /// LOGINACK: the login is accepted. `version` is the server's: major, minor, build.
    pub(super) fn login(
        &mut self,
        program: &str,
        version: [u8; 4],
        strict: bool,
    ) -> Result<(), Gone> {
        let mut body = vec![1];
        // TDS 7.4 as the server writes it, or 8.0; a 7.3 client is content with what both know.
        body.extend(if strict {
            [0x08, 0x00, 0x00, 0x00]
        } else {
            [0x74, 0x00, 0x00, 0x04]
        });
        put_short(&mut body, program);
        body.extend(version);
        let mut out = vec![tag::LOGIN];
        put_length(&mut out, body.len());
        out.extend(body);
        self.send(&out)
    }

    /// FEATUREEXTACK: the features that both have.
    pub(super) fn features(&mut self, list: &[(u8, &[u8])]) -> Result<(), Gone> {
        let mut out = vec![tag::FEATURES];
        for (id, data) in list {
            out.put_u8(*id);
            out.put_u32_le(u32::try_from(data.len()).unwrap_or(0));
            out.extend_from_slice(data);
        }
        out.put_u8(super::login::feature::END);
        self.send(&out)
    }

    /// A value does not fit its column: an error of ours. The client must not take what came so far for a result.
    fn misfit(&mut self, what: &str) -> Gone {
        tracing::warn!(what, "a value does not fit its type");
        self.broken = true;
        let e = message::internal(format!("a value that is no {what}"));
        // If this cannot be sent either, the client is gone, which is what is said anyway.
        let _ = self.message(&e);
        Gone
    }
}

/// Whether it is known and so: a token may be written in the middle of a change.
fn in_transaction(session: &Session) -> bool {
    session.transaction.try_borrow().is_ok_and(|t| t.count > 0)
}

fn put_length(out: &mut Vec<u8>, n: usize) {
    out.put_u16_le(u16::try_from(n).unwrap_or(u16::MAX));
}

/// A text behind a byte that counts its units; cut after 255.
fn put_short(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    out.put_u8(u8::try_from(units.len()).unwrap_or(u8::MAX));
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

impl Output for Reply<'_> {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Gone> {
        self.columns = columns.iter().map(|c| (c.ty, c.nullable)).collect();
        // The database, and with it the encoding of varchar, may have changed since the request began.
        self.collation = self.session.map_or(self.collation, Session::collation);
        let mut out = vec![tag::COLUMNS];
        put_length(&mut out, columns.len());
        for c in columns {
            out.put_u32_le(0);
            let mut flags = u16::from(c.nullable);
            if c.identity {
                flags |= 0x10;
            }
            flags |= if c.computed { 0x20 } else { 0x08 };
            out.put_u16_le(flags);
            write_column(&mut out, c.ty, c.nullable, self.collation);
            put_short(&mut out, &c.name);
        }
        self.send(&out)
    }

    fn row(&mut self, values: &[Value]) -> Result<(), Gone> {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        out.push(tag::ROW);
        if values.len() != self.columns.len() {
            return Err(self.misfit("row of this result"));
        }
        let columns = self.columns.iter().zip(values);
        let wrong = columns
            .map(|(ty, v)| (ty, write_cell(&mut out, *ty, v, self.collation)))
            .find(|(_, r)| r.is_err());
        if let Some(((ty, _), _)) = wrong {
            let name = ty.full_name();
            return Err(self.misfit(&name));
        }
        let sent = self.send(&out);
        // One large row must not hold its memory for the rest of the reply.
        if out.capacity() <= 1 << 20 {
            self.scratch = out;
        }
        sent
    }

    fn done(&mut self, d: Done) -> Result<(), Gone> {
        let token = if self.call || d.inside {
            tag::DONE_INSIDE
        } else {
            tag::DONE
        };
        let status = if d.error { done::ERROR } else { 0 };
        self.wait(token, status, d.command, d.count)
    }

    fn message(&mut self, m: &Message) -> Result<(), Gone> {
        let mut body = Vec::new();
        body.put_i32_le(m.number);
        body.extend([m.state, m.class]);
        let text: Vec<u16> = m.text.encode_utf16().take(MESSAGE_UNITS).collect();
        put_length(&mut body, text.len());
        body.extend(text.into_iter().flat_map(u16::to_le_bytes));
        put_short(&mut body, self.server);
        put_short(&mut body, &m.procedure);
        body.put_u32_le(m.line);
        let is_error = m.class > 10;
        let mut out = vec![if is_error { tag::ERROR } else { tag::INFO }];
        put_length(&mut out, body.len());
        out.extend(body);
        self.send(&out)?;
        self.failed |= is_error;
        Ok(())
    }

    fn change(&mut self, c: &Change) -> Result<(), Gone> {
        match c {
            Change::Database { old, new } => {
                self.env_text(change::DATABASE, new, old)?;
                match self.session.map(Session::collation) {
                    Some(now) if now != self.collation => {
                        self.collation = now;
                        self.collation_is(now)
                    }
                    _ => Ok(()),
                }
            }
            Change::Language { old, new } => self.env_text(change::LANGUAGE, new, old),
            Change::Began(id) => self.env_change(change::BEGAN, |b| {
                b.put_u8(8);
                b.put_u64_le(*id);
                b.put_u8(0);
            }),
            Change::Committed(id) | Change::RolledBack(id) => {
                let kind = if matches!(c, Change::Committed(_)) {
                    change::COMMITTED
                } else {
                    change::ROLLED_BACK
                };
                self.env_change(kind, |b| {
                    b.extend([0, 8]);
                    b.put_u64_le(*id);
                })
            }
        }
    }

    fn status(&mut self, status: i32) -> Result<(), Gone> {
        let mut out = vec![tag::RETURN_STATUS];
        out.put_i32_le(status);
        self.send(&out)
    }

    fn returned(&mut self, name: &str, ordinal: u16, ty: Type, value: &Value) -> Result<(), Gone> {
        let mut out = vec![tag::RETURN_VALUE];
        out.put_u16_le(ordinal);
        put_short(&mut out, name);
        out.put_u8(1);
        out.put_u32_le(0);
        out.put_u16_le(0x01);
        write_type(&mut out, ty, self.collation);
        if write_value(&mut out, ty, value, self.collation).is_err() {
            return Err(self.misfit(&ty.full_name()));
        }
        self.send(&out)
    }
}
