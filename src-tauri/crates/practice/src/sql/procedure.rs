//! Calls: stored procedures, dynamic text, and the system procedures that clients use.

use std::rc::Rc;

use super::{
    ast::{Argument, Exec as Call, Parameter, ProcedureName, Statement},
    convert,
    message::{self, Ends, Message, SqlResult},
    output::{Column, Gone, Output, command},
    parse,
    query::bind::Scope,
    session::{Frame, Session, variable_key},
    statement::{Exec, Flow, Halt},
    store::{Kind, same_name},
    types::Type,
    value::Value,
};

/// A parameter with its value, as a caller hands it over.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// With its `@`; empty where it goes by position.
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// `None`: DEFAULT.
    pub(crate) value: Option<Value>,
    pub(crate) output: bool,
}

/// A text that was prepared for many calls.
#[derive(Clone)]
pub(crate) struct Prepared {
    parameters: Rc<Vec<Parameter>>,
    statements: Rc<Vec<Statement>>,
}

/// A result parameter: its place, name, type and value.
pub(crate) struct Returned {
    pub(crate) ordinal: usize,
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) value: Value,
}

/// What a call gives back.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) returned: Vec<Returned>,
}

/// How deep calls nest, as in SQL Server.
const NESTING: usize = 32;

fn too_deep() -> message::SqlError {
    Message::new(
        217,
        16,
        1,
        "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
    )
    .ending(Ends::Batch)
}

impl Session {
    pub(crate) fn exec_statement(&self, e: &Call, out: &mut dyn Output) -> Exec<()> {
        match e {
            Call::Text(text) => {
                let (v, ty) = self.scalar(text)?;
                let text = convert::to_text(&v, ty, self.style())?;
                let quoted = self.settings.borrow().quoted_identifier;
                let statements = parse::batch(&text, quoted)?;
                super::statement::declared_once(&statements)?;
                self.in_frame(Frame::default(), |s| s.run(&statements, out))?;
                Ok(())
            }
            Call::Procedure { result, name, args } => {
                let name = match name {
                    ProcedureName::Name(n) => n.clone(),
                    ProcedureName::Variable(v) => {
                        let var = self
                            .variable(&variable_key(v))
                            .ok_or_else(|| message::undeclared(v))?;
                        let text = convert::to_text(&var.value, var.ty, self.style())?;
                        parse::name(&text).ok_or_else(|| message::no_procedure(&text))?
                    }
                };
                let mut given = Vec::new();
                for a in args {
                    given.push(self.argument(a)?);
                }
                let outcome = self.call(&name, given, out)?;
                for r in outcome.returned {
                    // The variable that was named in the call takes the value.
                    if let Some(super::ast::Expr::Variable(v)) =
                        args.get(r.ordinal).and_then(|a| a.value.as_ref())
                    {
                        let key = variable_key(v);
                        if let Some(target) = self.variable(&key) {
                            let value = convert::cast(
                                &r.value,
                                r.ty,
                                target.ty,
                                self.style(),
                                self.collation(),
                            )?;
                            self.set_variable(&key, value);
                        }
                    }
                }
                if let Some(v) = result {
                    let key = variable_key(v);
                    if self.variable(&key).is_none() {
                        return Err(message::undeclared(v).into());
                    }
                    self.set_variable(&key, Value::Int(i64::from(outcome.status)));
                }
                Ok(())
            }
        }
    }

    fn argument(&self, a: &Argument) -> SqlResult<Given> {
        let (value, ty) = match &a.value {
            Some(e) => {
                let (v, ty) = self.scalar(e)?;
                (Some(v), ty)
            }
            None => (None, Type::Null),
        };
        Ok(Given {
            name: a.name.clone().unwrap_or_default(),
            ty,
            value,
            output: a.output,
        })
    }

    /// Runs something with variables of its own. Settings and temporary tables made inside end with it.
    fn in_frame(&self, frame: Frame, f: impl FnOnce(&Self) -> Exec<Flow>) -> Exec<Option<i32>> {
        if self.depth() > NESTING {
            return Err(too_deep().into());
        }
        let settings = self.settings.borrow().clone();
        let database = self.database.borrow().clone();
        self.frames.borrow_mut().push(frame);
        let depth = self.depth();
        let result = f(self);
        if self.depth() >= depth {
            self.leave_frame();
        }
        *self.settings.borrow_mut() = settings;
        self.enter(database);
        match result {
            Ok(Flow::Return(status)) => Ok(status),
            Ok(_) => Ok(None),
            // An error of compiling ends the text that it is in.
            Err(Halt::Aborted { whole: false }) => Ok(Some(self.last_error.get())),
            Err(e) => Err(e),
        }
    }

