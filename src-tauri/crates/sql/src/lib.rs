//! TDS: login, readiness, batches
