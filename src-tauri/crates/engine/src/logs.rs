//! A container's output as lines.
//!
//! The engine sends frames, and a frame is a piece of a line as often as a line. Bytes are cut
//! at line ends first and read as UTF-8 after, so that a character which two frames share
//! stays whole; what is no UTF-8 becomes U+FFFD.

use std::{collections::VecDeque, time::Duration};

use berth_core::{Error, Result};
use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use bytes::BytesMut;
use futures_util::{Stream, StreamExt, stream};

use crate::{
    Answers,
    container::check_id,
    engine::{Engine, LIST, too_slow},
    error::{Doing, api_error},
};

/// Bytes of one line; a longer one comes in pieces, all but the last marked as cut.
pub const MAX_LINE: usize = 64 << 10;

/// How long a log that is not followed may stay silent before it counts as stuck.
const SILENCE: Duration = Duration::from_secs(60);

/// Which of the container's outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output, or the terminal of a container that has one.
    Out,
    /// Standard error.
    Err,
}

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it came from.
    pub stream: LogStream,
    /// When the engine got it, RFC 3339 with nanoseconds; only if timestamps were asked for.
    pub time: Option<String>,
    /// The text without its line end.
    pub text: String,
    /// Whether the line was longer than [`MAX_LINE`] and goes on in the next item.
    pub cut: bool,
}

/// Which part of the output to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// Whether to go on as more comes, until the container ends.
    pub follow: bool,
    /// Only lines from this time on, in seconds since 1970.
    pub since: Option<u32>,
    /// Only so many of the last lines.
    pub tail: Option<u32>,
    /// Whether to say when the engine got each line.
    pub timestamps: bool,
}

impl Engine {
    /// A container's output, line by line. Ends with it, or when the container ends; dropping
    /// the stream stops it. A log that is not followed is given up after 60 seconds of silence.
    ///
    /// The stream's errors: [`berth_core::Code::NotFound`], or what the connection says.
    #[must_use]
    pub fn logs(&self, id: &str, options: LogOptions) -> Answers<LogLine> {
        let doing = Doing::new("read the log of the container", id);
        if let Err(e) = check_id(&doing, id) {
            return stream::once(async { Err(e) }).boxed();
        }
        let mut ask = LogsOptionsBuilder::new()
            .follow(options.follow)
            .stdout(true)
            .stderr(true)
            .timestamps(options.timestamps);
        if let Some(since) = options.since {
            ask = ask.since(i32::try_from(since).unwrap_or(i32::MAX));
        }
        if let Some(tail) = options.tail {
            ask = ask.tail(&tail.to_string());
        }
        let frames = self.streams(LIST).logs(id, Some(ask.build())).boxed();
        let silence = (!options.follow).then_some(SILENCE);
        lines(
            frames,
            Splitter::new(options.timestamps),
            id.to_owned(),
            silence,
        )
        .boxed()
    }
}

fn lines(
    frames: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + Unpin,
    splitter: Splitter,
    id: String,
    silence: Option<Duration>,
) -> impl Stream<Item = Result<LogLine>> + Send {
    struct Reading<S> {
        frames: Option<S>,
        splitter: Splitter,
        ready: VecDeque<LogLine>,
        error: Option<Error>,
    }
    let start = Reading {
        frames: Some(frames),
        splitter,
        ready: VecDeque::new(),
        error: None,
    };
    stream::unfold(start, move |mut at| {
        let id = id.clone();
        async move {
            let doing = Doing::new("read the log of the container", &id);
            loop {
                if let Some(line) = at.ready.pop_front() {
                    return Some((Ok(line), at));
                }
                if let Some(error) = at.error.take() {
                    return Some((Err(error), at));
                }
                let frames = at.frames.as_mut()?;
                let next = match silence {
                    None => Ok(frames.next().await),
                    Some(limit) => tokio::time::timeout(limit, frames.next())
                        .await
                        .map_err(|_| too_slow(&doing, limit)),
                };
                match next {
                    Ok(Some(Ok(frame))) => at.splitter.take(&frame, &mut at.ready),
                    ended => {
                        // What had come before it ended is shown before the reason.
                        at.frames = None;
                        at.splitter.finish(&mut at.ready);
                        at.error = match ended {
                            Ok(Some(Err(e))) => Some(api_error(&doing, e)),
                            Err(e) => Some(e),
                            Ok(_) => None,
                        };
                    }
                }
            }
        }
    })
}

