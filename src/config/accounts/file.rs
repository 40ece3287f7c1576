//! A local directory, laid out as a bucket is.

use std::path::PathBuf;

use ::config::{Map as Table, Value};

use super::{
    Account, Face, Kind, ROOT_FOLDER, STORES, Sources, Store, add, enabled, list, name, show_types,
    store_type,
};
use crate::config::section::Section;
use crate::config::{Result, Storage};

pub const KIND: Kind = Kind {
    section: "file",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "file",
    title: "files",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct FileAccount {
    pub directory: PathBuf,
    pub root_folder: String,
}

fn read(kayenta: &mut Section<'_>, _: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let account = FileAccount {
        directory: section.parsed("directory", |text| Ok(PathBuf::from(text)))?,
        root_folder: section.text_or("rootFolder", ROOT_FOLDER)?,
    };
    let supported_types = match section.each("supportedTypes", store_type)? {
        types if types.is_empty() => STORES.to_vec(),
        types => types,
    };
    show_types(section, &supported_types);
    // Where it is on the machine stays inside.
    let face = Face {
        root_folder: Some(account.root_folder.clone()),
        ..FACE
    };
    Ok(Account {
        store: Some(Store::File(account)),
        ..super::account(section, name, supported_types, face)?
    })
}

/// What the built-in account is called.
pub const BUILT_IN: &str = "local";

/// The built-in account, for who reads what it kept though others stand in its place now.
pub fn built_in(storage: &Storage) -> Account {
    Account {
        name: BUILT_IN.to_owned(),
        supported_types: STORES.to_vec(),
        locations: Vec::new(),
        recommended_locations: Vec::new(),
        source: None,
        store: Some(Store::File(FileAccount {
            directory: storage.directory.clone(),
            root_folder: ROOT_FOLDER.to_owned(),
        })),
        face: FACE,
    }
}

/// The account for what no other account stores.
pub fn local(kayenta: &mut Section<'_>, storage: &Storage) -> Result<Account> {
    let place = "storage.directory".to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let directory = storage.directory.to_string_lossy();
    let given = Table::from_iter([
        ("name".to_owned(), text(BUILT_IN)),
        ("directory".to_owned(), text(&directory)),
    ]);
    add(kayenta, KIND.section, &given, account)
}
