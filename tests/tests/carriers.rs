//! What carriers write, read back by the real readers: two hundred values each, half of them hostile passwords
//! alone and half a whole ADO.NET string that holds one. One process reads them all, from one file, as
//! a value may also spoil its neighbours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use berth_core::{
    Secret, carrier,
    connection::{self, Parts, Text},
    secret::ExposeSecret,
};
use berth_tests::rig::{home, programs, skip};
use serde_json::Value;
use tempfile::TempDir;

const HOW_MANY: usize = 200;
const MANY: usize = 10_000;
const SEED: u64 = 20_261_122;

/// What readers quote, escape, expand, comment and trim.
const PIECES: &[&str] = &[
    "'",
    "''",
    "\"",
    "\"\"",
    "`",
    "``",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\r",
    "\\t",
    "\\$",
    "$",
    "$$",
    "${V0}",
    "${HOME}",
    "${X:-y}",
    "$HOME",
    "$V1",
    "$1",
    "$(id)",
    "`id`",
    "%",
    "%%",
    "%PATH%",
    "%41",
    "!",
    "!!",
    "!x",
    "^",
    "&",
    "&&",
    "&amp;",
    "|",
    "<",
    ">",
    "<%=1%>",
    "<<",
    "${{ x }}",
    "{{x}}",
    "{%x%}",
    "#",
    " #",
    "#{x}",
    ":",
    ": ",
    "- ",
    "? ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "*",
    "**",
    "?",
    "~",
    "@",
    "=",
    "==",
    ";",
    ";;",
    " ",
    "  ",
    "\t",
    "\u{1}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2018}",
    "\u{2019}",
    "\u{201b}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffe}",
    "\u{200b}",
    "\u{e9}",
    "e\u{301}",
    "\u{4e2d}",
    "\u{1f600}",
    "null",
    "true",
    "0x1F",
    "1e3",
    "~",
    "yes",
    "EOF",
    "a",
    "B",
    "7",
    "x1",
    "\n",
    "\r",
    "\r\n",
    "export ",
];

/// The same numbers in every run, so that a failure can be looked at again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

/// Passwords that attack a carrier's grammar: each piece at both ends and inside, then at random.
fn passwords(how_many: usize) -> Vec<String> {
    let mut numbers = Numbers(SEED);
    let mut all: Vec<String> = Vec::new();
    // All of a piece's places first where there is room for them, every third otherwise.
    let step = if how_many > 1000 { 1 } else { 5 };
    for (n, piece) in PIECES.iter().enumerate() {
        for (place, text) in [
            format!("{piece}Aa1"),
            format!("Aa1{piece}"),
            format!("A{piece}a1"),
            piece.repeat(3),
            format!("{piece}Aa1{piece}"),
        ]
        .into_iter()
        .enumerate()
        {
            if (n + place) % step == 0 {
                all.push(text);
            }
        }
    }
    while all.len() < how_many {
        let mut text = String::new();
        for _ in 0..=numbers.below(12) {
            text.push_str(PIECES[numbers.below(PIECES.len())]);
        }
        all.push(text);
    }
    all.truncate(how_many);
    all
}

/// A value, and the text that carries it.
struct Case {
    value: String,
    text: Text,
}

/// Half of them passwords alone, half whole strings.
fn cases(how_many: usize) -> Vec<Case> {
    passwords(how_many / 2)
        .into_iter()
        .flat_map(|password| {
            let secret = Secret::from(password.clone());
            let mut parts = Parts::new("127.0.0.1", 14330, "sa", secret.clone());
            parts.database = Some("orders".into());
            // .NET's strings refuse a password that ends in a line feed; ODBC's take any.
            let format = if password.ends_with('\n') {
                "odbc"
            } else {
                "adonet"
            };
            let string = connection::format(format).unwrap().write(&parts).unwrap();
            let alone = Text::alone(&secret);
            [alone, string].map(|text| Case {
                value: text.reveal().expose_secret().to_owned(),
                text,
            })
        })
        .collect()
}

/// What a carrier writes for the cases that it takes, `V0`, `V1`, … where it has names; with the values meant.
struct Carried {
    carrier: &'static str,
    lines: Vec<String>,
    meant: Vec<String>,
}

