//! The command as people use it: real processes, real clusters.

mod run;
mod up;
mod with;
