//! Business metrics: made of requests by [`rules`], or reported by the application ([`events`]) in a
//! response header ([`header`]) or by a post ([`post`]).

pub mod events;
pub mod header;
pub mod number;
pub mod post;
pub mod rules;
