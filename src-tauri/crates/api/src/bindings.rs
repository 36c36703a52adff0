//! The command table in TypeScript, for the window. Written from the types of [`crate::dto`], committed, and compared here.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use ts_rs::{Config, TS, TypeVisitor};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../ui/src/lib/backend/bindings.ts"
);

/// What the table's types are called in TypeScript, and how they are declared.
pub(crate) struct Types {
    config: Config,
    seen: BTreeSet<TypeId>,
    declared: BTreeMap<String, String>,
    commands: String,
}

impl Types {
    fn new() -> Self {
        Self {
            // Numbers of the table stay far below 2^53: bytes, ports, counts, milliseconds.
            config: Config::new().with_large_int("number"),
            seen: BTreeSet::new(),
            declared: BTreeMap::new(),
            commands: String::new(),
        }
    }

    /// Takes in one command.
    pub(crate) fn command<Q: TS + 'static, I: TS + 'static, R: TS + 'static>(
        &mut self,
        name: &str,
    ) {
        self.visit::<Q>();
        self.visit::<I>();
        self.visit::<R>();
        let (q, i, r) = (
            Q::name(&self.config),
            I::name(&self.config),
            R::name(&self.config),
        );
        let _ = writeln!(
            self.commands,
            "  \"{name}\": {{ request: {q}; item: {i}; response: {r} }};"
        );
    }
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        T::visit_generics(self);
        // What comes from elsewhere is written out where it is used.
        if T::output_path().is_some() {
            let docs = T::docs().unwrap_or_default();
            let declared = format!("{docs}export {}\n", T::decl(&self.config));
            self.declared.insert(T::ident(&self.config), declared);
            T::visit_dependencies(self);
        }
    }
}

#[test]
fn the_bindings_of_the_window_are_those_of_the_table() {
    let mut types = Types::new();
    crate::table::types(&mut types);
    let mut text = String::from(
        "// Written from src-tauri/crates/api/src/dto.rs; do not edit.\n\
         // Anew: BERTH_WRITE_BINDINGS=1 cargo test -p berth-api bindings\n\n",
    );
    for declared in types.declared.values() {
        text.push_str(declared);
        text.push('\n');
    }
    let _ = write!(
        text,
        "/** Every command: what it is asked, what comes in between, what it answers. */\n\
         export interface Commands {{\n{}}}\n",
        types.commands
    );
    let file = Path::new(FILE);
    if std::env::var_os("BERTH_WRITE_BINDINGS").is_some() {
        fs::write(file, &text).unwrap();
    }
    let there = fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == text,
        "the window would be checked against another table than the one it calls: \
         run `BERTH_WRITE_BINDINGS=1 cargo test -p berth-api bindings` and commit the file"
    );
}