    /// Calls a procedure by name.
    pub(crate) fn call(
        &self,
        name: &[String],
        given: Vec<Given>,
        out: &mut dyn Output,
    ) -> Exec<Outcome> {
        let last = name.last().cloned().unwrap_or_default();
        let schema = name
            .len()
            .checked_sub(2)
            .and_then(|n| name.get(n))
            .cloned()
            .unwrap_or_default();
        let system = schema.is_empty() || same_name(&schema, "sys") || same_name(&schema, "dbo");
        let lower = last.to_ascii_lowercase();
        if system && (lower.starts_with("sp_") || lower.starts_with("xp_")) {
            let name_vec = name.to_vec();
            let own = self.binder().find_object(&name_vec)?.is_some();
            if !own {
                return self.system_procedure(&lower, given, out);
            }
        }
        let name_vec = name.to_vec();
        let Some((database, object)) = self.binder().find_object(&name_vec)? else {
            return Err(message::no_procedure(&name.join(".")).into());
        };
        let Kind::Procedure(text) = &object.kind else {
            return Err(Message::new(
                2812,
                16,
                62,
                format!("Could not find stored procedure '{}'.", name.join(".")),
            )
            .into());
        };
        let d = self.server.state().database_by_id(database).cloned();
        if let Some(d) = &d
            && !self.has_role(d, &[])?
        {
            return Err(message::permission(
                229,
                format!("The EXECUTE permission was denied on the object '{}', database '{}', schema '{}'.", object.name, d.name, object.schema),
            )
            .into());
        }
        let (parameters, statements) = parse::procedure(text)?;
        let outcome =
            self.call_statements(&object.name, &parameters, &statements, given, d, out)?;
        if self.depth() == 1 {
            self.finished(out, command::EXEC)?;
        }
        Ok(outcome)
    }

    /// Binds arguments to parameters, runs the statements, gathers what comes back.
    fn call_statements(
        &self,
        name: &str,
        parameters: &[Parameter],
        statements: &[Statement],
        given: Vec<Given>,
        database: Option<super::server::Database>,
        out: &mut dyn Output,
    ) -> Exec<Outcome> {
        let mut frame = Frame {
            procedure: name.to_owned(),
            ..Frame::default()
        };
        let mut taken: Vec<Option<usize>> = vec![None; parameters.len()];
        for (n, g) in given.iter().enumerate() {
            let at = if g.name.is_empty() {
                Some(n).filter(|n| *n < parameters.len())
            } else {
                parameters
                    .iter()
                    .position(|p| variable_key(&p.name) == variable_key(&g.name))
            };
            let Some(slot) = at.and_then(|at| taken.get_mut(at)) else {
                if g.name.is_empty() {
                    return Err(Message::new(
                        8144,
                        16,
                        2,
                        format!("Procedure or function {name} has too many arguments specified."),
                    )
                    .into());
                }
                return Err(Message::new(
                    8145,
                    16,
                    2,
                    format!("{} is not a parameter for procedure {name}.", g.name),
                )
                .into());
            };
            *slot = Some(n);
        }
        for (p, at) in parameters.iter().zip(&taken) {
            let g = at.and_then(|n| given.get(n));
            let value = match (g.map(|g| (&g.value, g.ty)), &p.default) {
                (Some((Some(v), from)), _) => {
                    if v.is_null() {
                        Value::Null
                    } else {
                        convert::implicit(from, p.ty)?;
                        convert::cast(v, from, p.ty, self.style(), self.collation())?
                    }
                }
                (_, Some(e)) => self.scalar_as(e, p.ty)?,
                _ => {
                    return Err(Message::new(
                        201,
                        16,
                        4,
                        if name.is_empty() {
                            format!("Procedure or function 'sp_executesql' expects parameter '{}', which was not supplied.", p.name)
                        } else {
                            format!("Procedure or function '{name}' expects parameter '{}', which was not supplied.", p.name)
                        },
                    )
                    .into());
                }
            };
            frame.variables.insert(
                variable_key(&p.name),
                super::session::Variable { ty: p.ty, value },
            );
        }
        let mut returned = Vec::new();
        let status = self.in_frame(frame, |s| {
            if let Some(d) = database {
                s.enter(d);
            }
            let flow = s.run(statements, out)?;
            for (p, at) in parameters.iter().zip(&taken) {
                if let Some(n) = at
                    && given.get(*n).is_some_and(|g| g.output)
                {
                    let value = s
                        .variable(&variable_key(&p.name))
                        .map_or(Value::Null, |v| v.value);
                    returned.push(Returned {
                        ordinal: *n,
                        name: p.name.clone(),
                        ty: p.ty,
                        value,
                    });
                }
            }
            Ok(flow)
        })?;
        Ok(Outcome {
            status: status.unwrap_or(0),
            returned,
        })
    }