/// Cuts frames into lines, for each of the two outputs on its own.
struct Splitter {
    timestamps: bool,
    out: Partial,
    err: Partial,
}

#[derive(Default)]
struct Partial {
    bytes: BytesMut,
    time: Option<String>,
}

impl Splitter {
    fn new(timestamps: bool) -> Self {
        Self {
            timestamps,
            out: Partial::default(),
            err: Partial::default(),
        }
    }

    fn take(&mut self, frame: &LogOutput, ready: &mut VecDeque<LogLine>) {
        let (stream, partial, mut rest) = match frame {
            LogOutput::StdErr { message } => (LogStream::Err, &mut self.err, message.as_ref()),
            LogOutput::StdOut { message }
            | LogOutput::Console { message }
            | LogOutput::StdIn { message } => (LogStream::Out, &mut self.out, message.as_ref()),
        };
        // The engine puts a time before every frame, also before one that continues a line.
        let mut at_frame_start = true;
        while !rest.is_empty() {
            if self.timestamps
                && (at_frame_start || partial.bytes.is_empty())
                && let Some((time, after)) = timestamp(rest)
            {
                if partial.bytes.is_empty() {
                    partial.time = Some(time.to_owned());
                }
                rest = after;
            }
            at_frame_start = false;
            let (piece, ended, after) = match rest.iter().position(|b| *b == b'\n') {
                Some(at) => {
                    let (piece, after) = rest.split_at(at);
                    (piece, true, after.get(1..).unwrap_or_default())
                }
                None => (rest, false, [].as_slice()),
            };
            partial.add(piece, stream, ready);
            if ended {
                partial.end(stream, ready);
            }
            rest = after;
        }
    }

    fn finish(&mut self, ready: &mut VecDeque<LogLine>) {
        for (stream, partial) in [
            (LogStream::Out, &mut self.out),
            (LogStream::Err, &mut self.err),
        ] {
            if !partial.bytes.is_empty() {
                partial.end(stream, ready);
            }
        }
    }
}

impl Partial {
    fn add(&mut self, mut piece: &[u8], stream: LogStream, ready: &mut VecDeque<LogLine>) {
        while self.bytes.len().saturating_add(piece.len()) > MAX_LINE {
            let room = MAX_LINE.saturating_sub(self.bytes.len());
            let (now, later) = piece.split_at(room.min(piece.len()));
            self.bytes.extend_from_slice(now);
            piece = later;
            // A character that the limit would halve waits for its rest.
            let whole = whole_characters(&self.bytes);
            let kept = self.bytes.split_off(whole);
            ready.push_back(LogLine {
                stream,
                time: self.time.clone(),
                text: String::from_utf8_lossy(&self.bytes).into_owned(),
                cut: true,
            });
            self.bytes = kept;
        }
        self.bytes.extend_from_slice(piece);
    }

    fn end(&mut self, stream: LogStream, ready: &mut VecDeque<LogLine>) {
        let line = self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes);
        ready.push_back(LogLine {
            stream,
            time: self.time.take(),
            text: String::from_utf8_lossy(line).into_owned(),
            cut: false,
        });
        self.bytes.clear();
    }
}

/// How many bytes remain when an incomplete character at the end is left out.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        // `error_len` is None only for a character whose rest may still come; it has at most
        // three bytes, and the rest of the line is text or rubbish that stays as it is.
        Err(_) => (bytes.len().saturating_sub(3)..bytes.len())
            .find(|at| {
                bytes.get(*at..).is_some_and(|tail| {
                    std::str::from_utf8(tail)
                        .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
                })
            })
            .unwrap_or(bytes.len()),
    }
}

