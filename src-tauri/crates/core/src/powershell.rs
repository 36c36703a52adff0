//! What travels to Windows PowerShell 5.1 and back: one envelope around every script.
//!
//! An SSH server on Windows hands a command to whatever shell its owner has set, and the
//! same text means different things to cmd and to PowerShell. So a script travels as
//! `-EncodedCommand` (base64 of UTF-16LE), which no shell can misread, and answers with one
//! marked line of JSON on its standard output. Whatever a profile, a module or a program
//! prints around that line is noise, and noise is let through.
//!
//! A script is any text whose pipeline output is the answer. It may throw; it must not
//! `exit`. Values go in as JSON on the standard input ([`input_line`]), which the script
//! finds in `$given`: a command line is visible to every process of a host, so nothing
//! secret and nothing variable may be in it.
//!
//! ```
//! use berth_core::powershell;
//! let command = powershell::command("Get-Date -Format o")?;
//! assert_eq!(powershell::script_of(&command).as_deref(), Some("Get-Date -Format o"));
//! # Ok::<(), berth_core::Error>(())
//! ```
//!
//! Sources: `about_PowerShell_exe` for the parameters, MS-PSRP 2.2.5 for CLIXML.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{Error, Result};

/// What Berth asks a Windows host before it uses it. Changes nothing.
pub const PROBE: &str = include_str!("../../../../installers/windows/probe.ps1");

/// What makes a Windows machine a container host, step by step. Travels by [`LOADER`].
pub const PREPARE: &str = include_str!("../../../../installers/windows/prepare.ps1");

/// Runs a script of any length: it comes in by the standard input, with what it is given
/// ([`loaded`]). The script finds `$given`, and its own text in `$itself`.
pub const LOADER: &str =
    "$itself=$given.script;$given=$given.given;& ([ScriptBlock]::Create($itself))";

/// The longest command in characters. cmd refuses more than 8191 in a line, of which its
/// own call (`"C:\Windows\system32\cmd.exe" /c "…"`) takes some.
pub const MAX_COMMAND: usize = 8100;

/// The mark before an answer.
pub const ANSWER: &str = "BERTH-JSON:";

/// The mark before a failure: an object with `m` (message), `at` (position), `id`.
pub const FAILURE: &str = "BERTH-ERR:";

const CALL: &str = "powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ";

