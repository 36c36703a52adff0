//! Private keys that OpenSSL encrypted in its traditional way: `Proc-Type: 4,ENCRYPTED` and `DEK-Info` (RFC 1421,
//! and OpenSSL's `EVP_BytesToKey` with MD5 for the key).

use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Why a key could not be decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Most likely the passphrase.
    Passphrase,
    /// The file, in words.
    Format(String),
}

/// The same PEM block without its encryption.
pub(crate) fn decrypt(pem: &str, passphrase: &str) -> Result<Zeroizing<String>, Problem> {
    let bad = |why: &str| Problem::Format(why.to_owned());
    let mut lines = pem
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with("-----BEGIN "));
    let begin = lines.next().ok_or_else(|| bad("it has no beginning"))?;
    let end = begin.replacen("BEGIN", "END", 1);
    let (mut info, mut body, mut is_whole) = (None, String::new(), false);
    for line in lines {
        if line == end {
            is_whole = true;
            break;
        }
        match line.split_once(':') {
            Some(("DEK-Info", value)) => info = Some(value.trim()),
            Some(_) => {}
            None => body.push_str(line),
        }
    }
    if !is_whole {
        return Err(bad("it has no end"));
    }
    let (cipher, iv) = info
        .and_then(|i| i.split_once(','))
        .ok_or_else(|| bad("it does not say how it is encrypted"))?;
    let iv = from_hex(iv.trim()).ok_or_else(|| bad("its DEK-Info is damaged"))?;
    let mut data = Zeroizing::new(
        STANDARD
            .decode(&body)
            .map_err(|_| bad("its base64 is damaged"))?,
    );
    let salt = iv.get(..8).ok_or_else(|| bad("its DEK-Info is damaged"))?;
    let key = |length| derive(passphrase.as_bytes(), salt, length);
    let clear = match cipher.trim() {
        "AES-128-CBC" => open::<cbc::Decryptor<aes::Aes128>>(&key(16), &iv, &mut data),
        "AES-192-CBC" => open::<cbc::Decryptor<aes::Aes192>>(&key(24), &iv, &mut data),
        "AES-256-CBC" => open::<cbc::Decryptor<aes::Aes256>>(&key(32), &iv, &mut data),
        "DES-EDE3-CBC" => open::<cbc::Decryptor<des::TdesEde3>>(&key(24), &iv, &mut data),
        other => {
            return Err(Problem::Format(format!(
                "it is encrypted by `{}`, which is not known",
                other.escape_debug()
            )));
        }
    }?;
    Ok(Zeroizing::new(format!(
        "{begin}\n{}\n{end}\n",
        STANDARD.encode(clear)
    )))
}

fn open<'a, C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &'a mut [u8],
) -> Result<&'a [u8], Problem> {
    C::new_from_slices(key, iv)
        .map_err(|_| Problem::Format("its DEK-Info is damaged".to_owned()))?
        .decrypt_padded::<Pkcs7>(data)
        .map_err(|_| Problem::Passphrase)
}

/// `EVP_BytesToKey` with MD5 and one round.
fn derive(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(48));
    let mut last: Option<[u8; 16]> = None;
    while key.len() < length {
        let mut context = md5::Context::new();
        if let Some(last) = last {
            context.consume(last);
        }
        context.consume(passphrase);
        context.consume(salt);
        let digest: [u8; 16] = context.finalize().into();
        key.extend_from_slice(&digest);
        last = Some(digest);
    }
    key.truncate(length);
    key
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
