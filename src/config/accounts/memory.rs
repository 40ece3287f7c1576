//! The memory of the process, lost with it.

use super::{Account, Face, Kind, Sources, Store, enabled, list, name, store_types};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "memory",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "memory",
    title: "memory",
    ..Face::NONE
};

fn read(kayenta: &mut Section<'_>, _: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let supported_types = store_types(section, &name)?;
    Ok(Account {
        store: Some(Store::Memory),
        ..super::account(section, name, supported_types, FACE)?
    })
}
