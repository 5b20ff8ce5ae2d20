//! What the tests of whole vaults share: operations, a plain file system in memory to hold a vault against, ready vaults.
//!
//! A test draws [`op::Op`]s from a seed and gives them to a [`kernel::Kernel`], which does each to a vault and to the [`model::Model`] and
//! compares. After a remount or a crash, [`dump::Dump`] reads the vault whole and [`history::History`] says which moment of the past it
//! shows. Nothing here knows how a vault works inside, but for a few borders that make good offsets.
//!
//! An operation names nodes by numbers that are taken modulo what is there when it runs. So any part of a list of
//! operations is one too, and a failing list can be shrunk ([`shrink::shrink`]) without thought; the same makes every string of
//! bytes a list of operations for a fuzzer ([`draw::Source`]).
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod album;
pub mod between;
pub mod dawdle;
pub mod draw;
pub mod dump;
pub mod history;
pub mod image;
pub mod kernel;
pub mod liar;
pub mod logger;
pub mod model;
pub mod mount;
pub mod objects;
pub mod op;
pub mod pages;
pub mod run;
pub mod settle;
pub mod shrink;
pub mod streams;
pub mod sums;
pub mod trail;
pub mod watched;