    fn text_argument(
        &self,
        given: &[Given],
        at: usize,
        procedure: &str,
        name: &str,
    ) -> SqlResult<String> {
        match given.get(at) {
            Some(Given { value: Some(v), ty, .. }) if !v.is_null() => {
                if !ty.is_text() {
                    return Err(Message::new(214, 16, 3, format!("Procedure expects parameter '{name}' of type 'ntext/nchar/nvarchar'.")).ending(Ends::Batch));
                }
                convert::to_text(v, *ty, self.style())
            }
            Some(_) => Ok(String::new()),
            None => Err(Message::new(201, 16, 10, format!("Procedure or function '{procedure}' expects parameter '{name}', which was not supplied.")).ending(Ends::Batch)),
        }
    }

    fn prepare(&self, parameters: &str, text: &str) -> SqlResult<Prepared> {
        let quoted = self.settings.borrow().quoted_identifier;
        let statements = parse::batch(text, quoted)?;
        super::statement::declared_once(&statements)?;
        Ok(Prepared {
            parameters: Rc::new(parse::parameters(parameters)?),
            statements: Rc::new(statements),
        })
    }

    fn keep(&self, p: Prepared) -> SqlResult<i32> {
        if self.prepared.borrow().len() >= 10_000 {
            return Err(message::out_of_memory());
        }
        let handle = self.next_handle.get();
        self.next_handle.set(handle.wrapping_add(1).max(1));
        self.prepared.borrow_mut().insert(handle, p);
        Ok(handle)
    }

