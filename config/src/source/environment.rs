//! Options set in the environment: `POSTRIDER__SECTION__KEY`.

use super::{Node, Table, Value};
use crate::{ConfigError, Origin};

/// What the names of the variables begin with.
pub(crate) const PREFIX: &str = "POSTRIDER__";

/// Lays the variables over `tree`; those of other names are left alone.
pub(crate) fn overlay_environment(
    tree: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<ConfigError> {
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // The environment has no order; errors should.
    variables.sort();
    let mut errors = Vec::new();
    for (name, value) in variables {
        if let Err(problem) = insert(tree, &name, value) {
            errors.push(ConfigError { origin: Origin::Variable(name), key: String::new(), problem });
        }
    }
    errors
}

fn insert(tree: &mut Table, name: &str, value: String) -> Result<(), String> {
    let option = name.strip_prefix(PREFIX).unwrap_or(name);
    let steps: Vec<_> = option.split("__").map(str::to_ascii_lowercase).collect();
    if option.len() > 200 || steps.iter().any(String::is_empty) {
        return Err("names no option; the variables are POSTRIDER__SECTION__KEY".to_owned());
    }
    if option.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(format!("is written in capitals: {PREFIX}{}", option.to_ascii_uppercase()));
    }
    let origin = Origin::Variable(name.to_owned());
    let mut table = tree;
    let (last, sections) = steps.split_last().ok_or("names no option")?;
    for section in sections {
        let node = table
            .entry(section.clone())
            .or_insert_with(|| Node { value: Value::Table(Table::new()), origin: origin.clone() });
        table = match &mut node.value {
            Value::Table(inner) => inner,
            Value::List(_) => return Err(list_problem(section)),
            _ => {
                return Err(format!(
                    "`{section}` is set to a value already, so that nothing in it can be set"
                ));
            }
        };
    }
    table.insert(last.clone(), Node { value: Value::Raw(value), origin });
    Ok(())
}

/// What to do about a variable that reaches into a list of sections.
pub(super) fn list_problem(key: &str) -> String {
    format!(
        "`{key}` is a list of sections; set it as a whole: {PREFIX}{}='[{{ ... }}]'",
        key.to_ascii_uppercase().replace('.', "__")
    )
}
