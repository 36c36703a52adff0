//! Procedures that describe what is there.

use std::rc::Rc;

use super::{Given, Outcome};
use crate::sql::{
    ast::Principal,
    convert,
    message::{self, Message, SqlResult},
    output::{Column, Output, command},
    parse,
    session::Session,
    statement::Exec,
    store::{Kind, same_name},
    types::Type,
    value::Value,
};

/// Procedures that are a query over the catalog: name, parameters, text.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "sp_databases",
        "",
        "SELECT name AS DATABASE_NAME, CAST(8192 AS int) AS DATABASE_SIZE, CAST(NULL AS varchar(254)) AS REMARKS
         FROM sys.databases WHERE HAS_DBACCESS(name) = 1 ORDER BY name",
    ),
    (
        "sp_who",
        "@loginame sysname = NULL",
        "SELECT session_id AS spid, CAST(0 AS smallint) AS ecid, status, login_name AS loginame, host_name AS hostname,
                CAST('0' AS char(5)) AS blk, DB_NAME(database_id) AS dbname, CAST('AWAITING COMMAND' AS nvarchar(26)) AS cmd,
                CAST(0 AS int) AS request_id
         FROM sys.dm_exec_sessions WHERE @loginame IS NULL OR login_name = @loginame",
    ),
    (
        "sp_tables",
        "@table_name nvarchar(384) = NULL, @table_owner nvarchar(384) = NULL, @table_qualifier sysname = NULL,
         @table_type varchar(100) = NULL, @fUsePattern bit = 1",
        r"SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, TABLE_NAME,
                CAST(CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS varchar(32)) AS TABLE_TYPE,
                CAST(NULL AS varchar(254)) AS REMARKS
         FROM INFORMATION_SCHEMA.TABLES
         WHERE (@table_name IS NULL OR (@fUsePattern = 1 AND TABLE_NAME LIKE @table_name ESCAPE '\') OR TABLE_NAME = @table_name)
           AND (@table_owner IS NULL OR (@fUsePattern = 1 AND TABLE_SCHEMA LIKE @table_owner ESCAPE '\') OR TABLE_SCHEMA = @table_owner)
           AND (@table_type IS NULL OR CHARINDEX(CASE TABLE_TYPE WHEN 'VIEW' THEN '''VIEW''' ELSE '''TABLE''' END, @table_type) > 0)
         ORDER BY 4, 1, 2, 3",
    ),
    (
        "sp_pkeys",
        "@table_name sysname, @table_owner sysname = NULL, @table_qualifier sysname = NULL",
        "SELECT k.TABLE_CATALOG AS TABLE_QUALIFIER, k.TABLE_SCHEMA AS TABLE_OWNER, k.TABLE_NAME, k.COLUMN_NAME,
                CAST(k.ORDINAL_POSITION AS smallint) AS KEY_SEQ, k.CONSTRAINT_NAME AS PK_NAME
         FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE k
         JOIN INFORMATION_SCHEMA.TABLE_CONSTRAINTS c ON c.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND c.TABLE_SCHEMA = k.TABLE_SCHEMA
         WHERE c.CONSTRAINT_TYPE = 'PRIMARY KEY' AND k.TABLE_NAME = @table_name
           AND (@table_owner IS NULL OR k.TABLE_SCHEMA = @table_owner)
         ORDER BY 1, 2, 3, 5",
    ),
    (
        "sp_stored_procedures",
        "@sp_name nvarchar(390) = NULL, @sp_owner nvarchar(384) = NULL, @qualifier sysname = NULL, @fUsePattern bit = 1",
        "SELECT DB_NAME() AS PROCEDURE_QUALIFIER, SCHEMA_NAME(schema_id) AS PROCEDURE_OWNER,
                CAST(name + N';1' AS nvarchar(134)) AS PROCEDURE_NAME, CAST(-1 AS int) AS NUM_INPUT_PARAMS,
                CAST(-1 AS int) AS NUM_OUTPUT_PARAMS, CAST(-1 AS int) AS NUM_RESULT_SETS, CAST(NULL AS varchar(254)) AS REMARKS,
                CAST(2 AS smallint) AS PROCEDURE_TYPE
         FROM sys.procedures WHERE @sp_name IS NULL OR name LIKE @sp_name ORDER BY 1, 2, 3",
    ),
];

impl Session {
    /// Small procedures that describe what is there.
    pub(super) fn catalog_procedure(
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
        if let Some((_, parameters, body)) = TEXTS.iter().find(|(n, ..)| *n == name) {
            let parameters = parse::parameters(parameters)?;
            let statements = parse::batch(body, true)?;
            return self.call_statements(name, &parameters, &statements, given.to_vec(), None, out);
        }
        match name {
            "sp_columns" | "sp_columns_90" | "sp_columns_100" => self.sp_columns(given, out),
            "sp_datatype_info" | "sp_datatype_info_90" | "sp_datatype_info_100" => {
                self.sp_datatype_info(given, out)
            }
            "sp_addrolemember" | "sp_droprolemember" => {
                self.principal(&Principal::RoleMember {
                    role: text(0)?.unwrap_or_default(),
                    member: text(1)?.unwrap_or_default(),
                    add: name == "sp_addrolemember",
                    server: false,
                })?;
                Ok(Outcome::default())
            }
            "sp_addsrvrolemember" | "sp_dropsrvrolemember" => {
                self.principal(&Principal::RoleMember {
                    role: text(1)?.unwrap_or_default(),
                    member: text(0)?.unwrap_or_default(),
                    add: name == "sp_addsrvrolemember",
                    server: true,
                })?;
                Ok(Outcome::default())
            }
            "sp_helptext" => {
                self.sp_helptext(&text(0)?.unwrap_or_default(), out)?;
                Ok(Outcome::default())
            }
            "sp_rename" => {
                self.rename_object(
                    &text(0)?.unwrap_or_default(),
                    &text(1)?.unwrap_or_default(),
                    text(2)?.as_deref(),
                )?;
                let mut m = Message::info(
                    15477,
                    "Caution: Changing any part of an object name could break scripts and stored procedures.",
                );
                m.line = 1;
                out.message(&m)?;
                Ok(Outcome::default())
            }
            _ if KNOWN.contains(&name) || name.starts_with("xp_") => {
                Err(message::not_implemented(name).into())
            }
            _ => Err(message::no_procedure(name).into()),
        }
    }

    fn sp_helptext(&self, wanted: &str, out: &mut dyn Output) -> Exec<()> {
        let parsed = parse::name(wanted).ok_or_else(|| message::no_object(wanted))?;
        let Some((_, object)) = self.binder().find_object(&parsed)? else {
            return Err(Message::new(
                15009,
                16,
                1,
                format!(
                    "The object '{wanted}' does not exist in database '{}' or is invalid for this operation.",
                    self.current().name
                ),
            )
            .into());
        };
        let (Kind::View(body) | Kind::Procedure(body)) = &object.kind else {
            return Err(Message::new(
                15197,
                16,
                1,
                format!("There is no text for object '{wanted}'."),
            )
            .into());
        };
        out.columns(&[Column::new("Text", Type::NVarChar(255))])?;
        let mut rows = 0_u64;
        for line in body.split_inclusive('\n') {
            out.row(&[Value::text(line)])?;
            rows = rows.saturating_add(1);
        }
        self.counted(out, command::SELECT, rows)
    }

    pub(super) fn rename_object(&self, old: &str, new: &str, kind: Option<&str>) -> SqlResult<()> {
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
                file.save(object.id, &object.schema, &object.name, &Kind::Table(Rc::new(info)), &crate::sql::server::now_text())
            }
            (Kind::Table(_), None) => {
                if file.object(&object.schema, new)?.is_some() {
                    return Err(Message::new(15335, 11, 1, format!("Error: The new name '{new}' is already in use as a OBJECT name and would cause a duplicate that is not permitted.")));
                }
                file.save(object.id, &object.schema, new, &object.kind, &crate::sql::server::now_text())
            }
            _ => Err(message::not_implemented("sp_rename of a view or procedure")),
        })
    }
}

