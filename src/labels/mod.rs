//! Labels: where a value comes from ([`source`]), what it is for a request ([`value`]), and how it
//! is written into a stat name ([`encode`](mod@encode)).

mod encode;
pub mod source;
pub mod value;

pub use encode::{
    NONE, OTHER, UNMATCHED, encode, encode_foreign, escape_own_word, is_name, name_trouble,
    stat_name, tag_regex,
};
