//! Calls: stored procedures, dynamic text, and the system procedures that clients use.

mod catalog;
mod configure;
mod infer;
mod lock;
mod odbc;
mod prepared;
mod request;

pub(crate) use configure::configuration;
pub(crate) use lock::Held;
pub(crate) use prepared::Prepared;
pub(crate) use request::Request;

use super::{
    ast::{Argument, Exec as Call, Parameter, ProcedureName, Statement},
    convert,
    message::{self, Ends, Message, SqlResult},
    output::{Output, command},
    parse,
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
    pub(super) fn call_statements(
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

    pub(super) fn text_argument(
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
            "sp_describe_undeclared_parameters" => {
                let text = self.text_argument(&given, 0, name, "@tsql")?;
                self.describe_parameters(&text, out)
            }
            "sp_configure" => self.sp_configure(&given, out),
            "sp_getapplock" => self.sp_getapplock(&given),
            "sp_releaseapplock" => self.sp_releaseapplock(&given),
            "sp_set_session_context" => {
                let key = self.text_argument(&given, 0, name, "@key")?;
                if self.context.borrow().len() >= 1000 {
                    return Err(message::out_of_memory().into());
                }
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
