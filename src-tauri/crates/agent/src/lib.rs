//! Runs the api in the background; the command table over a private socket; the client half
