//! The first message of both sides: versions, and whether to encrypt (MS-TDS 2.2.6.5).

use super::read::{Malformed, Reader};

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const END: u8 = 0xff;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Only the login message is encrypted.
    Login,
    On,
    /// Nothing is encrypted.
    No,
}

impl Encryption {
    fn byte(self) -> u8 {
        match self {
            Self::Login => 0,
            Self::On => 1,
            Self::No => 2,
        }
    }
}

/// Reads a client's message: what encryption it wants. A client that says nothing wants none.
pub(super) fn read(body: &[u8]) -> Result<Encryption, Malformed> {
    let mut list = Reader::new(body);
    loop {
        let option = list.u8()?;
        if option == END {
            return Ok(Encryption::No);
        }
        let offset = usize::from(u16::from_be_bytes(list.array()?));
        let length = usize::from(u16::from_be_bytes(list.array()?));
        let value = offset
            .checked_add(length)
            .and_then(|end| body.get(offset..end))
            .ok_or(Malformed("an option outside of the message"))?;
        if option == ENCRYPTION {
            return match value.first() {
                Some(0) => Ok(Encryption::Login),
                // On, or required: both are given.
                Some(1 | 3) => Ok(Encryption::On),
                Some(2) | None => Ok(Encryption::No),
                Some(_) => Err(Malformed("an encryption that this protocol does not know")),
            };
        }
    }
}

/// Our answer: the version, the encryption, one default instance, no MARS.
pub(super) fn answer(version: [u8; 4], encryption: Encryption) -> Vec<u8> {
    let [major, minor, b1, b0] = version;
    let options: [(u8, &[u8]); 5] = [
        (VERSION, &[major, minor, b1, b0, 0, 0]),
        (ENCRYPTION, &[encryption.byte()]),
        (INSTANCE, &[0]),
        (THREAD, &[]),
        (MARS, &[0]),
    ];
    let mut head = Vec::new();
    let mut data = Vec::new();
    let begin = options.len().saturating_mul(5).saturating_add(1);
    for (option, value) in options {
        let at = u16::try_from(begin.saturating_add(data.len())).unwrap_or(u16::MAX);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        head.push(option);
        head.extend(at.to_be_bytes());
        head.extend(length.to_be_bytes());
        data.extend_from_slice(value);
    }
    head.push(END);
    head.extend(data);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_answered_is_what_is_read() {
        for e in [Encryption::Login, Encryption::On, Encryption::No] {
            assert_eq!(read(&answer([16, 0, 3, 232], e)), Ok(e));
        }
        assert_eq!(
            read(&[1, 0, 6, 0, 1, 0xff, 3]),
            Ok(Encryption::On),
            "required is on"
        );
        assert_eq!(read(&[0xff]), Ok(Encryption::No));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
