//! Budgets of label values and series that hold for the whole Envoy process.
//!
//! Every worker has a VM of its own, so what may exist is agreed on through the host's shared
//! data: for each label and each metric an append-only list ([`SharedList`]), written by
//! compare-and-swap. A list only grows, so a worker that has read it to its end and finds it full
//! knows without asking again that whatever it does not hold is over the limit. The host is asked
//! only for a value or series that this VM has not met, and not at all once the list is full.
//!
//! Places are earned: what traffic makes up gets one at first sight only while few are taken, and
//! must have been asked for the more often the fewer are left ([`price::price`], [`waiting`]).
//!
//! The position of a value in its list is its id, the same on every worker; a series is the tuple
//! of its value ids ([`Key`]).

mod budget;
mod family;
mod generations;
mod handle;
pub mod keys;
mod limits;
mod list;
pub mod open_requests;
mod price;
pub mod registry;
mod shapes;
mod shared_list;
mod values;
mod waiting;

pub use budget::{Claim, Key, MAX_LABELS, Series};
pub use generations::{Generations, Learner, Told};
pub use shapes::Shapes;
pub use shared_list::{APPEND_TRIES, Append, SharedList};
pub use values::{OTHER_ID, Values};

/// The answer to "may this exist?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may; this VM is the one that brought it in where `new` is true.
    Admitted {
        /// The id of the value.
        id: u32,
        /// Whether this call added it to the list.
        new: bool,
    },
    /// A limit is reached.
    Full,
    /// It has not been asked for often enough yet.
    Waiting,
    /// The host refused; nothing was decided for good.
    Failed,
}
