//! Connection strings: an endpoint, a login and a database in one client's format.
