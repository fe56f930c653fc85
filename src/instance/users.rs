//! User ids for functions, one for each, where the server is root (D8); and how a namespace is told whom its ids stand for.
//!
//! In a container whose users are mapped, root may only become those that the map holds: a server that took others would
//! start nothing.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

/// User ids of one server's functions. Two servers on a host have different blocks, or a function of one, where no pid
/// namespace holds it, could signal those of the other.
const IDS_PER_SERVER: u32 = 65_536;

/// Blocks of ids to choose from; the last ends below 2^29, far from the ids systems give away from the top.
const SERVERS: u64 = 4096;

/// The first block begins above what containers' first ranges usually use.
const FIRST_UID: u32 = 1 << 28;

/// A range of ids that functions get; also of their groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Users {
    first: u32,
    count: u32,
}

impl Users {
    /// This server's range; none where it is not root, or is root of a namespace with no other users.
    pub(crate) fn find(server: u64) -> Option<Users> {
        let map = |name| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        rustix::process::geteuid().is_root().then(|| Users::of(&map("uid_map"), &map("gid_map"), server))?
    }

    /// The server's own block where both maps (user_namespaces(7)) hold it, else the upper half of the users' widest part.
    fn of(uid_map: &str, gid_map: &str, server: u64) -> Option<Users> {
        let (uids, gids) = (parts(uid_map), parts(gid_map));
        let block = u32::try_from(server % SERVERS).expect("it is below the number of blocks");
        let own = Users { first: FIRST_UID + block * IDS_PER_SERVER, count: IDS_PER_SERVER };
        let widest = uids.iter().max_by_key(|part| part.count)?;
        let half = widest.count / 2;
        let upper = Users { first: widest.first + half, count: (widest.count - half).min(IDS_PER_SERVER) };
        [own, upper].into_iter().find(|users| {
            users.first > 0 && [&uids, &gids].iter().all(|map| map.iter().any(|part| part.holds(*users)))
        })
    }

    /// That function's user.
    pub(crate) fn of_function(self, function_id: i64) -> u32 {
        let offset = function_id.rem_euclid(i64::from(self.count));
        self.first + u32::try_from(offset).expect("it is below the range")
    }

    fn holds(self, other: Users) -> bool {
        let end = |users: Users| u64::from(users.first) + u64::from(users.count);
        other.first >= self.first && end(other) <= end(self)
    }
}

/// The ids that a map knows inside: first and count of each line.
fn parts(map: &str) -> Vec<Users> {
    let part = |line: &str| {
        let mut numbers = line.split_ascii_whitespace();
        let first = numbers.next()?.parse().ok()?;
        Some(Users { first, count: numbers.nth(1)?.parse().ok()? })
    };
    map.lines().filter_map(part).collect()
}

/// This process's folder in /proc, as a descriptor that outlives a change of the root.
pub(crate) fn open_self() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc/self", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Writes the one-line maps an unprivileged process may write for itself: pairs of the id inside and outside.
pub(crate) fn map_ids(own: &OwnedFd, uid: (u32, u32), gid: (u32, u32)) -> io::Result<()> {
    let write = |name: &str, text: String| -> io::Result<()> {
        let file = rustix::fs::openat(own, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(file, text.as_bytes())?;
        Ok(())
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{} {} 1", uid.0, uid.1))?;
    write("gid_map", format!("{} {} 1", gid.0, gid.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: &str) -> Option<Users> {
        Users::of(map, map, 7)
    }

    #[test]
    fn the_host_gives_each_server_a_block() {
        let users = of("         0          0 4294967295\n").unwrap();
        assert_eq!(users, Users { first: FIRST_UID + 7 * IDS_PER_SERVER, count: IDS_PER_SERVER });
        assert_eq!(users.of_function(-1), users.first + IDS_PER_SERVER - 1);
    }

    #[test]
    fn a_container_of_few_users_gives_some_of_them() {
        let rootless = of("0 1000 1\n1 100000 65536\n").unwrap();
        assert_eq!(rootless, Users { first: 32_769, count: 32_768 });
        assert_eq!(of("0 100000 65536"), Some(Users { first: 32_768, count: 32_768 }));
        assert_eq!(rootless.of_function(32_768), rootless.first);
    }

    #[test]
    fn root_alone_gives_none() {
        assert_eq!(of("0 1000 1"), None);
        assert_eq!(of(""), None);
        assert_eq!(Users::of("0 0 4294967295", "0 1000 1", 7), None);
    }
}
