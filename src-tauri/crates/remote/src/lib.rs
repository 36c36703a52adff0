//! SSH: sessions, lanes, host keys, sign-in, exec, tunnels, the PowerShell envelope
