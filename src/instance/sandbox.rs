//! Which walls this host gives, found out by building them (D7), and the level they amount to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::sys;
use crate::instance::cgroup::Groups;
use crate::instance::pipes::Pipes;
use crate::instance::protocol::{LaunchOrder, Reach, Report, Role, Walls};
use crate::instance::tree::{self, Holdings, Tree};
use crate::instance::wire;

/// How long the probe may take; it takes a few milliseconds.
const PROBED_WITHIN: Duration = Duration::from_secs(5);

/// The level at which functions may have a network policy.
pub(crate) const NETWORKS_LEVEL: u8 = 5;

/// What was found out.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) walls: Walls,
    /// What Instances are counted in, where the host gives that.
    pub(crate) groups: Option<Arc<Groups>>,
    /// The level reached: 1 to 5 (security page).
    pub level: u8,
    /// Why there are no network namespaces, if there are none.
    pub(crate) no_networks: Option<String>,
    /// Why it is not higher, or what is missing at it; for people.
    pub notes: Vec<String>,
}

impl Sandbox {
    /// Which control groups there are, if any.
    pub fn groups_kind(&self) -> Option<&'static str> {
        self.groups.as_ref().map(|groups| groups.kind())
    }
}

/// Finds out, using at most what `level_max` allows; as that user where functions get one of their own.
pub(crate) fn probe(level_max: u8, uid: Option<u32>) -> Sandbox {
    let mut notes = Vec::new();
    let mut walls = Walls::default();
    let groups = if level_max < 4 { None } else { open_groups(&mut notes) };
    walls.groups = groups.as_ref().map_or(0, |groups| groups.count());
    if level_max >= 2 {
        walls.landlock_abi = sys::landlock_abi();
        walls.seccomp = sys::has_seccomp();
    }
    if level_max < 3 {
        notes.push(format!("isolation is held at level {level_max} by configuration"));
    } else {
        match build(Walls { namespaces: true, ..walls }, Reach::Host, uid, groups.as_ref()) {
            Ok(found) => walls = found,
            Err(why) => notes.push(format!("no namespaces: {why}")),
        }
    }
    let no_networks = probe_networks(walls, level_max, uid, groups.as_ref());
    if walls.namespaces && !walls.fresh_proc {
        notes.push("a fresh /proc cannot be mounted here, so functions see none".to_owned());
    }
    if level_max >= 2 && walls.landlock_abi == 0 {
        notes.push("this kernel has no Landlock".to_owned());
    }
    if level_max >= 2 && !walls.seccomp {
        notes.push("this kernel has no seccomp filters".to_owned());
    }
    Sandbox { walls, groups, level: level(walls, no_networks.is_none()), no_networks, notes }
}

/// Levels are cumulative: namespaces without Landlock are used, but are not level 3.
fn level(walls: Walls, networks: bool) -> u8 {
    match (walls.landlock_abi > 0 && walls.seccomp, walls.namespaces, walls.groups > 0) {
        (true, true, true) => 4 + u8::from(networks),
        (true, true, false) => 3,
        (true, false, _) => 2,
        (false, _, _) => 1,
    }
}

fn open_groups(notes: &mut Vec<String>) -> Option<Arc<Groups>> {
    match Groups::open() {
        Ok(groups) => Some(Arc::new(groups)),
        Err(why) => {
            notes.push(format!("no control groups: {why}"));
            None
        }
    }
}

/// Has a network namespace made, with all other walls; gives back why there is none.
fn probe_networks(
    walls: Walls,
    level_max: u8,
    uid: Option<u32>,
    groups: Option<&Arc<Groups>>,
) -> Option<String> {
    if level_max < NETWORKS_LEVEL {
        return Some(format!("isolation is held at level {level_max} by configuration"));
    }
    if !walls.namespaces || !walls.seccomp {
        // Without a filter there are sockets that no namespace holds, such as AF_VSOCK.
        return Some("it takes namespaces and a system-call filter".to_owned());
    }
    build(walls, Reach::Own, uid, groups).err()
}

/// Has these walls built, and says which stand.
fn build(
    walls: Walls,
    reach: Reach,
    uid: Option<u32>,
    groups: Option<&Arc<Groups>>,
) -> Result<Walls, String> {
    let refused = |cause: std::io::Error| cause.to_string();
    let order = LaunchOrder::without_code(Role::Probe, walls, reach, uid, PathBuf::new());
    let (_pipes, [out, err]) = Pipes::open_pair().map_err(refused)?;
    let group = groups.map(|groups| groups.take(order.memory_mb)).transpose().map_err(refused)?;
    let holdings = Holdings { group, ..Holdings::default() };
    let tree = Tree::start(&order, None, [out, err], holdings).map_err(|e| format!("{e:#}"))?;
    if !tree::wait_readable(&tree.control, PROBED_WITHIN) {
        return Err("the probe did not answer".to_owned());
    }
    let (bytes, _) = wire::receive(&tree.control).map_err(refused)?;
    let report: Report =
        serde_json::from_slice(&bytes).map_err(|_| "the probe ended without a word".to_owned())?;
    match report.kind.as_str() {
        "P" => serde_json::from_str(&report.text).map_err(|e| e.to_string()),
        _ => Err(report.text),
    }
}