/// `2026-01-02T03:04:05.000000000Z ` at the start, as the engine writes it.
fn timestamp(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let space = bytes.iter().take(40).position(|b| *b == b' ')?;
    let (time, rest) = bytes.split_at_checked(space)?;
    let text = std::str::from_utf8(time).ok()?;
    let shape = time.len() >= 20
        && time.iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            10 => *b == b'T',
            13 | 16 => *b == b':',
            0..19 => b.is_ascii_digit(),
            _ => b.is_ascii_digit() || matches!(b, b'.' | b'Z' | b'+' | b'-' | b':'),
        });
    shape.then(|| (text, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn split(frames: &[LogOutput], timestamps: bool) -> Vec<LogLine> {
        let mut splitter = Splitter::new(timestamps);
        let mut ready = VecDeque::new();
        for frame in frames {
            splitter.take(frame, &mut ready);
        }
        splitter.finish(&mut ready);
        ready.into()
    }

    fn out(bytes: impl Into<Bytes>) -> LogOutput {
        LogOutput::StdOut {
            message: bytes.into(),
        }
    }

    fn err(bytes: impl Into<Bytes>) -> LogOutput {
        LogOutput::StdErr {
            message: bytes.into(),
        }
    }

    #[test]
    fn the_two_outputs_do_not_mix_inside_a_line() {
        let lines = split(&[out("a"), err("x\n"), out("b\r\nc"), err("y")], false);
        let told: Vec<_> = lines.iter().map(|l| (l.stream, l.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (LogStream::Err, "x"),
                (LogStream::Out, "ab"),
                (LogStream::Out, "c"),
                (LogStream::Err, "y")
            ]
        );
    }

    #[test]
    fn a_line_that_came_in_two_frames_has_one_time() {
        let lines = split(
            &[
                out("2026-01-02T03:04:05.000000001Z first "),
                out("2026-01-02T03:04:05.000000002Z half\n2026-01-02T03:04:06.000000000Z next\n"),
                out("no time here\n"),
            ],
            true,
        );
        assert_eq!(
            lines[0].text, "first half",
            "the second time belongs to the frame, not to the text"
        );
        assert_eq!(
            lines[0].time.as_deref(),
            Some("2026-01-02T03:04:05.000000001Z")
        );
        assert_eq!(
            (lines[1].text.as_str(), lines[1].time.is_some()),
            ("next", true)
        );
        assert_eq!(
            (lines[2].text.as_str(), lines[2].time.as_deref()),
            ("no time here", None)
        );
    }

    #[test]
    fn a_time_that_was_not_asked_for_is_text() {
        let lines = split(&[out("2026-01-02T03:04:05.000000001Z x\n")], false);
        assert_eq!(lines[0].text, "2026-01-02T03:04:05.000000001Z x");
    }

    proptest! {
        #[test]
        fn frames_of_any_size_give_the_same_lines(
            text in "[a-zäö😀\r\n]{0,200}",
            cuts in proptest::collection::vec(1_usize..9, 1..50),
        ) {
            let mut frames = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                frames.push(out(now.to_vec()));
                rest = later;
            }
            let texts: Vec<String> = split(&frames, false).into_iter().map(|l| l.text).collect();
            let mut expected: Vec<String> = text
                .split('\n')
                .map(|l| l.strip_suffix('\r').unwrap_or(l).to_owned())
                .collect();
            // A last line without its end counts only if there is something of it.
            if text.split('\n').next_back() == Some("") { expected.pop(); }
            prop_assert_eq!(texts, expected, "a character that two frames share must stay whole");
        }

        #[test]
        fn no_line_is_longer_than_its_bound_and_nothing_is_lost(
            unit in "[a-zä😀]{1,7}",
            frame in 1_usize..200_000,
        ) {
            let text = unit.repeat((MAX_LINE * 2 + 77) / unit.len());
            let frames: Vec<_> =
                text.as_bytes().chunks(frame).map(|c| out(c.to_vec())).collect();
            let lines = split(&frames, false);
            prop_assert!(lines.iter().all(|l| l.text.len() <= MAX_LINE));
            prop_assert!(lines.len() > 1 && lines.iter().rev().skip(1).all(|l| l.cut));
            prop_assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<String>(), text);
        }

        #[test]
        fn any_bytes_can_be_a_log(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            split(&[out(bytes.clone()), err(bytes)], true);
        }
    }
}
