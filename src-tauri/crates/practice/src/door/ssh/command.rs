//! What a command line means to the machine: its default shell's reading of the few that Berth sends. Win32-OpenSSH hands a
//! line to cmd (`/c`), or to what the registry value `DefaultShell` names (`-c` for PowerShell).

use berth_core::powershell;

/// Who reads the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// cmd.exe.
    Cmd,
    /// Windows PowerShell.
    PowerShell,
}

/// A command line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `echo …`, with `%NAME%` filled in.
    Echo(String),
    /// `exit N`.
    Exit(u32),
    /// `docker system dial-stdio`: the engine on the standard streams.
    DialStdio,
    /// A script in Berth's PowerShell envelope.
    Script(String),
    /// Anything else.
    Unknown,
}

/// What `%NAME%` is; cmd leaves a name that is not set as it stands.
fn variable(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_uppercase().as_str() {
        "OS" => "Windows_NT",
        "COMPUTERNAME" => "PRACTICE",
        "USERNAME" => "Administrator",
        "PROCESSOR_ARCHITECTURE" => "AMD64",
        "SYSTEMROOT" | "WINDIR" => "C:\\Windows",
        "COMSPEC" => "C:\\Windows\\system32\\cmd.exe",
        "PROGRAMDATA" => "C:\\ProgramData",
        "PROGRAMFILES" => "C:\\Program Files",
        _ => return None,
    })
}

