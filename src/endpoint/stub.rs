use super::CanonicalPath;
use crate::config::{self, InferenceMode, Mistakes};
#[derive(Debug)]
pub struct Endpoints {
    labels: Vec<String>,
}
pub enum Found {
    Excluded,
    Configured(u32),
    Unknown,
}
impl Endpoints {
    pub fn compile(config: &config::Endpoint, _m: &mut Mistakes) -> Self {
        Self { labels: config.templates.clone() }
    }
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
    pub fn find(&self, _method: &[u8], _path: &CanonicalPath<'_>) -> Found {
        Found::Unknown
    }
    pub fn param<'a>(&self, _m: &[u8], _path: &CanonicalPath<'a>, _n: &str) -> Option<&'a [u8]> {
        None
    }
}
pub struct Inference;
impl Inference {
    pub fn new(_m: InferenceMode) -> Self {
        Self
    }
    pub fn label(&self, p: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        for s in p.segments() {
            out.push(b'/');
            out.extend_from_slice(s);
        }
    }
    pub fn observe(&mut self, p: &CanonicalPath<'_>, out: &mut Vec<u8>) {
        self.label(p, out)
    }
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        None
    }
    pub fn merge(&mut self, _f: &[u8]) -> bool {
        true
    }
}
