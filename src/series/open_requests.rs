//! The gauges of open requests, which neither leak nor fall below zero.
//!
//! Each VM counts its own open requests and tells the host once per tick, as a difference. What it
//! has told stands in a slot of shared data, with a sign of life; a VM that died leaves a slot
//! that does not change any more, and whoever notices takes its share back out of the gauge. So a
//! crash is healed, and short requests cost the host nothing.

use hashbrown::HashMap;

use crate::host::{CREATE_ONLY, Host, MetricKind, SharedWrite};
use crate::series::keys;
use crate::series::registry::{Handle, Registry};

/// Slots are looked at every so many ticks.
const LOOK_TICKS: u64 = 5;
/// A slot that was the same for so many looks belongs to a VM that is gone.
const DEAD_LOOKS: u32 = 3;
/// More VMs than any Envoy has; a bound for the search.
const MAX_SLOTS: u32 = 1024;

#[derive(Debug)]
struct Gauge {
    name: String,
    handle: Handle,
    open: i64,
    told: i64,
}

/// The gauges of this VM.
#[derive(Debug, Default)]
pub struct Active {
    gauges: Vec<Gauge>,
    /// The slot of this VM, once it had something to tell.
    slot: Option<u32>,
    /// What tells this VM's slot from a successor's: of the time, and of what VMs differ by.
    mark: u64,
    seed: u64,
    ticks: u64,
    seen: HashMap<u32, Seen>,
    page: Vec<u8>,
}

#[derive(Debug, Default)]
struct Seen {
    cas: u32,
    looks: u32,
}

impl Active {
    /// No gauges yet. The seed should differ between VMs.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The gauge of this name, for [`Active::raise`] and [`Active::lower`].
    pub fn gauge(&mut self, host: &impl Host, registry: &mut Registry, name: &str) -> usize {
        if let Some(index) = self.gauges.iter().position(|gauge| gauge.name == name) {
            return index;
        }
        let handle = registry.own(host, MetricKind::Gauge, name, &[]);
        self.gauges.push(Gauge { name: name.to_owned(), handle, open: 0, told: 0 });
        self.gauges.len() - 1
    }

    /// A request has begun.
    #[inline]
    pub fn raise(&mut self, gauge: usize) {
        if let Some(gauge) = self.gauges.get_mut(gauge) {
            gauge.open += 1;
        }
    }

    /// A request that was raised has ended.
    #[inline]
    pub fn lower(&mut self, gauge: usize) {
        if let Some(gauge) = self.gauges.get_mut(gauge) {
            gauge.open -= 1;
        }
    }

    /// Tells the host what has changed, gives a sign of life and looks after the dead. To be called
    /// about once a second.
    pub fn flush(&mut self, host: &impl Host, registry: &mut Registry) {
        self.ticks += 1;
        self.tell(host);
        if self.ticks.is_multiple_of(LOOK_TICKS) {
            self.bury(host, registry);
        }
    }

    /// Slot first, gauge second: nothing can stop the VM in between. Every write is a sign of life.
    pub fn tell(&mut self, host: &impl Host) {
        if self.slot.is_none() && self.gauges.iter().all(|gauge| gauge.open == 0) {
            return;
        }
        let Some((index, cas)) = self.own_slot(host).or_else(|| self.claim(host)) else { return };
        let shares = self.gauges.iter().map(|gauge| (gauge.name.as_str(), gauge.open));
        let bytes = encode(self.mark, shares);
        if host.shared_set(&keys::vm(index), &bytes, cas) == SharedWrite::Done {
            self.slot = Some(index);
            for gauge in &mut self.gauges {
                gauge.handle.change(host, gauge.open - gauge.told);
                gauge.told = gauge.open;
            }
        }
    }

    /// The slot of this VM and its compare-and-swap number, unless somebody took this VM for dead
    /// and its share out of the gauges.
    fn own_slot(&mut self, host: &impl Host) -> Option<(u32, u32)> {
        let index = self.slot?;
        self.page.clear();
        let cas = host.shared_get(&keys::vm(index), &mut self.page)?;
        if decode(&self.page).is_some_and(|(mark, _)| mark == self.mark) {
            return Some((index, cas));
        }
        self.slot = None;
        self.gauges.iter_mut().for_each(|gauge| gauge.told = 0);
        None
    }

    /// A slot that is nobody's.
    fn claim(&mut self, host: &impl Host) -> Option<(u32, u32)> {
        self.mark = host.now_ns() ^ self.seed;
        (0..MAX_SLOTS).find_map(|index| {
            self.page.clear();
            match host.shared_get(&keys::vm(index), &mut self.page) {
                None => Some((index, CREATE_ONLY)),
                Some(cas) if self.page.is_empty() => Some((index, cas)),
                Some(_) => None,
            }
        })
    }

    /// Takes the share of VMs that are gone out of the gauges. A slot is theirs if nobody has
    /// written it for several of this VM's own looks, so a process that was stopped as a whole
    /// takes nobody for dead.
    fn bury(&mut self, host: &impl Host, registry: &mut Registry) {
        for index in 0..MAX_SLOTS {
            self.page.clear();
            let Some(cas) = host.shared_get(&keys::vm(index), &mut self.page) else { return };
            if Some(index) == self.slot || self.page.is_empty() {
                continue;
            }
            let seen = self.seen.entry(index).or_default();
            if seen.cas != cas {
                *seen = Seen { cas, looks: 0 };
                continue;
            }
            seen.looks += 1;
            if seen.looks < DEAD_LOOKS {
                continue;
            }
            let Some((_, shares)) = decode(&self.page) else { continue };
            if host.shared_set(&keys::vm(index), &[], cas) == SharedWrite::Done {
                for (name, share) in shares {
                    registry.own(host, MetricKind::Gauge, &name, &[]).change(host, -share);
                }
            }
        }
    }
}

fn encode<'a>(mark: u64, shares: impl Iterator<Item = (&'a str, i64)>) -> Vec<u8> {
    let mut bytes = mark.to_le_bytes().to_vec();
    for (name, share) in shares {
        bytes.extend_from_slice(&share.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(name.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Vec<(String, i64)>)> {
    let (mark, mut rest) = bytes.split_first_chunk::<8>()?;
    let mut shares = Vec::new();
    while !rest.is_empty() {
        let (share, tail) = rest.split_first_chunk::<8>()?;
        let (size, tail) = tail.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let name = String::from_utf8(tail.get(..size)?.to_vec()).ok()?;
        shares.push((name, i64::from_le_bytes(*share)));
        rest = tail.get(size..)?;
    }
    Some((u64::from_le_bytes(*mark), shares))
}
