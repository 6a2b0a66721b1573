//! `[[routes]]`: which messages take which transport.

use crate::{
    Transport,
    source::{Section, domain_pattern, number, text},
};
use mail::Route;

/// A route of the settings, to one of these transports.
pub(crate) fn read(mut section: Section<'_, '_>, transports: &[Transport]) -> Option<Route> {
    // A transport in error is not in the list, and a route to it is not wrong.
    let complete = section.all_well();
    let route = read_options(&mut section)?;
    let exists = transports.iter().any(|known| known.name == route.transport);
    section.check("transport", exists || !complete, "must be the name of one of the [[transports]]");
    Some(route)
}

/// A route outside the settings, whose transport is not looked for.
pub(crate) fn read_unchecked(mut section: Section<'_, '_>) -> Option<Route> {
    read_options(&mut section)
}

fn read_options(section: &mut Section<'_, '_>) -> Option<Route> {
    let transport = section.required("transport", |value| text(value).map(str::to_owned));
    let from_domains = section.list("from_domains", 10_000, domain_pattern);
    let to_domains = section.list("to_domains", 10_000, domain_pattern);
    let minimum_attempts = section.optional("minimum_attempts", number(0..=50)).unwrap_or(0);
    Some(Route { transport: transport?, from_domains, to_domains, minimum_attempts })
}