/// At most `refused` of a hundred may be refused, each with its reason.
fn carried(id: &'static str, how_many: usize, named: bool, refused: usize) -> Carried {
    let to = carrier::carrier(id).unwrap();
    let mut all = Carried {
        carrier: id,
        lines: Vec::new(),
        meant: Vec::new(),
    };
    let cases = cases(how_many);
    eprintln!("{id}: {} values, seed {SEED}", cases.len());
    let mut reasons = 0;
    for case in &cases {
        let name = format!("V{}", all.lines.len());
        match carrier::carry(to, &case.text, named.then_some(name.as_str()), "") {
            Ok(text) => {
                all.lines.push(text.reveal().expose_secret().to_owned());
                all.meant.push(case.value.clone());
            }
            Err(e) => {
                assert!(
                    !e.causes().is_empty() && e.what_to_do().is_some(),
                    "a refusal says why and what else: {e:?}"
                );
                reasons += 1;
            }
        }
    }
    assert!(
        reasons * 100 <= refused * cases.len(),
        "`{id}` refuses {reasons} of {}: it can carry more than that",
        cases.len()
    );
    all
}

impl Carried {
    /// What a reader found has to be what was meant.
    fn is(&self, reader: &str, found: &[String]) {
        assert_eq!(
            found.len(),
            self.meant.len(),
            "{reader} lost some of `{}`",
            self.carrier
        );
        for (n, (found, meant)) in found.iter().zip(&self.meant).enumerate() {
            assert_eq!(
                found, meant,
                "{reader} reads something else in value {n} of `{}` (seed {SEED}): {:?}",
                self.carrier, self.lines[n]
            );
        }
    }

    /// A JSON list of texts.
    fn is_json(&self, reader: &str, text: &str) {
        let found: Vec<Option<String>> = serde_json::from_str(text).unwrap_or_else(|e| {
            panic!(
                "{reader} gave no list of texts for `{}` ({e})",
                self.carrier
            )
        });
        let found: Vec<String> = found
            .into_iter()
            .map(|value| value.unwrap_or_else(|| "(not there)".to_owned()))
            .collect();
        self.is(reader, &found);
    }

    /// Values that end with NUL.
    fn is_cut(&self, reader: &str, bytes: &str) {
        let found: Vec<String> = bytes.split_terminator('\0').map(str::to_owned).collect();
        self.is(reader, &found);
    }

    /// One a line, in a file of that name.
    fn file(&self, folder: &TempDir, name: &str) -> PathBuf {
        write(folder, name, &(self.lines.join("\n") + "\n"))
    }
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for a folder")
}