/// Procedures that SQL Server has, which clients may ask for, and which the practice host has not.
pub(super) const KNOWN: &[&str] = &[
    "sp_addextendedproperty",
    "sp_addlinkedserver",
    "sp_addmessage",
    "sp_addtype",
    "sp_adduser",
    "sp_altermessage",
    "sp_autostats",
    "sp_bindrule",
    "sp_certify_removable",
    "sp_create_plan_guide",
    "sp_createstats",
    "sp_cycle_errorlog",
    "sp_dbcmptlevel",
    "sp_dboption",
    "sp_defaultdb",
    "sp_defaultlanguage",
    "sp_depends",
    "sp_droplogin",
    "sp_dropextendedproperty",
    "sp_dropserver",
    "sp_dropuser",
    "sp_estimate_data_compression_savings",
    "sp_fulltext_database",
    "sp_getbindtoken",
    "sp_helpfile",
    "sp_helpfilegroup",
    "sp_helplanguage",
    "sp_helprole",
    "sp_helprolemember",
    "sp_helprotect",
    "sp_helpserver",
    "sp_helpsort",
    "sp_helpsrvrole",
    "sp_helpsrvrolemember",
    "sp_helpstats",
    "sp_helptrigger",
    "sp_invoke_external_rest_endpoint",
    "sp_linkedservers",
    "sp_monitor",
    "sp_ms_marksystemobject",
    "sp_msforeachdb",
    "sp_msforeachtable",
    "sp_oacreate",
    "sp_query_store_flush_db",
    "sp_readerrorlog",
    "sp_recompile",
    "sp_refreshview",
    "sp_removedbreplication",
    "sp_renamedb",
    "sp_resetstatus",
    "sp_serveroption",
    "sp_setnetname",
    "sp_settriggerorder",
    "sp_table_privileges",
    "sp_table_validation",
    "sp_testlinkedserver",
    "sp_trace_create",
    "sp_updateextendedproperty",
    "sp_validatelogins",
    "sp_validname",
    "sp_who2",
    "sp_xml_preparedocument",
    "sp_addlogin",
    "sp_attach_db",
    "sp_changedbowner",
    "sp_column_privileges",
    "sp_cursor",
    "sp_cursorclose",
    "sp_cursorexecute",
    "sp_cursorfetch",
    "sp_cursoropen",
    "sp_cursoroption",
    "sp_cursorprepare",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
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
    "sp_prepexecrpc",
    "sp_server_info",
    "sp_special_columns",
    "sp_spaceused",
    "sp_sproc_columns",
    "sp_statistics",
    "sp_updatestats",
];
