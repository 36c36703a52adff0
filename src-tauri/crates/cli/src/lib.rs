//! The berth command