/// Runs a reader and answers what it printed; none where it is not here, which was said.
fn read(program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Option<String> {
    let path = match program.split_once('/') {
        Some(_) => programs::fetched(program),
        None => programs::find(program),
    };
    let Some(path) = path else {
        skip(&format!("`{program}` is not here to read a carrier back"));
        return None;
    };
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent")
        .env("PYTHONIOENCODING", "utf-8")
        .envs(environment.iter().copied());
    Some(
        home::run(&mut command, "", Duration::from_secs(100))
            .ok()
            .stdout,
    )
}

fn python(arguments: &[&str]) -> Option<String> {
    let script = programs::root().join("tests/readers/read.py");
    let mut all = vec![script.to_str().unwrap()];
    all.extend(arguments);
    read("readers/bin/python3", &all, &[])
}

fn node(before: &[&str], arguments: &[&str]) -> Option<String> {
    let Some(packages) = programs::fetched("readers-node") else {
        skip("Node's readers were not fetched: `tests/prepare/readers.sh` does it");
        return None;
    };
    let script = programs::root().join("tests/readers/node/read.mjs");
    let mut all = before.to_vec();
    all.push(script.to_str().unwrap());
    all.extend(arguments);
    read("node", &all, &[("READERS", &packages)])
}

/// A test of two hundred, and the same of ten thousand for the soak.
macro_rules! read_back {
    ($($name:ident, $soak:ident, $work:ident;)*) => {$(
        #[test]
        fn $name() {
            $work(HOW_MANY);
        }

        #[test]
        #[ignore = "soak: ten thousand values"]
        fn $soak() {
            $work(MANY);
        }
    )*};
}

read_back! {
    shells_read_their_words, shells_read_many_words, shells;
    shells_source_their_lines, shells_source_many_lines, sourced;
    fish_reads_its_words, fish_reads_many_words, fish;
    powershell_reads_its_literals, powershell_reads_many_literals, powershell;
    nodes_dotenv_reads_its_file, nodes_dotenv_reads_many, dotenv_node;
    node_reads_its_env_file, node_reads_a_long_env_file, dotenv_node_env_file;
    dotenv_expand_and_next_read_their_file, dotenv_expand_and_next_read_many, dotenv_expand;
    python_dotenv_reads_its_file, python_dotenv_reads_many, dotenv_python;
    docker_reads_its_env_file, docker_reads_a_long_env_file, docker;
    json_is_read_by_python_and_jq, json_of_many_is_read, json;
    yaml_is_read_by_python_and_node, yaml_of_many_is_read, yaml;
    rails_reads_its_yaml, rails_reads_much_yaml, rails;
    kubernetes_reads_its_secrets, kubernetes_reads_many_secrets, kubernetes;
    toml_is_read_by_python, toml_of_many_is_read, toml;
    xml_is_read_by_python, xml_of_many_is_read, xml;
    a_step_of_github_actions_runs_its_script, a_step_of_github_actions_runs_many, github_actions;
    user_secrets_are_json, many_user_secrets_are_json, user_secrets;
}

fn shells(how_many: usize) {
    let words = carried("sh", how_many, false, 0);
    let named = carried("sh", how_many, true, 0);
    let folder = folder();
    for (shell, before) in [
        ("bash", "set -o history -o histexpand\n"),
        ("dash", ""),
        ("zsh", "setopt bang_hist\n"),
    ] {
        let mut script = before.to_owned();
        for word in &words.lines {
            script.push_str(&format!("printf '%s\\0' {word}\n"));
        }
        let file = write(&folder, "words.sh", &script);
        if let Some(out) = read(shell, &[file.to_str().unwrap()], &[]) {
            words.is_cut(shell, &out);
        }
        let mut script = before.to_owned();
        for (n, line) in named.lines.iter().enumerate() {
            script.push_str(&format!("{line}\nprintf '%s\\0' \"$V{n}\"\nunset V{n}\n"));
        }
        let file = write(&folder, "named.sh", &script);
        if let Some(out) = read(shell, &[file.to_str().unwrap()], &[]) {
            named.is_cut(shell, &out);
        }
    }
}

fn sourced(how_many: usize) {
    let all = carried("dotenv-shell", how_many, true, 0);
    let folder = folder();
    all.file(&folder, ".envrc");
    let prints: String = (0..all.lines.len())
        .map(|n| format!("printf '%s\\0' \"$V{n}\"\n"))
        .collect();
    let script = format!(". {}/.envrc\n{prints}", folder.path().display());
    let file = write(&folder, "source.sh", &script);
    for shell in ["bash", "zsh", "dash"] {
        if let Some(out) = read(shell, &[file.to_str().unwrap()], &[]) {
            all.is_cut(shell, &out);
        }
    }
}

fn fish(how_many: usize) {
    let words = carried("fish", how_many, false, 0);
    let named = carried("fish", how_many, true, 0);
    let folder = folder();
    let mut script = String::new();
    for word in &words.lines {
        script.push_str(&format!("printf '%s\\x00' {word}\n"));
    }
    let file = write(&folder, "words.fish", &script);
    let arguments = ["--no-config", file.to_str().unwrap()];
    if let Some(out) = read("fish", &arguments, &[]) {
        words.is_cut("fish", &out);
    }
    let mut script = String::new();
    for (n, line) in named.lines.iter().enumerate() {
        script.push_str(&format!(
            "{line}\nprintf '%s\\x00' \"$V{n}\"\nset -e V{n}\n"
        ));
    }
    let file = write(&folder, "named.fish", &script);
    if let Some(out) = read("fish", &["--no-config", file.to_str().unwrap()], &[]) {
        named.is_cut("fish", &out);
    }
}

fn powershell(how_many: usize) {
    let Some(pwsh) = programs::tools()
        .map(|tools| tools.join("pwsh"))
        .filter(|p| p.exists())
    else {
        return skip(
            "PowerShell's engine is not here: neither `../shared/tools/dotnet` nor BERTH_TOOLS",
        );
    };
    let words = carried("powershell", how_many, false, 0);
    let named = carried("powershell", how_many, true, 0);
    let folder = folder();
    // Base64, so that only the reading of the script is tested and not the way back.
    let says =
        "[Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($v)))";
    let mut script = "\u{feff}".to_owned();
    for word in &words.lines {
        script.push_str(&format!("$v = {word}\n{says}\n"));
    }
    for (n, line) in named.lines.iter().enumerate() {
        script.push_str(&format!("{line}\n$v = $env:V{n}\n{says}\n$env:V{n} = ''\n"));
    }
    let file = write(&folder, "words.ps1", &script);
    let mut command = Command::new(pwsh);
    command
        .args(["-NoProfile", "-NonInteractive", "-File"])
        .arg(&file);
    let out = home::run(&mut command, "", Duration::from_secs(100))
        .ok()
        .stdout;
    let found: Vec<String> = out
        .lines()
        .map(|line| String::from_utf8(unbase64(line)).unwrap())
        .collect();
    let (first, second) = found.split_at(words.meant.len());
    words.is("PowerShell", first);
    named.is("PowerShell", second);
}

fn unbase64(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut have = 0;
    let mut out = Vec::new();
    for c in text.trim().bytes().filter(|c| *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other} is no base64"),
        };
        bits = (bits << 6) | u32::from(digit);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push(u8::try_from((bits >> have) & 0xff).unwrap());
        }
    }
    out
}