    fn handle(&self, given: &[Given], procedure: &str) -> SqlResult<(i32, Prepared)> {
        let n = match given.first().and_then(|g| g.value.as_ref()) {
            Some(Value::Int(n)) => i32::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        let found = self.prepared.borrow().get(&n).cloned();
        match found {
            Some(p) => Ok((n, p)),
            None => Err(Message::new(
                8179,
                16,
                2,
                format!("Could not find prepared statement with handle {n}."),
            )
            .ending(Ends::Batch))
            .inspect_err(|_| tracing::debug!(procedure, "an unknown handle")),
        }
    }

    fn system_procedure(
        &self,
        name: &str,
        mut given: Vec<Given>,
        out: &mut dyn Output,
    ) -> Exec<Outcome> {
        match name {
            "sp_executesql" => {
                let text = self.text_argument(&given, 0, name, "@statement")?;
                let declared = if given.len() > 1 {
                    self.text_argument(&given, 1, name, "@parameters")?
                } else {
                    String::new()
                };
                let p = self.prepare(&declared, &text)?;
                let rest = given.split_off(given.len().min(2));
                let mut o =
                    self.call_statements("", &p.parameters, &p.statements, rest, None, out)?;
                for r in &mut o.returned {
                    r.ordinal = r.ordinal.saturating_add(2);
                }
                Ok(o)
            }
            "sp_prepare" => {
                let declared = self.text_argument(&given, 1, name, "@params")?;
                let text = self.text_argument(&given, 2, name, "@stmt")?;
                let p = self.prepare(&declared, &text)?;
                // A client wants to see the shape of the result.
                if let Some(columns) = self.describe(&p)? {
                    out.columns(&columns)?;
                    self.finished(out, command::SELECT)?;
                }
                let handle = self.keep(p)?;
                Ok(handle_outcome(&given, handle))
            }
            "sp_prepexec" => {
                let declared = self.text_argument(&given, 1, name, "@params")?;
                let text = self.text_argument(&given, 2, name, "@stmt")?;
                let p = self.prepare(&declared, &text)?;
                let handle = self.keep(p.clone())?;
                let rest = given.split_off(given.len().min(3));
                let mut o =
                    self.call_statements("", &p.parameters, &p.statements, rest, None, out)?;
                for r in &mut o.returned {
                    r.ordinal = r.ordinal.saturating_add(3);
                }
                o.returned
                    .splice(0..0, handle_outcome(&given, handle).returned);
                Ok(o)
            }
            "sp_execute" => {
                let (_, p) = self.handle(&given, name)?;
                let rest = given.split_off(given.len().min(1));
                let mut o =
                    self.call_statements("", &p.parameters, &p.statements, rest, None, out)?;
                for r in &mut o.returned {
                    r.ordinal = r.ordinal.saturating_add(1);
                }
                Ok(o)
            }
            "sp_unprepare" => {
                let (handle, _) = self.handle(&given, name)?;
                self.prepared.borrow_mut().remove(&handle);
                Ok(Outcome::default())
            }
            "sp_reset_connection" => {
                self.reset(false);
                Ok(Outcome::default())
            }
            "sp_describe_first_result_set" => {
                let text = self.text_argument(&given, 0, name, "@tsql")?;
                let declared = if given
                    .get(1)
                    .is_some_and(|g| g.value.as_ref().is_some_and(|v| !v.is_null()))
                {
                    self.text_argument(&given, 1, name, "@params")?
                } else {
                    String::new()
                };
                let p = self.prepare(&declared, &text)?;
                self.describe_result(&p, out)
            }
            "sp_describe_undeclared_parameters" => Err(message::not_implemented(name).into()),
            "sp_configure" => self.sp_configure(&given, out),
            "sp_getapplock" | "sp_releaseapplock" => Ok(Outcome::default()),
            "sp_set_session_context" => {
                let key = self.text_argument(&given, 0, name, "@key")?;
                if let Some(Given { value: Some(v), .. }) = given.get(1) {
                    self.context
                        .borrow_mut()
                        .insert(key.to_lowercase(), v.clone());
                }
                Ok(Outcome::default())
            }
            _ => self.catalog_procedure(name, &given, out),
        }
    }

    /// The columns of the first result that a prepared text gives, where that can be told without running it.
    fn describe(&self, p: &Prepared) -> SqlResult<Option<Vec<Column>>> {
        let Some(Statement {
            kind: super::ast::StatementKind::Select(q),
            ..
        }) = p.statements.first()
        else {
            return Ok(None);
        };
        if super::definition::into_of(q).is_some() {
            return Ok(None);
        }
        let mut frame = Frame::default();
        for v in p.parameters.iter() {
            frame.variables.insert(
                variable_key(&v.name),
                super::session::Variable {
                    ty: v.ty,
                    value: Value::Null,
                },
            );
        }
        self.frames.borrow_mut().push(frame);
        let plan = self.binder().query(q, &Scope::EMPTY);
        self.frames.borrow_mut().pop();
        let plan = plan?;
        Ok((!plan.assigns()).then_some(plan.columns))
    }

    fn describe_result(&self, p: &Prepared, out: &mut dyn Output) -> Exec<Outcome> {
        let shown = self.describe(p)?.unwrap_or_default();
        let columns = [
            ("is_hidden", Type::Bit),
            ("column_ordinal", Type::Int),
            ("name", Type::SYSNAME),
            ("is_nullable", Type::Bit),
            ("system_type_id", Type::Int),
            ("system_type_name", Type::NVarChar(256)),
            ("max_length", Type::SmallInt),
            ("precision", Type::TinyInt),
            ("scale", Type::TinyInt),
            ("collation_name", Type::SYSNAME),
            ("is_identity_column", Type::Bit),
            ("is_updateable", Type::Bit),
            ("is_computed_column", Type::Bit),
        ];
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
        out.columns(&columns)?;
        for (n, c) in (1_i64..).zip(&shown) {
            let (precision, scale) = c.ty.precision_scale();
            out.row(&[
                Value::Bit(false),
                Value::Int(n),
                if c.name.is_empty() {
                    Value::Null
                } else {
                    Value::text(&c.name)
                },
                Value::Bit(c.nullable),
                Value::Int(i64::from(c.ty.system_id())),
                Value::text(c.ty.full_name()),
                Value::Int(i64::from(c.ty.max_length())),
                Value::Int(i64::from(precision)),
                Value::Int(i64::from(scale)),
                if c.ty.is_text() {
                    Value::text(&self.current().collation)
                } else {
                    Value::Null
                },
                Value::Bit(c.identity),
                Value::Bit(!c.computed),
                Value::Bit(false),
            ])?;
        }
        self.counted(
            out,
            command::SELECT,
            u64::try_from(shown.len()).unwrap_or(0),
        )?;
        Ok(Outcome::default())
    }

    fn sp_configure(&self, given: &[Given], out: &mut dyn Output) -> Exec<Outcome> {
        let advanced = self
            .server
            .state()
            .settings
            .get("show advanced options")
            .is_some_and(|s| s.1 != 0);
        let list = configuration(self);
        let name = if given.is_empty() {
            String::new()
        } else {
            self.text_argument(given, 0, "sp_configure", "@configname")?
        };
        let shown: Vec<&Setting> = list
            .iter()
            .filter(|s| {
                (advanced || !s.advanced)
                    && (name.is_empty() || s.name.to_lowercase().starts_with(&name.to_lowercase()))
            })
            .collect();
        let exact = list.iter().find(|s| same_name(s.name, &name));
        let one = exact.filter(|s| advanced || !s.advanced).or_else(|| {
            if shown.len() == 1 {
                shown.first().copied()
            } else {
                None
            }
        });
        let bad = || {
            Message::new(
                15123,
                16,
                1,
                format!(
                    "The configuration option '{name}' does not exist, or it may be an advanced option."
                ),
            )
        };
        if given.len() < 2 {
            if !name.is_empty() && one.is_none() {
                return Err(bad().into());
            }
            let columns = [
                ("name", Type::NVarChar(35)),
                ("minimum", Type::Int),
                ("maximum", Type::Int),
                ("config_value", Type::Int),
                ("run_value", Type::Int),
            ];
            let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::new(*n, *t)).collect();
            out.columns(&columns)?;
            let rows: Vec<&Setting> = if name.is_empty() {
                shown
            } else {
                one.into_iter().collect()
            };
            for s in &rows {
                out.row(&[
                    Value::text(s.name),
                    Value::Int(s.least),
                    Value::Int(s.most),
                    Value::Int(s.configured),
                    Value::Int(s.running),
                ])?;
            }
            self.counted(out, command::SELECT, u64::try_from(rows.len()).unwrap_or(0))?;
            return Ok(Outcome::default());
        }
        self.need_sysadmin(
            15247,
            "User does not have permission to perform this action.",
        )?;
        let Some(s) = one else {
            return Err(bad().into());
        };
        let value = match given.get(1) {
            Some(Given {
                value: Some(v), ty, ..
            }) => match convert::cast(v, *ty, Type::BigInt, self.style(), self.collation())? {
                Value::Int(n) => n,
                _ => 0,
            },
            _ => 0,
        };
        if !(s.least..=s.most).contains(&value) {
            return Err(Message::new(
                15129,
                16,
                1,
                format!(
                    "'{value}' is not a valid value for configuration option '{}'.",
                    s.name
                ),
            )
            .into());
        }
        self.server.state().save_setting(s.name, value)?;
        let mut m = Message::info(
            15457,
            format!(
                "Configuration option '{}' changed from {} to {value}. Run the RECONFIGURE statement to install.",
                s.name, s.configured
            ),
        );
        m.procedure = "sp_configure".into();
        m.line = 1;
        out.message(&m)?;
        Ok(Outcome::default())
    }

