//! Where the loop keeps its connections: a slot each, found by the key that epoll carries.
//!
//! A key is a slot and a generation, so that an event of a connection that has just closed cannot reach the one that
//! took its slot.

use super::connection::Connection;

/// All connections, here or away.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Free,
    /// With a worker, or in the loop's hands.
    Away,
    Here(Box<Connection>),
}

impl Table {
    /// How many connections there are, here or away.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A key for a connection that is away until it is put back.
    pub(super) fn reserve(&mut self) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, place: Place::Free });
            u32::try_from(self.slots.len() - 1).expect("connections are limited far below this")
        });
        let slot = &mut self.slots[index as usize];
        slot.place = Place::Away;
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    /// The connection of that key if it is here; it is away afterwards.
    pub(super) fn take(&mut self, key: u64) -> Option<Box<Connection>> {
        let slot = self.slot(key)?;
        match std::mem::replace(&mut slot.place, Place::Away) {
            Place::Here(connection) => Some(connection),
            other => {
                slot.place = other;
                None
            }
        }
    }

    /// Puts a connection where its key says.
    pub(super) fn put(&mut self, connection: Box<Connection>) {
        if let Some(slot) = self.slot(connection.key) {
            slot.place = Place::Here(connection);
        }
    }

    /// Forgets a connection that is away and does not come back.
    pub(super) fn release(&mut self, key: u64) {
        let Some(slot) = self.slot(key) else { return };
        if matches!(slot.place, Place::Away) {
            slot.place = Place::Free;
            // The topmost generation is left out: with it the key of the last slot would be that of the alarm.
            slot.generation = (slot.generation + 1) % (u32::MAX >> 1);
            self.free.push(index(key));
        }
    }

    /// The connections that are here.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| match &slot.place {
            Place::Here(connection) => Some(connection.as_ref()),
            Place::Free | Place::Away => None,
        })
    }

    fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(index(key) as usize)?;
        (u64::from(slot.generation) == key >> 32).then_some(slot)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of a key is its slot")]
fn index(key: u64) -> u32 {
    key as u32
}
