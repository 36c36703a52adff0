//! LOGIN7: who connects, and with what (MS-TDS 2.2.6.4).

use zeroize::Zeroizing;

use super::read::{Malformed, Reader, units, utf16};

/// The oldest version of the protocol that is spoken: 7.3, which brought the date types.
const OLDEST: u32 = 0x730a_0003;
/// TDS 8.0 (MS-TDS 2.2.6.4).
const STRICT: u32 = 0x0800_0000;

/// Features that a client may ask for (MS-TDS 2.2.6.4).
pub(super) mod feature {
    pub(crate) const FEDERATED: u8 = 0x02;
    pub(crate) const UTF8: u8 = 0x0a;
    pub(crate) const END: u8 = 0xff;
}

/// What a LOGIN7 message says.
#[derive(Default)]
pub(crate) struct Login {
    /// The protocol's version as the client writes it: 0x74000004 for 7.4.
    pub(crate) version: u32,
    /// Bytes, 0 for the server's choice.
    pub(crate) packet_size: u32,
    pub(crate) host: String,
    pub(crate) user: String,
    /// UTF-16 units: a password may hold what is no text.
    pub(crate) password: Zeroizing<Vec<u16>>,
    pub(crate) program: String,
    pub(crate) library: String,
    pub(crate) language: String,
    pub(crate) database: String,
    /// The client wants Windows sign-in.
    pub(crate) integrated: bool,
    pub(crate) changes_password: bool,
    /// Numbers of the features that were asked for.
    pub(crate) features: Vec<u8>,
}

/// Not the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Whether the client's version of the protocol is spoken here.
    pub(super) fn is_spoken(&self) -> bool {
        self.version >= OLDEST || self.is_strict()
    }

    /// Whether the client speaks TDS 8.0, which lives inside of TLS from its first byte.
    pub(super) fn is_strict(&self) -> bool {
        self.version == STRICT
    }

    pub(super) fn wants(&self, feature: u8) -> bool {
        self.features.contains(&feature)
    }

    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        let length = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
        let body = body
            .get(..length)
            .ok_or(Malformed("a login longer than its message"))?;
        let version = r.u32()?;
        let packet_size = r.u32()?;
        let _program_version_process_connection: [u8; 12] = r.array()?;
        let [_, flags2, _, flags3] = r.array()?;
        let _zone_and_locale: [u8; 8] = r.array()?;
        let host = utf16(place(&mut r, body, 128)?);
        let user = utf16(place(&mut r, body, 128)?);
        let password = units_of(place(&mut r, body, 128)?);
        let program = utf16(place(&mut r, body, 128)?);
        let _server = place(&mut r, body, 32_767)?;
        // Units are bytes here: the place of a number that says where the features are.
        let extension = (r.u16()?, r.u16()?);
        let library = utf16(place(&mut r, body, 128)?);
        let language = utf16(place(&mut r, body, 128)?);
        let database = utf16(place(&mut r, body, 128)?);
        let features = match extension {
            (at, 4..) if flags3 & 0x10 != 0 => features(body, at)?,
            _ => Vec::new(),
        };
        Ok(Self {
            version,
            packet_size,
            host,
            user,
            password,
            program,
            library,
            language,
            database,
            integrated: flags2 & 0x80 != 0,
            changes_password: flags3 & 0x01 != 0,
            features,
        })
    }
}

/// A text or what is like one: its place in the message and its length in units.
fn place<'a>(r: &mut Reader<'_>, body: &'a [u8], limit: usize) -> Result<&'a [u8], Malformed> {
    let at = usize::from(r.u16()?);
    let count = usize::from(r.u16()?);
    if count > limit {
        return Err(Malformed("a name in the login that is too long"));
    }
    if count == 0 {
        // Clients write any offset for what is not there.
        return Ok(&[]);
    }
    let end = count.checked_mul(2).and_then(|n| n.checked_add(at));
    end.and_then(|end| body.get(at..end))
        .ok_or(Malformed("a name outside of the login"))
}