    pub(crate) fn reconfigure(&self) -> SqlResult<()> {
        self.need_sysadmin(
            5812,
            "You do not have permission to run the RECONFIGURE statement.",
        )?;
        for (configured, running) in self.server.state().settings.values_mut() {
            *running = *configured;
        }
        Ok(())
    }

    /// Small procedures that describe what is there.
    fn catalog_procedure(
        &self,
        name: &str,
        given: &[Given],
        out: &mut dyn Output,
    ) -> Exec<Outcome> {
        let text = |at: usize| -> SqlResult<Option<String>> {
            match given.get(at) {
                Some(Given {
                    value: Some(v), ty, ..
                }) if !v.is_null() => convert::to_text(v, *ty, self.style()).map(Some),
                _ => Ok(None),
            }
        };
        let query = match name {
            "sp_databases" => "SELECT name AS DATABASE_NAME, CAST(8192 AS int) AS DATABASE_SIZE, CAST(NULL AS varchar(254)) AS REMARKS FROM sys.databases ORDER BY name".to_owned(),
            "sp_who" | "sp_who2" => "SELECT session_id AS spid, CAST(0 AS smallint) AS ecid, status, login_name AS loginame, host_name AS hostname, CAST('0' AS char(5)) AS blk, DB_NAME(database_id) AS dbname, CAST('AWAITING COMMAND' AS nvarchar(26)) AS cmd, CAST(0 AS int) AS request_id FROM sys.dm_exec_sessions".to_owned(),
            "sp_tables" => "SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, TABLE_NAME, CAST(CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS varchar(32)) AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS FROM INFORMATION_SCHEMA.TABLES ORDER BY 4, 1, 2, 3".to_owned(),
            "sp_helptext" => {
                let wanted = text(0)?.unwrap_or_default();
                let parsed = parse::name(&wanted).ok_or_else(|| message::no_object(&wanted))?;
                let found = self.binder().find_object(&parsed)?;
                let Some((_, object)) = found else {
                    return Err(Message::new(15009, 16, 1, format!("The object '{wanted}' does not exist in database '{}' or is invalid for this operation.", self.current().name)).into());
                };
                let (Kind::View(body) | Kind::Procedure(body)) = &object.kind else {
                    return Err(Message::new(15197, 16, 1, format!("There is no text for object '{wanted}'.")).into());
                };
                out.columns(&[Column::new("Text", Type::NVarChar(255))])?;
                let mut n = 0_u64;
                for line in body.split_inclusive('\n') {
                    out.row(&[Value::text(line)])?;
                    n = n.saturating_add(1);
                }
                self.counted(out, command::SELECT, n)?;
                return Ok(Outcome::default());
            }
            "sp_rename" => {
                self.rename_object(&text(0)?.unwrap_or_default(), &text(1)?.unwrap_or_default(), text(2)?.as_deref())?;
                let mut m = Message::info(15477, "Caution: Changing any part of an object name could break scripts and stored procedures.");
                m.line = 1;
                out.message(&m)?;
                return Ok(Outcome::default());
            }
            _ if KNOWN.contains(&name) || name.starts_with("xp_") => return Err(message::not_implemented(name).into()),
            _ => return Err(message::no_procedure(name).into()),
        };
        let statements = parse::batch(&query, true)?;
        self.in_frame(
            Frame {
                procedure: name.to_owned(),
                ..Frame::default()
            },
            |s| s.run(&statements, out),
        )?;
        Ok(Outcome::default())
    }

