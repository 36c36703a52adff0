//! The rig, end-to-end suites and benchmarks
