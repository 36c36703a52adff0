//! `sp_configure`.

use super::{Given, Outcome};
use crate::sql::{
    convert,
    message::{Message, SqlResult},
    output::{Column, Output, command},
    session::Session,
    statement::Exec,
    store::same_name,
    types::Type,
    value::Value,
};

/// One option of `sp_configure`.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) least: i64,
    pub(crate) most: i64,
    pub(crate) configured: i64,
    pub(crate) running: i64,
    pub(crate) advanced: bool,
}

impl Session {
    pub(super) fn sp_configure(&self, given: &[Given], out: &mut dyn Output) -> Exec<Outcome> {
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
