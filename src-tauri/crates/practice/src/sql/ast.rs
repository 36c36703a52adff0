//! What a batch says, before names are looked up.

use super::{types::Type, value::Value};

/// A name of one to four parts: `server.database.schema.object`. An omitted middle part is empty.
pub(crate) type Name = Vec<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Minus,
    Plus,
    BitNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Literal(Value, Type),
    /// `@x`
    Variable(String),
    /// `@@x`
    Global(String),
    Column(Name),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Compare(Compare, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        expr: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Exists(Box<Query>),
    Scalar(Box<Query>),
    Quantified {
        op: Compare,
        left: Box<Expr>,
        all: bool,
        query: Box<Query>,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Convert {
        expr: Box<Expr>,
        ty: Type,
        style: Option<Box<Expr>>,
        quiet: bool,
    },
    Call(Call),
    Collate(Box<Expr>, String),
    /// `DEFAULT` in a list of values.
    Default,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: Name,
    pub(crate) args: Vec<Expr>,
    /// `COUNT(*)`
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) over: Option<Window>,
    /// `STRING_AGG(…) WITHIN GROUP (ORDER BY …)`
    pub(crate) within: Vec<Order>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<Order>,
    /// A frame over the whole partition rather than up to the current row.
    pub(crate) whole: bool,
    /// `ROWS`: rows that are equal in order are apart.
    pub(crate) rows: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) with: Vec<Common>,
    pub(crate) body: Body,
    pub(crate) order: Vec<Order>,
    pub(crate) offset: Option<Expr>,
    pub(crate) fetch: Option<Expr>,
}