// Progress is silenced by the first statement: what comes before it is already written to
// stderr as CLIXML. The console's encoding cannot be set where there is no console or in
// a constrained language mode, so that may fail; answers are ASCII but for what hosts add.
const HEAD: &str = "$ProgressPreference='SilentlyContinue';$WarningPreference='SilentlyContinue';$ErrorActionPreference='Stop'
try{[Console]::OutputEncoding=New-Object Text.UTF8Encoding $false}catch{}
";
const GIVEN: &str = "$given=(@($input)-join\"`n\")|ConvertFrom-Json
";
const OPEN: &str = "try{$r=&{
";
// Assigned first, so that nothing is on stdout when the script throws half-way. The marks
// start a line of their own even behind a program that printed no line end.
const CLOSE: &str = "
};[Console]::Out.Write(\"`nBERTH-JSON:\"+(ConvertTo-Json -InputObject $r -Compress -Depth 6)+\"`n\");exit 0}catch{[Console]::Out.Write(\"`nBERTH-ERR:\"+(@{m=\"$($_.Exception.Message)\";at=\"$($_.InvocationInfo.PositionMessage)\";id=$_.FullyQualifiedErrorId}|ConvertTo-Json -Compress)+\"`n\");exit 1}";

/// The script as it travels: without comment lines, blank lines and indentation.
///
/// A script with a here-string (`@'` or `@"` at a line's end) keeps every character, since
/// indentation matters inside one. Block comments (`<# #>`) are not looked for: do not use
/// them in scripts that travel this way.
#[must_use]
pub fn compact(script: &str) -> String {
    let here_string = script
        .lines()
        .map(str::trim_end)
        .any(|l| l.ends_with("@'") || l.ends_with("@\""));
    if here_string {
        return script.to_owned();
    }
    script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The command that runs `script` and answers marked JSON, for any default shell.
///
/// # Errors
/// The script is too long for one command ([`MAX_COMMAND`]; about 2,400 characters of
/// script after [`compact`]).
pub fn command(script: &str) -> Result<String> {
    wrap(script, "")
}

/// The same for a script that reads `$given`: the caller writes [`input_line`] to the
/// command's standard input and closes it.
///
/// # Errors
/// As [`command`].
pub fn command_with_input(script: &str) -> Result<String> {
    wrap(script, GIVEN)
}

fn wrap(script: &str, given: &str) -> Result<String> {
    let text = format!("{HEAD}{given}{OPEN}{}{CLOSE}", compact(script));
    let command = format!("{CALL}{}", encode(&text));
    if command.len() > MAX_COMMAND {
        return Err(
            Error::failed("A PowerShell script is too long for one command").because(format!(
                "the command has {} characters, Windows takes {MAX_COMMAND}",
                command.len()
            )),
        );
    }
    Ok(command)
}

/// Base64 of UTF-16LE, as `-EncodedCommand` wants it.
#[must_use]
pub fn encode(text: &str) -> String {
    STANDARD.encode(
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>(),
    )
}

/// Reads what [`encode`] wrote; `None` where it is not base64 of UTF-16LE.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text).ok()?;
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    String::from_utf16(
        &pairs
            .iter()
            .map(|pair| u16::from_le_bytes(*pair))
            .collect::<Vec<_>>(),
    )
    .ok()
}

/// The script inside a command that [`command`] made, after [`compact`]; `None` for any
/// other command.
#[must_use]
pub fn script_of(command: &str) -> Option<String> {
    let text = decode(command.strip_prefix(CALL)?)?;
    let rest = text.strip_prefix(HEAD)?;
    let rest = rest.strip_prefix(GIVEN).unwrap_or(rest);
    Some(rest.strip_prefix(OPEN)?.strip_suffix(CLOSE)?.to_owned())
}

/// A value as one line of ASCII for a script's standard input.
///
/// Everything beyond ASCII is written as `\uXXXX`: a host reads its standard input in the
/// code page of its console, which is rarely UTF-8.
#[must_use]
pub fn input_line(value: &Value) -> String {
    format!("{}\n", ascii(&value.to_string()))
}

/// The input of [`LOADER`]: a script and what it is given.
#[must_use]
pub fn loaded(script: &str, given: &Value) -> Value {
    serde_json::json!({ "script": compact(script), "given": given })
}

/// Reads what [`loaded`] made from a command's standard input, for those who play a host.
#[must_use]
pub fn read_loaded(input: &[u8]) -> Option<(String, Value)> {
    let value: Value = serde_json::from_slice(input).ok()?;
    let script = value.get("script")?.as_str()?.to_owned();
    Some((script, value.get("given").cloned().unwrap_or(Value::Null)))
}

/// The line that a script's answer makes, for those who play a host.
#[must_use]
pub fn answer_line(value: &Value) -> String {
    format!("\n{ANSWER}{value}\n")
}

/// The line that a script's failure makes, for those who play a host.
#[must_use]
pub fn failure_line(message: &str, at: &str, id: &str) -> String {
    format!(
        "\n{FAILURE}{}\n",
        serde_json::json!({ "m": message, "at": at, "id": id })
    )
}

fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// Reads what a command of this module answered.
///
/// `status` is the exit status where the host told one. A script without output answers
/// [`Value::Null`]: Windows PowerShell writes nothing for it.
///
/// # Errors
/// The script threw, PowerShell did not run, or the answer is not there; the causes carry
/// what the host said, without CLIXML.
pub fn answer(stdout: &[u8], stderr: &[u8], status: Option<u32>) -> Result<Value> {
    let stdout = String::from_utf8_lossy(stdout);
    // The last mark counts: a script may print a text that holds an earlier one.
    let marked = stdout.lines().rev().find_map(|line| {
        let line = line.trim_start_matches('\u{feff}');
        line.strip_prefix(ANSWER)
            .map(|rest| (true, rest))
            .or_else(|| line.strip_prefix(FAILURE).map(|rest| (false, rest)))
    });
    match marked {
        Some((true, "")) => Ok(Value::Null),
        Some((true, json)) => serde_json::from_str(json.trim_end()).map_err(|e| {
            Error::failed("The host's PowerShell answered something that is not JSON")
                .because(e.to_string())
        }),
        Some((false, json)) => Err(failure(json)),
        None => Err(without_mark(
            &stdout,
            &String::from_utf8_lossy(stderr),
            status,
        )),
    }
}

fn failure(json: &str) -> Error {
    let value: Value = serde_json::from_str(json.trim_end()).unwrap_or(Value::Null);
    let text = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let message = text("m");
    let mut error = Error::failed("A script failed on the host").because(if message.is_empty() {
        "it gave no reason".to_owned()
    } else {
        message
    });
    for (name, value) in [("id", text("id")), ("at", text("at"))] {
        if !value.is_empty() {
            error = error.detail(name, value);
        }
    }
    error
}

fn without_mark(stdout: &str, stderr: &str, status: Option<u32>) -> Error {
    let said = readable(stderr);
    let said = if said.is_empty() {
        tail(stdout.trim())
    } else {
        said
    };
    let constrained = [stderr, stdout]
        .iter()
        .any(|text| text.contains("ConstrainedLanguage"));
    let ended = match status {
        None => "it told no exit status".to_owned(),
        Some(code) if code > 0xffff => format!("exit status 0x{code:08X}"),
        Some(code) => format!("exit status {code}"),
    };
    let mut error = Error::failed("The host's PowerShell gave no answer").because(ended);
    if !said.is_empty() {
        error = error.because(said);
    }
    if constrained {
        error = error.hint(
            "PowerShell runs in constrained language mode there (AppLocker or App Control); Berth needs full language mode for this user",
        );
    }
    error
}

/// What PowerShell wrote to stderr as text: CLIXML is decoded, progress left out.
///
/// At most the last 2,000 characters, since it ends in an error message.
#[must_use]
pub fn readable(stderr: &str) -> String {
    let mut out = String::new();
    let mut rest = stderr;
    // Text of native programs and CLIXML documents can follow one another in any order.
    while let Some(start) = rest.find("#< CLIXML") {
        let (before, xml) = rest.split_at(start);
        out.push_str(before);
        let end = xml
            .find("</Objs>")
            .map_or(xml.len(), |at| at + "</Objs>".len());
        let (document, after) = xml.split_at(end);
        out.push_str(&clixml(document));
        rest = after;
    }
    out.push_str(rest);
    tail(out.trim())
}

fn clixml(document: &str) -> String {
    let mut out = String::new();
    let mut rest = document;
    while let Some(at) = rest.find("<S S=\"") {
        let (_, found) = rest.split_at(at + "<S S=\"".len());
        let Some((stream, after)) = found.split_once("\">") else {
            break;
        };
        let (text, after) = after.split_once("</S>").unwrap_or((after, ""));
        if stream.eq_ignore_ascii_case("error") || stream.eq_ignore_ascii_case("warning") {
            out.push_str(&unescape(text));
        }
        rest = after;
    }
    out
}

/// `_xHHHH_` is a UTF-16 unit, `&lt;` and its like are XML's.
fn unescape(text: &str) -> String {
    let xml = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    let mut units = Vec::with_capacity(xml.len());
    let mut rest = xml.as_str();
    while let Some(at) = rest.find("_x") {
        let (before, found) = rest.split_at(at);
        units.extend(before.encode_utf16());
        let unit = found
            .get(2..6)
            .filter(|_| found.get(6..7) == Some("_"))
            .and_then(|hex| u16::from_str_radix(hex, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = found.get(7..).unwrap_or_default();
        } else {
            units.extend("_x".encode_utf16());
            rest = found.get(2..).unwrap_or_default();
        }
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units).replace("\r\n", "\n")
}

/// The last 2,000 characters.
fn tail(text: &str) -> String {
    const MOST: usize = 2000;
    let skip = text.chars().count().saturating_sub(MOST);
    text.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_probe_fits_one_command() {
        let command = command(PROBE).unwrap();
        assert!(command.len() <= MAX_COMMAND, "cmd cuts longer lines off");
        assert_eq!(
            script_of(&command).unwrap(),
            compact(PROBE),
            "the practice host knows a script by its text"
        );
        assert!(
            command
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || " -+/=".contains(c)),
            "no shell may find anything to expand: {command}"
        );
    }

    #[test]
    fn a_script_that_is_too_long_is_refused_before_it_travels() {
        let e = command(&"Write-Output 'x'\n".repeat(200)).unwrap_err();
        assert!(
            e.to_string().contains("too long"),
            "cmd would cut it off in the middle: {e}"
        );
    }

    #[test]
    fn compact_leaves_here_strings_alone() {
        let script = "$a = @'\n  # kept\n'@\n";
        assert_eq!(compact(script), script);
        assert_eq!(
            compact("  # gone\n\n  if ($a) {\n    1\n  }\n"),
            "if ($a) {\n1\n}"
        );
    }

    #[test]
    fn an_answer_is_found_in_noise() {
        let out = "Willkommen\r\n\u{feff}\nBERTH-JSON:{\"a\":[1,\"ü\"]}\nbye\n";
        assert_eq!(
            answer(out.as_bytes(), b"", Some(0)).unwrap(),
            json!({"a": [1, "ü"]})
        );
        assert_eq!(
            answer(b"\nBERTH-JSON:\n", b"", Some(0)).unwrap(),
            Value::Null,
            "5.1 writes nothing for null"
        );
    }

    #[test]
    fn a_thrown_error_tells_its_message() {
        let out = failure_line(
            "Cannot find path 'C:\\x'.",
            "At line:3 char:1",
            "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand",
        );
        let e = answer(out.as_bytes(), b"", Some(1)).unwrap_err();
        assert_eq!(e.causes(), ["Cannot find path 'C:\\x'."]);
        assert_eq!(
            e.get_detail("id"),
            Some("PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand")
        );
    }

    #[test]
    fn clixml_becomes_text_and_progress_disappears() {
        let err = "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\"><Obj S=\"progress\" RefId=\"0\"><MS><PR N=\"Record\"><AV>Preparing modules for first use.</AV></PR></MS></Obj><S S=\"Error\">Get-Foo : The term &lt;Get-Foo&gt; is not known_x000D__x000A_</S><S S=\"Error\">At line:1_x000D__x000A_</S></Objs>";
        assert_eq!(
            readable(err),
            "Get-Foo : The term <Get-Foo> is not known\nAt line:1"
        );
        let e = answer(b"", err.as_bytes(), Some(1)).unwrap_err();
        assert!(
            e.to_string().contains("The term <Get-Foo> is not known"),
            "{e}"
        );
    }

    #[test]
    fn a_missing_powershell_is_told_in_the_shells_words() {
        let e = answer(b"", b"sh: 1: powershell: not found\n", Some(127)).unwrap_err();
        assert_eq!(
            e.causes(),
            ["exit status 127", "sh: 1: powershell: not found"]
        );
        let e = answer(b"", b"", Some(0xC000_013A)).unwrap_err();
        assert_eq!(
            e.causes(),
            ["exit status 0xC000013A"],
            "an NTSTATUS is only known by its hex form"
        );
    }

    proptest! {
        #[test]
        fn any_script_comes_out_as_it_went_in(script in "\\PC{0,600}") {
            if let Ok(command) = command(&script) {
                prop_assert_eq!(script_of(&command).unwrap(), compact(&script));
            }
        }

        #[test]
        fn any_answer_survives_noise(text in any::<String>(), before in "[^\u{0}]{0,80}", after in "[a-z\r\n ]{0,80}") {
            let value = json!({ "text": text });
            let out = format!("{before}{}{after}", answer_line(&value));
            prop_assert_eq!(answer(out.as_bytes(), b"", Some(0)).unwrap(), value);
        }

        #[test]
        fn input_is_one_ascii_line_with_the_same_value(text in any::<String>()) {
            let line = input_line(&json!({ "text": text }));
            prop_assert!(line.is_ascii() && line.lines().count() == 1);
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json!({ "text": text }));
        }

        #[test]
        fn no_bytes_make_the_reader_fall_over(out in any::<Vec<u8>>(), err in any::<Vec<u8>>(), status in any::<Option<u32>>()) {
            let _ = answer(&out, &err, status);
        }

        #[test]
        fn clixml_escapes_are_undone(text in "[ -~ü€😀\r\n]{0,60}") {
            let escaped: String = text.encode_utf16().map(|u| match char::from_u32(u32::from(u)) {
                Some(c) if c.is_ascii_alphanumeric() || c == ' ' => c.to_string(),
                _ => format!("_x{u:04X}_"),
            }).collect();
            let read = clixml(&format!("#< CLIXML <Objs><S S=\"Error\">{escaped}</S></Objs>"));
            prop_assert_eq!(read, text.replace("\r\n", "\n"));
        }

        #[test]
        fn any_clixml_like_text_is_survived(text in "(#< CLIXML|<Objs>|<S S=\"Error\">|</S>|</Objs>|_x00|_x000D_|&lt;|ü|a){0,20}") {
            let _ = readable(&text);
        }
    }
}
