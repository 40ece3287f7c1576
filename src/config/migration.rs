//! `kayenta.data-migration`: what one account has and another lacks is brought there, as long as serin runs.

use super::accounts::sql::SQL;
use super::section::Section;
use super::{Error, Result};

/// The class behind accounts of Kayenta whose documents are in SQL, whatever they are called.
const SQL_CLASS: &str = "SqlStorageService";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// An account, or Kayenta's tables.
    pub from: String,
    pub to: String,
}

pub fn read(section: &mut Section<'_>) -> Result<Option<Migration>> {
    let enabled = section.flag_or("enabled", false)?;
    let mut is_sql = |key| {
        let class = section.text(key)?.unwrap_or_default();
        Ok::<_, Error>(class.rsplit('.').next() == Some(SQL_CLASS))
    };
    let from_sql = is_sql("sourceStorageServiceClassName")?;
    let to_sql = is_sql("targetStorageServiceClassName")?;
    let from = section.text("sourceAccountName")?;
    let to = section.text("targetAccountName")?;
    section.take_rest();
    if !enabled {
        return Ok(None);
    }
    let missing = |key| Error(format!("{} must be given", section.path_of(key)));
    if to_sql {
        let stay = from.unwrap_or_else(|| "its source".to_owned());
        section.context().warn(format!(
            "{} has SQL as its target, where serin keeps nothing: the documents stay in '{stay}', and nothing is \
             copied",
            section.path_of("targetStorageServiceClassName")
        ));
        return Ok(None);
    }
    let from = if from_sql { Some(SQL.to_owned()) } else { from };
    Ok(Some(Migration {
        from: from.ok_or_else(|| missing("sourceAccountName"))?,
        to: to.ok_or_else(|| missing("targetAccountName"))?,
    }))
}
