//! Asking DNS what is there.

use actors::dns::name_servers;
use config::Dns;
use hickory_resolver::{
    TokioResolver,
    config::{ResolveHosts, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// For one answer of one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// For a lookup as a whole.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Values of one answer that are looked at.
const VALUES_MAX: usize = 100;

/// The way to DNS.
pub struct Lookups(TokioResolver);

impl Lookups {
    /// By the name servers of the settings, or those of the system.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(settings: &Dns) -> anyhow::Result<Lookups> {
        let mut options = ResolverOpts::default();
        options.timeout = SERVER_TIMEOUT;
        options.use_hosts_file = ResolveHosts::Never;
        // What was not there may have been added in the meantime.
        options.cache_size = 0;
        let builder =
            TokioResolver::builder_with_config(name_servers(settings)?, TokioRuntimeProvider::default());
        Ok(Lookups(builder.with_options(options).build()?))
    }

    /// The values of that kind at `name`, as in a zone file but for the strings of TXT, which are joined without quotes,
    /// and dots at the end of names. None is none; an error is a lookup that failed, so that it is not known.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn values(&self, name: &str, kind: &str) -> Result<Vec<String>, String> {
        let kind: RecordType = kind.parse().map_err(|_| format!("no type of record: {kind}"))?;
        let name = Name::from_ascii(format!("{name}.")).map_err(|error| error.to_string())?;
        let found = timeout(LOOKUP_TIMEOUT, self.0.lookup(name, kind)).await;
        match found.map_err(|_| "no answer in time".to_owned())? {
            Ok(found) => {
                let values = found.answers().iter().filter_map(|record| shown(&record.data));
                Ok(values.take(VALUES_MAX).collect())
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Ok(Vec::new()),
                code => Err(format!("the name servers answer \"{code}\"")),
            },
            Err(error) => Err(error.to_string()),
        }
    }

    /// The addresses of a host; those of a kind that cannot be looked up are left out.
    pub async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let (v4, v6) = futures_util::join!(self.values(host, "A"), self.values(host, "AAAA"));
        let found = [v4, v6].into_iter().flat_map(Result::unwrap_or_default);
        found.filter_map(|address| address.parse().ok()).collect()
    }
}

/// `None` for what comes along, such as a CNAME on the way.
fn shown(data: &RData) -> Option<String> {
    let bare = |name: &Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    match data {
        RData::A(address) => Some(address.0.to_string()),
        RData::AAAA(address) => Some(address.0.to_string()),
        RData::MX(mx) => Some(format!("{} {}", mx.preference, bare(&mx.exchange))),
        RData::PTR(ptr) => Some(bare(&ptr.0)),
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        RData::TLSA(tlsa) => Some(tlsa.to_string()),
        _ => None,
    }
}