fn expand(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after
            .split_once('%')
            .map(|(name, tail)| (variable(name), tail))
        {
            Some((Some(value), tail)) => {
                out.push_str(value);
                rest = tail;
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

/// The first word of a line, without its quotes, and the rest.
fn split_program(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let cut = |text| match text {
        Some((program, rest)) => (program, rest),
        None => ("", ""),
    };
    match line.strip_prefix('"') {
        Some(quoted) => cut(quoted.split_once('"')),
        None => line.split_once([' ', '\t']).unwrap_or((line, "")),
    }
}

/// Whether a path or bare name means the program `name.exe`.
fn is_program(path: &str, name: &str) -> bool {
    let file = path.rsplit(['\\', '/']).next().unwrap_or(path);
    let file = file.to_ascii_lowercase();
    file.strip_suffix(".exe").unwrap_or(&file) == name
}

/// What PowerShell's `echo` writes: each word on a line of its own, and of a variable that is not set no line at all.
fn written(text: &str) -> Option<String> {
    // What these would make of a word is not played.
    if text.contains(['"', '\'', '`', '(', '{', '@', ',', ';', '#']) {
        return None;
    }
    let mut lines = Vec::new();
    for word in text.split_ascii_whitespace() {
        match word.strip_prefix('$') {
            None if word.contains('$') => return None,
            None => lines.push(word),
            Some(name) => {
                let known = name
                    .get(..4)
                    .filter(|drive| drive.eq_ignore_ascii_case("env:"))
                    .and_then(|_| variable(name.get(4..).unwrap_or_default()));
                lines.extend(known);
            }
        }
    }
    Some(lines.join("\r\n"))
}

/// Reads a command line as the shell would.
#[must_use]
pub fn parse(line: &str, shell: Shell) -> Command {
    if let Some(script) = powershell::script_of(line) {
        return Command::Script(script);
    }
    // Pipes, chains and redirections make another command of it: none that is known has them.
    if line.contains(['&', '|', '<', '>', '^', '\r', '\n']) {
        return Command::Unknown;
    }
    // To PowerShell a text in quotes is a value, and what follows it a mistake.
    if shell == Shell::PowerShell && line.trim_start().starts_with('"') {
        return Command::Unknown;
    }
    let (program, rest) = split_program(line);
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    if is_program(program, "docker") && words == ["system", "dial-stdio"] {
        return Command::DialStdio;
    }
    match (program.to_ascii_lowercase().as_str(), words.as_slice()) {
        ("echo", [_, ..]) if shell == Shell::PowerShell => {
            written(rest).map_or(Command::Unknown, Command::Echo)
        }
        ("echo", [_, ..]) => Command::Echo(expand(rest)),
        ("exit", []) => Command::Exit(0),
        ("exit", ["/b" | "/B", code]) if shell == Shell::Cmd => {
            code.parse().map_or(Command::Unknown, Command::Exit)
        }
        ("exit", [code]) => code.parse().map_or(Command::Unknown, Command::Exit),
        _ => Command::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Command {
        super::parse(line, Shell::Cmd)
    }

    #[test]
    fn powershell_reads_the_same_line_in_its_own_way() {
        let parse = |line: &str| super::parse(line, Shell::PowerShell);
        assert_eq!(
            parse("echo BERTH %OS% $env:OS $OSTYPE"),
            Command::Echo("BERTH\r\n%OS%\r\nWindows_NT".into()),
            "as Windows PowerShell 5.1 prints it: a word a line, nothing for what is not set"
        );
        assert_eq!(
            parse("C:\\ProgramData\\Berth\\docker.exe system dial-stdio"),
            Command::DialStdio
        );
        for line in [
            "\"C:\\Program Files\\docker\\docker.exe\" system dial-stdio",
            "exit /b 3",
            "echo $(Get-Date)",
            "echo \"a b\"",
        ] {
            assert_eq!(parse(line), Command::Unknown, "{line}");
        }
        assert_eq!(parse("exit 3"), Command::Exit(3));
        let command = powershell::command("Get-Date").unwrap();
        assert_eq!(parse(&command), Command::Script("Get-Date".into()));
    }

    #[test]
    fn the_shell_probe_is_answered_as_cmd_does() {
        assert_eq!(
            parse("echo BERTH %OS% $env:OS $OSTYPE"),
            Command::Echo("BERTH Windows_NT $env:OS $OSTYPE".into()),
            "cmd fills in its own variables and leaves those of PowerShell and sh"
        );
        assert_eq!(
            parse("echo 100% %nothing% %os%"),
            Command::Echo("100% %nothing% Windows_NT".into())
        );
    }

    #[test]
    fn docker_is_found_by_name_and_by_path() {
        for line in [
            "docker system dial-stdio",
            "docker.exe  system  dial-stdio",
            "C:\\PROGRA~1\\docker\\docker.exe system dial-stdio",
            "\"C:\\Program Files\\docker\\docker.exe\" system dial-stdio",
            "C:\\ProgramData\\Berth\\docker.exe system dial-stdio",
        ] {
            assert_eq!(parse(line), Command::DialStdio, "{line}");
        }
        for line in [
            "docker ps",
            "notdocker system dial-stdio",
            "docker system dial-stdio & del x",
            "\"docker system",
        ] {
            assert_eq!(parse(line), Command::Unknown, "{line}");
        }
    }

    #[test]
    fn a_script_is_known_by_its_envelope() {
        let command = powershell::command("Get-Date").unwrap();
        assert_eq!(parse(&command), Command::Script("Get-Date".into()));
        assert_eq!(parse("powershell -EncodedCommand AAAA"), Command::Unknown);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "\\PC{0,80}") {
            let _ = parse(&line);
            let _ = super::parse(&line, Shell::PowerShell);
        }

        #[test]
        fn echo_gives_back_what_has_no_variables(text in "[a-zA-Z0-9$:._/-]{1,30}( [a-zA-Z0-9$:._/-]{1,30}){0,4}") {
            prop_assert_eq!(parse(&format!("echo {text}")), Command::Echo(text));
        }

        #[test]
        fn a_chain_is_never_taken_for_its_first_part(tail in "[&|<>^]\\PC{0,20}", program in "(docker system dial-stdio|echo x|exit 0)") {
            prop_assert_eq!(parse(&format!("{program} {tail}")), Command::Unknown);
        }

        #[test]
        fn expanding_never_loses_plain_text(text in "[a-z%]{0,40}") {
            let plain = text.replace('%', "");
            let out = expand(&text);
            prop_assert!(out.len() + 2 * 20 >= plain.len());
            if !text.contains('%') {
                prop_assert_eq!(out, text);
            }
        }
    }
}