fn dotenv_node(how_many: usize) {
    let all = carried("dotenv-node", how_many, true, 25);
    let folder = folder();
    let file = all.file(&folder, ".env");
    let count = all.lines.len().to_string();
    if let Some(out) = node(&[], &["dotenv", file.to_str().unwrap(), &count]) {
        all.is_json("dotenv", &out);
    }
}

fn dotenv_node_env_file(how_many: usize) {
    let all = carried("dotenv-node-env-file", how_many, true, 25);
    let folder = folder();
    let file = all.file(&folder, ".env");
    let count = all.lines.len().to_string();
    let option = format!("--env-file={}", file.display());
    if let Some(out) = node(&[&option], &["environment", "-", &count]) {
        all.is_json("node --env-file", &out);
    }
}

fn dotenv_expand(how_many: usize) {
    let all = carried("dotenv-expand", how_many, true, 25);
    let folder = folder();
    let file = all.file(&folder, ".env");
    let count = all.lines.len().to_string();
    for reader in ["expand", "next"] {
        if let Some(out) = node(&[], &[reader, file.to_str().unwrap(), &count]) {
            all.is_json(reader, &out);
        }
    }
}

fn dotenv_python(how_many: usize) {
    let all = carried("dotenv-python", how_many, true, 25);
    let folder = folder();
    let file = all.file(&folder, ".env");
    let count = all.lines.len().to_string();
    if let Some(out) = python(&["dotenv", file.to_str().unwrap(), &count]) {
        all.is_json("python-dotenv", &out);
    }
}

/// The docker command reads its file itself, and sends the engine what it read: an engine that takes down what it is
/// asked for is all that is needed.
fn docker(how_many: usize) {
    let Some(docker) = programs::find("docker") else {
        return skip("the docker command is not installed");
    };
    let all = carried("docker-env-file", how_many, true, 25);
    let folder = folder();
    let file = all.file(&folder, "env");
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let heard = std::thread::spawn(move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            while let Some((head, body)) = request(&mut stream) {
                if head.contains("/containers/create") {
                    answer(&mut stream, "201 Created", r#"{"Id":"abc","Warnings":[]}"#);
                    return body;
                }
                // A body behind the answer to a HEAD would be taken for the next answer.
                let body = if head.starts_with("HEAD ") { "" } else { "OK" };
                answer(&mut stream, "200 OK", body);
            }
        }
    });
    let mut command = Command::new(docker);
    command
        .args(["-H", &format!("unix://{}", socket.display())])
        .args([
            "create",
            "--pull",
            "never",
            "--env-file",
            file.to_str().unwrap(),
            "image",
        ])
        .env("HOME", folder.path())
        .env("DOCKER_CONFIG", folder.path());
    let ran = home::run(&mut command, "", Duration::from_secs(60));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let body: Value = serde_json::from_slice(&heard.join().unwrap()).unwrap();
    let found: Vec<String> = body["Env"]
        .as_array()
        .expect("the environment was sent")
        .iter()
        .enumerate()
        .map(|(n, one)| {
            let (name, value) = one.as_str().unwrap().split_once('=').unwrap();
            assert_eq!(name, format!("V{n}"), "in the file's order");
            value.to_owned()
        })
        .collect();
    all.is("docker --env-file", &found);
}

/// One HTTP request: its head, and its body. None when the client is done.
fn request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length:")
                .map(str::to_owned)
        })
        .map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        body.clear();
        loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                stream.read_exact(&mut byte).ok()?;
                size.push(byte[0]);
            }
            let size = String::from_utf8(size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            chunk.truncate(size);
            body.extend(chunk);
        }
    } else {
        stream.read_exact(&mut body).ok()?;
    }
    Some((head, body))
}