    fn rename_object(&self, old: &str, new: &str, kind: Option<&str>) -> SqlResult<()> {
        let wrong = || {
            Message::new(
                15248,
                11,
                1,
                "Either the parameter @objname is ambiguous or the claimed @objtype is wrong.",
            )
        };
        let mut name = parse::name(old).ok_or_else(wrong)?;
        let column = kind.is_some_and(|k| k.eq_ignore_ascii_case("COLUMN"));
        if kind
            .is_some_and(|k| !k.eq_ignore_ascii_case("OBJECT") && !k.eq_ignore_ascii_case("COLUMN"))
        {
            return Err(message::not_implemented(format!(
                "sp_rename of {}",
                kind.unwrap_or("")
            )));
        }
        let part = if column { name.pop() } else { None };
        let (database, object) = self.binder().find_object(&name)?.ok_or_else(wrong)?;
        let d = self.server.state().database_by_id(database).cloned();
        if let Some(d) = &d {
            self.need_ddl(d, "ALTER")?;
        }
        self.write(database, |file| match (&object.kind, part) {
            (Kind::Table(info), Some(part)) => {
                let mut info = info.as_ref().clone();
                if info.column(new).is_some() {
                    return Err(Message::new(15335, 11, 1, format!("Error: The new name '{new}' is already in use as a COLUMN name and would cause a duplicate that is not permitted.")));
                }
                let c = info.columns.iter_mut().find(|c| same_name(&c.name, &part)).ok_or_else(wrong)?;
                new.clone_into(&mut c.name);
                file.save(object.id, &object.schema, &object.name, &Kind::Table(Rc::new(info)), &super::server::now_text())
            }
            (Kind::Table(_), None) => {
                if file.object(&object.schema, new)?.is_some() {
                    return Err(Message::new(15335, 11, 1, format!("Error: The new name '{new}' is already in use as a OBJECT name and would cause a duplicate that is not permitted.")));
                }
                file.save(object.id, &object.schema, new, &object.kind, &super::server::now_text())
            }
            _ => Err(message::not_implemented("sp_rename of a view or procedure")),
        })
    }
}