/// One `WITH name (columns) AS (query)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Common {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) query: Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOp {
    Union,
    UnionAll,
    Except,
    Intersect,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set(SetOp, Box<Body>, Box<Body>),
    /// A query in parentheses with its own order.
    Nested(Box<Query>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Top {
    pub(crate) count: Expr,
    pub(crate) percent: bool,
    pub(crate) ties: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    pub(crate) top: Option<Top>,
    pub(crate) items: Vec<Item>,
    pub(crate) into: Option<Name>,
    pub(crate) from: Option<Table>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group: Vec<Expr>,
    pub(crate) having: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Star,
    StarOf(Name),
    Expr(Expr, Option<String>),
    /// `@x = expr`, `@x += expr`
    Assign(String, Option<Binary>, Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Table {
    Named {
        name: Name,
        alias: Option<String>,
    },
    /// `@t`
    Variable {
        name: String,
        alias: Option<String>,
    },
    Derived {
        query: Box<Query>,
        alias: String,
        columns: Vec<String>,
    },
    Values {
        rows: Vec<Vec<Expr>>,
        alias: String,
        columns: Vec<String>,
    },
    Function {
        name: Name,
        args: Vec<Expr>,
        alias: Option<String>,
        columns: Vec<String>,
    },
    Join {
        left: Box<Table>,
        right: Box<Table>,
        kind: JoinKind,
        on: Option<Expr>,
    },
    /// `CROSS APPLY` (false), `OUTER APPLY` (true)
    Apply {
        left: Box<Table>,
        right: Box<Table>,
        outer: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) items: Vec<Item>,
    pub(crate) into: Option<(Target, Vec<String>)>,
}

/// A table that is written to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Named(Name),
    Variable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    Exec(Box<Exec>),
    Defaults,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SetTarget {
    Column(Name),
    Variable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) target: SetTarget,
    pub(crate) op: Option<Binary>,
    pub(crate) value: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Insert {
    pub(crate) with: Vec<Common>,
    pub(crate) target: Target,
    pub(crate) columns: Vec<String>,
    pub(crate) source: Source,
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) with: Vec<Common>,
    pub(crate) top: Option<Top>,
    pub(crate) target: Target,
    pub(crate) set: Vec<Assignment>,
    pub(crate) from: Option<Table>,
    pub(crate) filter: Option<Expr>,
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delete {
    pub(crate) with: Vec<Common>,
    pub(crate) top: Option<Top>,
    pub(crate) target: Target,
    pub(crate) from: Option<Table>,
    pub(crate) filter: Option<Expr>,
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MergeAction {
    Delete,
    Update(Vec<Assignment>),
    Insert(Vec<String>, Option<Vec<Expr>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeWhen {
    Matched,
    NotMatched,
    NotMatchedBySource,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Merge {
    pub(crate) with: Vec<Common>,
    pub(crate) target: Name,
    pub(crate) alias: Option<String>,
    pub(crate) source: Table,
    pub(crate) on: Expr,
    pub(crate) clauses: Vec<(MergeWhen, Option<Expr>, MergeAction)>,
    pub(crate) output: Option<Output>,
}

/// A parameter of a call: `@name = value OUTPUT`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    /// `None`: `DEFAULT`.
    pub(crate) value: Option<Expr>,
    pub(crate) output: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Exec {
    /// `EXEC (@text)`
    Text(Expr),
    Procedure {
        result: Option<String>,
        name: ProcedureName,
        args: Vec<Argument>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProcedureName {
    Name(Name),
    Variable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: Option<bool>,
    /// Seed and increment.
    pub(crate) identity: Option<(i64, i64)>,
    pub(crate) default: Option<(Option<String>, String)>,
    pub(crate) rowversion: bool,
    pub(crate) collation: Option<String>,
    /// Constraints written behind the column.
    pub(crate) constraints: Vec<Constraint>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) name: Option<String>,
    pub(crate) kind: ConstraintKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ConstraintKind {
    Key {
        primary: bool,
        columns: Vec<String>,
    },
    /// The condition's text.
    Check(String),
    Foreign {
        columns: Vec<String>,
        table: Name,
        referenced: Vec<String>,
        on_delete: String,
        on_update: String,
    },
    /// `DEFAULT expr FOR column`
    Default {
        value: String,
        column: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableDef {
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) indexes: Vec<IndexDef>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexDef {
    pub(crate) name: String,
    pub(crate) unique: bool,
    pub(crate) clustered: bool,
    pub(crate) columns: Vec<String>,
    /// The text of `WHERE`.
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AlterTable {
    AddColumns(Vec<ColumnDef>, Vec<Constraint>),
    DropColumns(Vec<String>, bool),
    DropConstraints(Vec<String>, bool),
    AlterColumn(ColumnDef),
    /// `CHECK CONSTRAINT name`, which is on already.
    Check(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) kind: Declared,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Declared {
    Scalar(Type, Option<Expr>),
    Table(TableDef),
}

/// Kinds of object that hold a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    View,
    Procedure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    New,
    Change,
    Either,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) default: Option<Expr>,
    pub(crate) output: bool,
}

/// One option of `CREATE LOGIN … WITH` and its like; values as they were written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: SettingValue,
    /// Words behind the value, such as `HASHED`, `MUST_CHANGE`, `UNLOCK`.
    pub(crate) flags: Vec<String>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum SettingValue {
    Word(String),
    Text(String),
    Binary(Vec<u8>),
    None,
}

impl std::fmt::Debug for SettingValue {
    // A text here may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(w) => f.debug_tuple("Word").field(w).finish(),
            Self::Text(_) | Self::Binary(_) => f.write_str("…"),
            Self::None => f.write_str("None"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Principal {
    CreateLogin {
        name: String,
        settings: Vec<Setting>,
    },
    AlterLogin {
        name: String,
        settings: Vec<Setting>,
        enable: Option<bool>,
    },
    DropLogin {
        name: String,
    },
    CreateUser {
        name: String,
        login: Option<String>,
        settings: Vec<Setting>,
    },
    AlterUser {
        name: String,
        settings: Vec<Setting>,
    },
    DropUser {
        name: String,
        if_exists: bool,
    },
    CreateRole {
        name: String,
    },
    DropRole {
        name: String,
        if_exists: bool,
    },
    RoleMember {
        role: String,
        member: String,
        add: bool,
        server: bool,
    },
    Authorization {
        class: String,
        name: Name,
        to: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DatabaseChange {
    /// `SET …` options, each as its words.
    Set(Vec<Vec<String>>),
    Rename(String),
    Collate(String),
}

/// A name that may be given by a variable, as `BACKUP` and `RESTORE` take it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    Name(String),
    Variable(String),
}

/// One of the words behind `WITH` in `BACKUP` and `RESTORE`: `STATS = 5`, `MOVE 'a' TO 'b'`, `REPLACE`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MediaOption {
    /// Upper case.
    pub(crate) word: String,
    pub(crate) value: Option<Expr>,
    /// Behind `TO`.
    pub(crate) to: Option<Expr>,
}

/// What is read from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestoreKind {
    Database,
    HeaderOnly,
    FileListOnly,
    LabelOnly,
    VerifyOnly,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Backup {
    pub(crate) log: bool,
    pub(crate) database: Named,
    pub(crate) file: Expr,
    pub(crate) options: Vec<MediaOption>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Restore {
    pub(crate) kind: RestoreKind,
    /// Missing for what only looks.
    pub(crate) database: Option<Named>,
    pub(crate) file: Expr,
    pub(crate) options: Vec<MediaOption>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) line: u32,
    pub(crate) kind: StatementKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StatementKind {
    Select(Query),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Merge(Box<Merge>),
    Truncate(Name),
    Declare(Vec<Declaration>),
    SetVariable(String, Option<Binary>, Expr),
    /// `SET NOCOUNT ON`, as its words.
    SetOption(Vec<String>, Option<Expr>),
    If(Expr, Box<Statement>, Option<Box<Statement>>),
    While(Expr, Box<Statement>),
    Break,
    Continue,
    Block(Vec<Statement>),
    Try(Vec<Statement>, Vec<Statement>),
    Return(Option<Expr>),
    Print(Expr),
    Raise {
        message: Expr,
        severity: Expr,
        state: Expr,
        args: Vec<Expr>,
        options: Vec<String>,
    },
    Throw(Option<(Expr, Expr, Expr)>),
    WaitFor {
        delay: bool,
        time: Expr,
    },
    Use(String),
    Exec(Exec),
    BeginTransaction(Option<String>),
    Commit,
    Rollback(Option<String>),
    Save(String),
    CreateDatabase {
        name: String,
        collation: Option<String>,
    },
    AlterDatabase {
        name: Option<String>,
        change: DatabaseChange,
    },
    DropDatabase {
        names: Vec<String>,
        if_exists: bool,
    },
    CreateTable {
        name: Name,
        table: TableDef,
    },
    AlterTable {
        name: Name,
        change: AlterTable,
    },
    /// Kind (`table`, `view`, `procedure`), names, `IF EXISTS`.
    DropObject {
        kind: &'static str,
        names: Vec<Name>,
        if_exists: bool,
    },
    CreateIndex {
        table: Name,
        index: IndexDef,
    },
    DropIndex {
        table: Name,
        index: String,
        if_exists: bool,
    },
    CreateSchema {
        name: String,
        owner: Option<String>,
    },
    DropSchema {
        name: String,
        if_exists: bool,
    },
    CreateModule {
        how: Create,
        kind: Module,
        name: Name,
        columns: Vec<String>,
        text: String,
    },
    Principal(Principal),
    Backup(Box<Backup>),
    Restore(Box<Restore>),
    Reconfigure,
    Checkpoint,
    Shutdown,
    Kill(i64),
}
