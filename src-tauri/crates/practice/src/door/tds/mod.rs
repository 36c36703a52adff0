//! SQL Server's wire protocol, MS-TDS 7.4.