fn handle_outcome(given: &[Given], handle: i32) -> Outcome {
    let name = given.first().map(|g| g.name.clone()).unwrap_or_default();
    Outcome {
        status: 0,
        returned: vec![Returned {
            ordinal: 0,
            name,
            ty: Type::Int,
            value: Value::Int(i64::from(handle)),
        }],
    }
}

/// Procedures that SQL Server has, which clients may ask for, and which the practice host has not.
const KNOWN: &[&str] = &[
    "sp_adduser",
    "sp_addlogin",
    "sp_addrolemember",
    "sp_addsrvrolemember",
    "sp_attach_db",
    "sp_changedbowner",
    "sp_column_privileges",
    "sp_columns",
    "sp_columns_100",
    "sp_cursor",
    "sp_cursorclose",
    "sp_cursorexecute",
    "sp_cursorfetch",
    "sp_cursoropen",
    "sp_cursoroption",
    "sp_cursorprepare",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_datatype_info",
    "sp_datatype_info_100",
    "sp_describe_cursor",
    "sp_describe_parameter_encryption",
    "sp_detach_db",
    "sp_fkeys",
    "sp_grantdbaccess",
    "sp_help",
    "sp_helpconstraint",
    "sp_helpdb",
    "sp_helpindex",
    "sp_helplogins",
    "sp_helpuser",
    "sp_lock",
    "sp_password",
    "sp_pkeys",
    "sp_prepexecrpc",
    "sp_server_info",
    "sp_special_columns",
    "sp_spaceused",
    "sp_sproc_columns",
    "sp_statistics",
    "sp_stored_procedures",
    "sp_updatestats",
];

/// One option of `sp_configure`.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) least: i64,
    pub(crate) most: i64,
    pub(crate) configured: i64,
    pub(crate) running: i64,
    pub(crate) advanced: bool,
}

/// The options there are, with their values.
pub(crate) fn configuration(s: &Session) -> Vec<Setting> {
    const LIST: &[(&str, i64, i64, i64, bool)] = &[
        ("allow updates", 0, 1, 0, false),
        ("backup compression default", 0, 1, 0, false),
        ("clr enabled", 0, 1, 0, false),
        ("contained database authentication", 0, 1, 0, false),
        ("cost threshold for parallelism", 0, 32767, 5, true),
        ("cross db ownership chaining", 0, 1, 0, false),
        ("default language", 0, 9999, 0, false),
        ("max degree of parallelism", 0, 32767, 0, true),
        (
            "max server memory (MB)",
            128,
            2_147_483_647,
            2_147_483_647,
            true,
        ),
        ("max text repl size (B)", -1, 2_147_483_647, 65536, false),
        ("min server memory (MB)", 0, 2_147_483_647, 0, true),
        ("nested triggers", 0, 1, 1, false),
        ("network packet size (B)", 512, 32767, 4096, true),
        ("optimize for ad hoc workloads", 0, 1, 0, true),
        ("remote access", 0, 1, 1, false),
        ("remote admin connections", 0, 1, 0, false),
        ("remote query timeout (s)", 0, 2_147_483_647, 600, false),
        ("show advanced options", 0, 1, 0, false),
        ("user connections", 0, 32767, 0, true),
        ("xp_cmdshell", 0, 1, 0, true),
    ];
    let state = s.server.state();
    LIST.iter()
        .map(|(name, least, most, default, advanced)| {
            let (configured, running) = state
                .settings
                .get(*name)
                .copied()
                .unwrap_or((*default, *default));
            Setting {
                name,
                least: *least,
                most: *most,
                configured,
                running,
                advanced: *advanced,
            }
        })
        .collect()
}

