//! Use cases and the command table; wires the crates below together
