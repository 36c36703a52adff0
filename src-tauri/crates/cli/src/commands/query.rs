//! `berth query`

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Read},
    path::PathBuf,
};

use berth_api::{
    dto::{self, QueryEvent},
    table,
};
use berth_core::{Error, Result};
use serde_json::Value;

use crate::{
    args::Query,
    render::{self, note, out, write},
    session::{Session, interrupted},
};

/// The largest script that is read, in bytes.
const MAX_SCRIPT: u64 = 16 << 20;
/// Rows that are laid out together as one table: the next ones get a table of their own, so that memory stays bounded.
const PAGE: usize = 1000;

pub(crate) async fn run(verbose: bool, query: Query) -> Result<u8> {
    let sql = script(&query)?;
    if sql.trim().is_empty() {
        note("The script is empty: nothing was run");
    }
    let session = Session::open(verbose).await?;
    let request = dto::Query {
        name: query.name,
        sql,
        database: query.database,
        login: query.login,
    };
    let mut events = session
        .client
        .stream::<table::QueryRun>(&request, BTreeMap::new())
        .await?;
    let mut shown: Box<dyn Show> = if query.json {
        Box::new(Json::default())
    } else if query.csv {
        Box::new(Csv::default())
    } else {
        Box::new(Tables::default())
    };
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            () = interrupted() => return Err(table::cancelled()),
        };
        match event {
            Some(event) => shown.event(event)?,
            None => break,
        }
    }
    let ended = events.finish().await;
    shown.end()?;
    let errors = ended?.body.errors;
    Ok(u8::from(errors > 0))
}

/// A script from a file.
pub(crate) fn file(file: PathBuf) -> Result<String> {
    let failed = |e: std::io::Error| {
        Error::failed(format!("`{}` cannot be read", file.display())).because(e.to_string())
    };
    let about = std::fs::metadata(&file).map_err(failed)?;
    if about.len() > MAX_SCRIPT {
        return Err(Error::failed(format!(
            "`{}` is larger than 16 MiB",
            file.display()
        )));
    }
    let bytes = std::fs::read(&file).map_err(failed)?;
    decode(&bytes)
        .ok_or_else(|| Error::failed(format!("`{}` is neither UTF-8 nor UTF-16", file.display())))
}

fn script(query: &Query) -> Result<String> {
    let mut text = String::new();
    match (&query.sql, &query.file) {
        (Some(sql), _) if sql.trim().is_empty() => {
            return Err(Error::usage("There is no T-SQL to run")
                .because("the argument is empty")
                .hint("Give it as an argument, with `-f FILE`, or on standard input"));
        }
        (Some(sql), _) if sql != "-" => return Ok(sql.clone()),
        (_, Some(file)) if file.as_os_str() != "-" => return self::file(file.clone()),
        _ => {
            if std::io::stdin().is_terminal() {
                return Err(Error::usage("There is no T-SQL to run")
                    .hint("Give it as an argument, with `-f FILE`, or on standard input"));
            }
            std::io::stdin()
                .take(MAX_SCRIPT)
                .read_to_string(&mut text)
                .map_err(|e| {
                    Error::failed("Standard input cannot be read").because(e.to_string())
                })?;
        }
    }
    Ok(text)
}

/// Management Studio saves UTF-16 with a mark, other editors UTF-8 with or without one.
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest
            .chunks_exact(2)
            .filter_map(|c| c.try_into().ok())
            .map(read)
            .collect();
        String::from_utf16(&units).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        all => String::from_utf8(all.to_vec()).ok(),
    }
}

trait Show {
    fn event(&mut self, event: QueryEvent) -> Result<()>;
    fn end(&mut self) -> Result<()>;
}

fn complaint(event: &QueryEvent) -> Option<String> {
    let QueryEvent::Error {
        number,
        class,
        state,
        line,
        procedure,
        message,
    } = event
    else {
        return None;
    };
    let mut text = format!("Msg {number}");
    if let (Some(class), Some(state)) = (class, state) {
        text.push_str(&format!(", Level {class}, State {state}"));
    }
    if let Some(procedure) = procedure {
        text.push_str(&format!(", Procedure {procedure}"));
    }
    if let Some(line) = line {
        text.push_str(&format!(", Line {line}"));
    }
    Some(format!("{text}\n{message}"))
}

#[derive(Default)]
struct Tables {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    open: bool,
}

impl Tables {
    fn flush(&mut self) {
        if !self.open {
            return;
        }
        let head: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        out(render::table(&head, std::mem::take(&mut self.rows)));
    }
}

