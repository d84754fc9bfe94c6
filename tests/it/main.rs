//! The program from the outside: real sockets, real keys, doubles only for what stands at the other end.

mod contract;
mod simulator;
mod support;
mod wire;