fn features(body: &[u8], at: u16) -> Result<Vec<u8>, Malformed> {
    let outside = Malformed("features outside of the login");
    let mut r = Reader::new(body.get(usize::from(at)..).ok_or(outside)?);
    let place = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    let mut r = Reader::new(body.get(place..).ok_or(outside)?);
    let mut found = Vec::new();
    loop {
        let id = r.u8()?;
        if id == feature::END {
            return Ok(found);
        }
        let length = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
        r.take(length)?;
        found.push(id);
    }
}

/// A password is hidden from a passing glance: each byte's halves are swapped, then 0xA5 is laid over.
fn units_of(bytes: &[u8]) -> Zeroizing<Vec<u16>> {
    let plain = Zeroizing::new(
        bytes
            .iter()
            .map(|b| (b ^ 0xa5).rotate_left(4))
            .collect::<Vec<u8>>(),
    );
    // With its final size from the start: a vector that grows leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    out.extend(units(&plain));
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A LOGIN7 message as a client writes it: host, user, password, program, server, library, language, database.
    pub(crate) fn message(texts: [&[u16]; 8], features: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut head = Vec::new();
        head.extend(0x7400_0004_u32.to_le_bytes());
        head.extend(8000_u32.to_le_bytes());
        head.extend([0; 12]);
        head.extend([0xe0, 0x03, 0, if features.is_empty() { 0 } else { 0x10 }]);
        head.extend([0; 8]);
        let mut data = Vec::new();
        let mut places = Vec::new();
        for (i, units) in texts.iter().enumerate() {
            if i == 5 {
                places.extend([
                    (94 + data.len()) as u16,
                    if features.is_empty() { 0 } else { 4 },
                ]);
                if !features.is_empty() {
                    data.extend([0; 4]);
                }
            }
            places.extend([(94 + data.len()) as u16, units.len() as u16]);
            for b in units.iter().flat_map(|u| u.to_le_bytes()) {
                data.push(if i == 2 { b.rotate_left(4) ^ 0xa5 } else { b });
            }
        }
        if !features.is_empty() {
            let at = ((94 + data.len()) as u32).to_le_bytes();
            let place = usize::from(places[10]) - 94;
            data[place..place + 4].copy_from_slice(&at);
            for (id, value) in features {
                data.push(*id);
                data.extend((value.len() as u32).to_le_bytes());
                data.extend(value);
            }
            data.push(0xff);
        }
        head.extend(places.iter().flat_map(|p| p.to_le_bytes()));
        head.resize(90, 0);
        let mut out = ((94 + data.len()) as u32).to_le_bytes().to_vec();
        out.extend(head);
        out.extend(data);
        out
    }

    proptest! {
        #[test]
        fn any_texts_arrive(
            texts in proptest::array::uniform7(proptest::collection::vec(any::<char>(), 0..60).prop_map(|c| c.into_iter().collect::<String>())),
            password in proptest::collection::vec(any::<u16>(), 0..=128),
            features in proptest::collection::vec((0_u8..0xff, proptest::collection::vec(any::<u8>(), 0..9)), 0..4),
        ) {
            let units: Vec<Vec<u16>> = texts.iter().map(|t| t.encode_utf16().collect()).collect();
            let body = message([&units[0], &units[1], &password, &units[2], &units[3], &units[4], &units[5], &units[6]], &features);
            let got = Login::read(&body).unwrap();
            prop_assert_eq!(&*got.password, &password, "a password is what it is, also where it is no text");
            prop_assert_eq!([&got.host, &got.user, &got.program, &got.library, &got.language, &got.database],
                [&texts[0], &texts[1], &texts[2], &texts[4], &texts[5], &texts[6]]);
            prop_assert_eq!(got.features.clone(), features.iter().map(|f| f.0).collect::<Vec<_>>());
            let shown = format!("{got:?}");
            prop_assert!(!shown.contains("password"));
            // Cut anywhere, it is refused.
            for cut in [0, 4, 35, 93, body.len() - 1] {
                prop_assert!(Login::read(&body[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = bytes;
            let length = (bytes.len() as u32).to_le_bytes();
            if let Some(head) = bytes.first_chunk_mut::<4>() { *head = length; }
            let _ = Login::read(&bytes);
        }
    }
}