/// What a client may ask of a session besides batches.
pub(crate) enum Request {
    Batch(String),
    /// A procedure called by name, with its parameters.
    Call {
        name: Vec<String>,
        given: Vec<Given>,
    },
    Begin {
        isolation: u8,
    },
    Commit {
        again: Option<u8>,
    },
    Rollback {
        name: String,
        again: Option<u8>,
    },
    Save(String),
}

impl Session {
    /// Carries one request out. Errors go to the client; what comes back is whether it is still there.
    pub(crate) fn serve(&self, request: Request, out: &mut dyn Output) -> Result<(), Gone> {
        // A batch or a call begins with variables of its own; temporary tables stay.
        let kept = self
            .frames
            .borrow_mut()
            .first_mut()
            .map(|f| std::mem::take(&mut f.temporary))
            .unwrap_or_default();
        *self.frames.borrow_mut() = vec![Frame {
            temporary: kept,
            ..Frame::default()
        }];
        self.tries.set(0);
        self.caught.borrow_mut().clear();
        self.release_memory();
        let result = match request {
            Request::Batch(text) => self.batch(&text, out),
            Request::Call { name, given } => self.remote_call(&name, given, out),
            Request::Begin { isolation } => {
                if isolation > 0 {
                    self.settings.borrow_mut().isolation = isolation;
                }
                self.begin_transaction(out)
            }
            Request::Commit { again } => self.commit(out).and_then(|()| self.again(again, out)),
            Request::Rollback { name, again } => {
                let name = Some(name).filter(|n| !n.is_empty());
                self.rollback(name.as_deref(), out)
                    .and_then(|()| self.again(again, out))
            }
            Request::Save(name) => self.save_point(&name).map_err(Into::into),
        };
        let cancelled = message::cancelled().number;
        match result {
            Ok(()) | Err(Halt::Aborted { .. }) => {}
            // Nothing is said of a request that the client itself cancelled.
            Err(Halt::Error(e)) if e.number == cancelled => {
                if self.settings.borrow().xact_abort && self.transaction.borrow().count > 0 {
                    self.roll_back_telling(out).map_err(|_| Gone)?;
                }
            }
            Err(Halt::Error(e)) => {
                self.report(e, out).map_err(|_| Gone)?;
            }
            Err(Halt::Gone) => return Err(Gone),
        }
        if self.transaction.borrow().doomed && self.transaction.borrow().count > 0 {
            let e = Message::new(
                3998,
                16,
                1,
                "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
            );
            self.report(e, out).map_err(|_| Gone)?;
            self.roll_back_telling(out).map_err(|_| Gone)?;
        }
        self.release_memory();
        Ok(())
    }

    fn again(&self, isolation: Option<u8>, out: &mut dyn Output) -> Exec<()> {
        match isolation {
            Some(level) => {
                if level > 0 {
                    self.settings.borrow_mut().isolation = level;
                }
                self.begin_transaction(out)
            }
            None => Ok(()),
        }
    }

    /// A procedure called from outside: its status and its output parameters go to the client.
    fn remote_call(&self, name: &[String], given: Vec<Given>, out: &mut dyn Output) -> Exec<()> {
        // Dynamic text counts as inside a procedure from its first statement on.
        let outcome = self.call(name, given, out);
        let outcome = match outcome {
            Ok(o) => o,
            Err(Halt::Aborted { .. }) => {
                out.status(self.last_error.get())?;
                return Ok(());
            }
            Err(Halt::Error(e)) if e.number != message::cancelled().number => {
                let number = e.number;
                self.report(e, out)?;
                out.status(number)?;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        out.status(outcome.status)?;
        for r in &outcome.returned {
            out.returned(
                &r.name,
                u16::try_from(r.ordinal).unwrap_or(0),
                r.ty,
                &r.value,
            )?;
        }
        Ok(())
    }
}
