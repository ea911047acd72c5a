//! The server as its clients meet it: real sockets, a real store on disk, a
//! real issuer and a real SMTP server. One binary, since each further one
//! would link everything again.

mod access;
mod api;
mod audit;
mod believed;
mod brand;
mod canary;
mod check;
mod clock;
mod connections;
mod crash;
mod dependencies;
mod disk;
mod house;
mod jobs;
mod keys;
mod openapi;
mod packaged;
mod pam;
mod people;
mod policy;
mod process;
mod readme;
mod reload;
mod restore;
mod services;
mod session;
mod signing;
mod supervision;
mod support;
mod upgrade;
mod user;
mod watch;
mod words;
