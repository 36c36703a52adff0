//! Messages of the engine: SQL Server's numbers, classes, states and texts.

/// What an error ends, as SQL Server's own does by number and by `XACT_ABORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The statement; the batch goes on.
    Statement,
    /// The batch (and the procedure it came from).
    Batch,
    /// The connection.
    Connection,
}

/// One error or information message, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: i32,
    pub(crate) state: u8,
    /// Severity: 0 to 10 are information, 11 and more are errors.
    pub(crate) class: u8,
    pub(crate) text: String,
    pub(crate) procedure: String,
    /// Line in the batch, from 1.
    pub(crate) line: u32,
    pub(crate) ends: Ends,
}

pub(crate) type SqlError = Box<Message>;
pub(crate) type SqlResult<T> = Result<T, SqlError>;

impl Message {
    pub(crate) fn new(number: i32, class: u8, state: u8, text: impl Into<String>) -> SqlError {
        Box::new(Self {
            number,
            state,
            class,
            text: text.into(),
            procedure: String::new(),
            line: 0,
            ends: Ends::Statement,
        })
    }

    pub(crate) fn ending(mut self: Box<Self>, ends: Ends) -> SqlError {
        self.ends = ends;
        self
    }

    pub(crate) fn at(mut self: Box<Self>, line: u32) -> SqlError {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// An information message such as what `PRINT` sends.
    pub(crate) fn info(number: i32, text: impl Into<String>) -> SqlError {
        Self::new(number, 0, 1, text)
    }
}

/// What the practice host does not know it says; it never makes a success up.
pub(crate) fn not_implemented(what: impl AsRef<str>) -> SqlError {
    Message::new(
        50000,
        16,
        1,
        format!("{} is not implemented by the practice host.", what.as_ref()),
    )
    .ending(Ends::Batch)
}

pub(crate) fn syntax(near: &str, line: u32) -> SqlError {
    Message::new(
        102,
        15,
        1,
        format!("Incorrect syntax near '{}'.", clip(near)),
    )
    .ending(Ends::Batch)
    .at(line)
}

pub(crate) fn unclosed_quote(text: &str, line: u32) -> SqlError {
    Message::new(
        105,
        15,
        1,
        format!(
            "Unclosed quotation mark after the character string '{}'.",
            clip(text)
        ),
    )
    .ending(Ends::Batch)
    .at(line)
}

pub(crate) fn unclosed_comment(line: u32) -> SqlError {
    Message::new(113, 15, 1, "Missing end comment mark '*/'.")
        .ending(Ends::Batch)
        .at(line)
}

pub(crate) fn too_deep(line: u32) -> SqlError {
    Message::new(
        191,
        15,
        1,
        "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.",
    )
    .ending(Ends::Batch)
    .at(line)
}

pub(crate) fn undeclared(variable: &str) -> SqlError {
    Message::new(
        137,
        15,
        2,
        format!("Must declare the scalar variable \"{variable}\"."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn undeclared_table(variable: &str) -> SqlError {
    Message::new(
        1087,
        15,
        2,
        format!("Must declare the table variable \"{variable}\"."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn declared_twice(variable: &str) -> SqlError {
    Message::new(
        134,
        15,
        2,
        format!(
            "The variable name '{variable}' has already been declared. Variable names must be unique within a query batch or stored procedure."
        ),
    )
    .ending(Ends::Batch)
}

pub(crate) fn no_object(name: &str) -> SqlError {
    // SQL Server has hundreds there: to say that one of them does not exist would be a guess.
    let mut parts = name.rsplit('.').skip(1);
    let schema = parts.next().unwrap_or_default();
    let database = parts.next().unwrap_or_default();
    if ["sys", "information_schema"]
        .iter()
        .any(|s| schema.eq_ignore_ascii_case(s))
        || database.eq_ignore_ascii_case("msdb")
    {
        return not_implemented(format!("The system object {name}"));
    }
    Message::new(208, 16, 1, format!("Invalid object name '{name}'.")).ending(Ends::Batch)
}

pub(crate) fn no_column(name: &str) -> SqlError {
    Message::new(207, 16, 1, format!("Invalid column name '{name}'.")).ending(Ends::Batch)
}

pub(crate) fn unbound(name: &str) -> SqlError {
    Message::new(
        4104,
        16,
        1,
        format!("The multi-part identifier \"{name}\" could not be bound."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn ambiguous(name: &str) -> SqlError {
    Message::new(209, 16, 1, format!("Ambiguous column name '{name}'.")).ending(Ends::Batch)
}

pub(crate) fn no_procedure(name: &str) -> SqlError {
    Message::new(
        2812,
        16,
        62,
        format!("Could not find stored procedure '{name}'."),
    )
}

pub(crate) fn no_database(name: &str) -> SqlError {
    Message::new(
        911,
        16,
        1,
        format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn no_database_access(login: &str, database: &str) -> SqlError {
    Message::new(
        916,
        14,
        2,
        format!(
            "The server principal \"{login}\" is not able to access the database \"{database}\" under the current security context."
        ),
    )
    .ending(Ends::Batch)
}

pub(crate) fn permission(number: i32, text: impl Into<String>) -> SqlError {
    Message::new(number, 14, 5, text)
}

pub(crate) fn cannot_find(verb: &str, kind: &str, name: &str) -> SqlError {
    Message::new(
        3701,
        11,
        5,
        format!(
            "Cannot {verb} the {kind} '{name}', because it does not exist or you do not have permission."
        ),
    )
}

pub(crate) fn no_principal(kind: &str, name: &str) -> SqlError {
    Message::new(
        15151,
        16,
        1,
        format!("Cannot {kind} '{name}', because it does not exist or you do not have permission."),
    )
}

pub(crate) fn divide_by_zero() -> SqlError {
    Message::new(8134, 16, 1, "Divide by zero error encountered.")
}

pub(crate) fn overflow(ty: &str) -> SqlError {
    Message::new(
        8115,
        16,
        2,
        format!("Arithmetic overflow error converting expression to data type {ty}."),
    )
}

pub(crate) fn conversion(from: &str, value: &str, to: &str) -> SqlError {
    Message::new(
        245,
        16,
        1,
        format!(
            "Conversion failed when converting the {from} value '{}' to data type {to}.",
            clip_long(value)
        ),
    )
    .ending(Ends::Batch)
}

pub(crate) fn type_clash(from: &str, to: &str) -> SqlError {
    Message::new(
        206,
        16,
        2,
        format!("Operand type clash: {from} is incompatible with {to}"),
    )
    .ending(Ends::Batch)
}

pub(crate) fn no_conversion(from: &str, to: &str) -> SqlError {
    Message::new(
        529,
        16,
        2,
        format!("Explicit conversion from data type {from} to {to} is not allowed."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn argument_count(function: &str, count: &str) -> SqlError {
    Message::new(
        174,
        15,
        1,
        format!("The {function} function requires {count} argument(s)."),
    )
    .ending(Ends::Batch)
}

pub(crate) fn cancelled() -> SqlError {
    // Never sent: an attention is acknowledged with a DONE token, not with an error.
    Message::new(3617, 11, 1, "The query was canceled by the client.").ending(Ends::Batch)
}

pub(crate) fn out_of_memory() -> SqlError {
    Message::new(
        701,
        17,
        123,
        "There is insufficient system memory in resource pool 'default' to run this query.",
    )
    .ending(Ends::Batch)
}

pub(crate) fn internal(text: impl AsRef<str>) -> SqlError {
    Message::new(
        8630,
        17,
        38,
        format!("Internal error of the practice engine: {}.", text.as_ref()),
    )
    .ending(Ends::Batch)
}

fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

fn clip_long(text: &str) -> String {
    text.chars().take(2000).collect()
}
