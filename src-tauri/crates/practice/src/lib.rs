//! The built-in practice host: a Windows container host carried in a process
