//! mfad: a multi-factor authentication server. One binary, one file.

pub mod app;
pub mod audit;
pub mod auth;
pub mod base;
pub mod commands;
pub mod config;
pub mod crypto;
pub mod demo;
pub mod factor;
pub mod http;
pub mod lockout;
pub mod log;
pub mod mail;
pub mod outbox;
pub mod people;
pub mod server;
pub mod services;
pub mod store;
pub mod wire;