fn answer(stream: &mut impl Write, status: &str, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nOstype: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

fn json(how_many: usize) {
    let all = carried("json", how_many, false, 0);
    let folder = folder();
    let file = write(&folder, "a.json", &format!("[{}]", all.lines.join(",\n")));
    if let Some(out) = python(&["json", file.to_str().unwrap()]) {
        all.is_json("Python's json", &out);
    }
    if let Some(out) = read("jq", &["-c", ".", file.to_str().unwrap()], &[]) {
        all.is_json("jq", &out);
    }
}

fn yaml(how_many: usize) {
    let folder = folder();
    let all = carried("yaml", how_many, false, 0);
    let mut compose = carried("compose-yaml", how_many, false, 0);
    // Docker Compose reads YAML first and takes `$$` as a dollar then.
    for meant in &mut compose.meant {
        *meant = meant.replace('$', "$$");
    }
    for all in [all, compose] {
        let list: String = all.lines.iter().map(|l| format!("- {l}\n")).collect();
        let file = write(&folder, "a.yaml", &list);
        if let Some(out) = python(&["yaml", file.to_str().unwrap()]) {
            all.is_json("PyYAML", &out);
        }
        if let Some(out) = node(&[], &["yaml", file.to_str().unwrap()]) {
            all.is_json("yaml for Node", &out);
        }
    }
}

fn rails(how_many: usize) {
    let all = carried("rails-yaml", how_many, false, 0);
    let folder = folder();
    let list: String = all.lines.iter().map(|l| format!("- {l}\n")).collect();
    let file = write(&folder, "database.yml", &list);
    let script = programs::root().join("tests/readers/read.rb");
    let arguments = [script.to_str().unwrap(), file.to_str().unwrap()];
    if let Some(out) = read("ruby", &arguments, &[]) {
        all.is_json("ERB and Psych", &out);
    }
}

fn kubernetes(how_many: usize) {
    let to = carrier::carrier("kubernetes").unwrap();
    let mut all = carried("kubernetes", how_many, true, 0);
    all.lines = cases(how_many)
        .iter()
        .map(|case| {
            let text = carrier::carry(to, &case.text, Some("MSSQL"), "").unwrap();
            text.reveal().expose_secret().to_owned()
        })
        .collect();
    let folder = folder();
    let file = write(&folder, "a.yaml", &all.lines.join("\n---\n"));
    if let Some(out) = python(&["kubernetes", file.to_str().unwrap(), "MSSQL"]) {
        all.is_json("PyYAML", &out);
    }
}

fn toml(how_many: usize) {
    let all = carried("toml", how_many, false, 0);
    let folder = folder();
    let file = write(
        &folder,
        "a.toml",
        &format!("values = [{}]\n", all.lines.join(", ")),
    );
    if let Some(out) = python(&["toml", file.to_str().unwrap()]) {
        all.is_json("Python's tomllib", &out);
    }
}

fn xml(how_many: usize) {
    let named = carried("xml", how_many, true, 20);
    let alone = carried("xml", how_many, false, 20);
    let folder = folder();
    let elements: String = named
        .lines
        .iter()
        .zip(&alone.lines)
        .map(|(line, text)| line.replace(" />", &format!(">{text}</add>")))
        .collect();
    let file = write(&folder, "a.xml", &format!("<a>{elements}</a>"));
    if let Some(out) = python(&["xml", file.to_str().unwrap()]) {
        let found: Vec<(String, String)> = serde_json::from_str(&out).unwrap();
        let (attributes, texts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        named.is("Python's XML reader, as an attribute,", &attributes);
        alone.is("Python's XML reader, as content,", &texts);
    }
}

/// The script runs in a real shell; what the runner makes of its output and its file is our reading of GitHub's rules.
fn github_actions(how_many: usize) {
    let all = carried("github-actions", how_many, true, 45);
    let folder = folder();
    let script = all.file(&folder, "step.sh");
    let variables = write(&folder, "env", "");
    for shell in ["dash", "bash"] {
        fs::write(&variables, "").unwrap();
        let Some(out) = read(
            shell,
            &[script.to_str().unwrap()],
            &[("GITHUB_ENV", &variables)],
        ) else {
            continue;
        };
        let text = fs::read_to_string(&variables).unwrap();
        let mut found = Vec::new();
        let mut lines = text.split('\n');
        while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
            assert_eq!(name, format!("V{}", found.len()));
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.push(value.join("\n"));
        }
        all.is(shell, &found);
        let masked: Vec<String> = out
            .lines()
            .filter_map(|line| line.strip_prefix("::add-mask::"))
            .map(|data| {
                data.replace("%0D", "\r")
                    .replace("%0A", "\n")
                    .replace("%25", "%")
            })
            .collect();
        for value in &all.meant {
            assert!(masked.contains(value), "{value:?} would stand in the log");
        }
    }
}

fn user_secrets(how_many: usize) {
    let all = carried("user-secrets", how_many, true, 0);
    let found: Vec<String> = all
        .lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            let object: Value = serde_json::from_str(line).unwrap();
            object[format!("V{n}")].as_str().unwrap().to_owned()
        })
        .collect();
    all.is("a JSON reader", &found);
}