impl Show for Tables {
    fn event(&mut self, event: QueryEvent) -> Result<()> {
        match event {
            QueryEvent::Columns { columns } => {
                self.columns = columns
                    .into_iter()
                    .map(|(name, _)| {
                        if name.is_empty() {
                            "(no name)".into()
                        } else {
                            name
                        }
                    })
                    .collect();
                self.open = true;
            }
            QueryEvent::Rows { rows } => {
                for row in rows {
                    self.rows
                        .push(row.into_iter().map(|v| one_line(&plain(v))).collect());
                    if self.rows.len() >= PAGE {
                        self.flush();
                    }
                }
            }
            QueryEvent::ResultDone { rows } => {
                if self.open {
                    self.flush();
                    out(format!(
                        "({rows} {})\n",
                        if rows == 1 { "row" } else { "rows" }
                    ));
                }
                self.open = false;
            }
            QueryEvent::Message { text } => note(text),
            error @ QueryEvent::Error { .. } => note(complaint(&error).unwrap_or_default()),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.flush();
        Ok(())
    }
}

/// Control characters would move the cursor of whoever looks.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn plain(value: Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::String(text) => text,
        Value::Bool(b) => u8::from(b).to_string(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Csv {
    results: usize,
}

impl Csv {
    fn write(&self, fields: impl Iterator<Item = String>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fields: Vec<String> = fields.collect();
        writer
            .write_record(&fields)
            .and_then(|()| writer.flush().map_err(Into::into))
            .map_err(|e| Error::failed("A row cannot be written as CSV").because(e.to_string()))?;
        let bytes = writer
            .into_inner()
            .map_err(|e| Error::failed("A row cannot be written as CSV").because(e.to_string()))?;
        write(&bytes);
        Ok(())
    }
}

impl Show for Csv {
    fn event(&mut self, event: QueryEvent) -> Result<()> {
        match event {
            QueryEvent::Columns { columns } => {
                // A reader tells results apart by the empty line between them.
                if self.results > 0 {
                    out("");
                }
                self.results += 1;
                self.write(columns.into_iter().map(|(name, _)| name))
            }
            QueryEvent::Rows { rows } => rows.into_iter().try_for_each(|row| {
                self.write(
                    row.into_iter()
                        .map(|v| if v.is_null() { String::new() } else { plain(v) }),
                )
            }),
            QueryEvent::ResultDone { .. } => Ok(()),
            QueryEvent::Message { text } => {
                note(text);
                Ok(())
            }
            error @ QueryEvent::Error { .. } => {
                note(complaint(&error).unwrap_or_default());
                Ok(())
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// One document, written as it comes: `{"results": [{"columns": […], "rows": [[…], …]}], "messages": […], "errors": […]}`.
#[derive(Default)]
struct Json {
    results: usize,
    rows: usize,
    open: bool,
    messages: Vec<String>,
    errors: Vec<Value>,
}

impl Json {
    fn raw(&self, text: &str) {
        write(text.as_bytes());
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.raw("]}");
        }
    }
}

impl Show for Json {
    fn event(&mut self, event: QueryEvent) -> Result<()> {
        match event {
            QueryEvent::Columns { columns } => {
                self.close();
                let columns: Vec<Value> = columns
                    .into_iter()
                    .map(|(name, kind)| serde_json::json!({"name": name, "type": kind}))
                    .collect();
                self.raw(if self.results == 0 {
                    "{\"results\":["
                } else {
                    ","
                });
                self.raw(&format!(
                    "{{\"columns\":{},\"rows\":[",
                    Value::from(columns)
                ));
                self.results += 1;
                self.rows = 0;
                self.open = true;
            }
            QueryEvent::Rows { rows } => {
                for row in rows {
                    self.raw(if self.rows == 0 { "" } else { "," });
                    self.raw(&Value::from(row).to_string());
                    self.rows += 1;
                }
            }
            QueryEvent::ResultDone { .. } => self.close(),
            QueryEvent::Message { text } => self.messages.push(text),
            error @ QueryEvent::Error { .. } => {
                note(complaint(&error).unwrap_or_default());
                let mut value = serde_json::to_value(&error).unwrap_or_default();
                if let Some(map) = value.as_object_mut() {
                    map.remove("kind");
                }
                self.errors.push(value);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.close();
        self.raw(if self.results == 0 {
            "{\"results\":["
        } else {
            ""
        });
        self.raw(&format!(
            "],\"messages\":{},\"errors\":{}}}\n",
            Value::from(self.messages.clone()),
            Value::from(self.errors.clone())
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_in_the_encodings_of_their_editors() {
        let utf16: Vec<u8> = "\u{feff}SELECT N'ü'"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&utf16).unwrap(), "SELECT N'ü'");
        assert_eq!(decode("\u{feff}SELECT 1".as_bytes()).unwrap(), "SELECT 1");
        assert_eq!(
            decode(b"\xff\xfe\x00\xd8"),
            None,
            "a lone surrogate is no text"
        );
        assert_eq!(decode(b"\xe4"), None);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\r\n"), "a [2Jb  ");
    }
}
