//! Weights that are tried in place of those that are compiled in.

use route_metrics::endpoint::tried;

/// A weight for each trait, in the order of the traits.
pub type Weights = Vec<i32>;

/// The names of the traits.
pub fn names() -> Vec<&'static str> {
    tried::get().iter().map(|it| it.0).collect()
}

/// The weights that are compiled in, or are tried now.
pub fn get() -> Weights {
    tried::get().iter().map(|it| it.1).collect()
}

/// Tries weights, in this thread.
pub fn set(weights: &[i32]) {
    for (which, weight) in weights.iter().enumerate() {
        tried::set(which, *weight);
    }
}

/// Reads a file with `TRAIT WEIGHT` in each line. A trait that it does not name weighs what it does.
pub fn read(file: &str) -> Weights {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let names = names();
    let mut weights = get();
    for line in text.lines() {
        let (name, weight) = line.split_once(' ').expect("TRAIT WEIGHT");
        let which = names.iter().position(|it| *it == name);
        let which = which.unwrap_or_else(|| panic!("{file}: no trait {name}"));
        weights[which] = weight.parse().expect("a weight");
    }
    weights
}
