//! The Docker Engine API over any byte stream
