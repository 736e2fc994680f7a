//! Limits that several configurations of one VM name for the same list.

/// The limits of a list, by the configuration that names them: the smallest holds.
#[derive(Debug, Default)]
pub struct Limits(Vec<Limit>);

/// What a configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The configuration: the id of its root context.
    pub owner: u32,
    /// The most that may exist.
    pub max: usize,
    /// The places kept for what is configured.
    pub kept: usize,
}

impl Limits {
    /// Adds a limit. One configuration may name several for the same list.
    pub fn add(&mut self, limit: Limit) {
        self.0.push(limit);
    }

    /// Forgets the limits of a configuration.
    pub fn release(&mut self, owner: u32) {
        self.0.retain(|limit| limit.owner != owner);
    }

    /// The smallest limit, and the most places kept; `None` where nobody named one.
    pub fn effective(&self) -> Option<(usize, usize)> {
        let max = self.0.iter().map(|limit| limit.max).min()?;
        let kept = self.0.iter().map(|limit| limit.kept).max()?;
        Some((max, kept))
    }
}
