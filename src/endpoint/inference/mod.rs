//! What is inferred of a path that nobody configured: what a segment looks like by itself
//! ([`token`], [`form`], [`vocabulary`]), how that is weighed ([`score`], [`weights`]), and what was seen in its
//! place ([`learner`], [`facts`]), with a memory of what was asked lately ([`recent`]).

mod facts;
mod form;
mod learner;
mod lexicon;
mod memory;
mod recent;
mod score;
mod token;
mod vocabulary;
mod weights;

pub use facts::{MAX_LOG_BYTES, MAX_NEWS_BYTES};
pub use learner::Inference;
#[cfg(route_metrics_train)]
pub use weights::tried;
