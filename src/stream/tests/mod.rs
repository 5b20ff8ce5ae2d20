//! What streams promise, tried at every border.

mod damage;
mod fixture;
mod lengths;
mod locks;
mod round;
mod sources;
mod space;
