//! What a [`DnsServer`](super::DnsServer) knows: records, and how it misbehaves about some of them.

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{Name, RData, Record, RecordType},
    serialize::txt::Parser,
};
use std::collections::{BTreeMap, BTreeSet};

/// What goes wrong with questions about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ServFail,
    Refused,
    /// There is no such name, whatever the zone says.
    NxDomain,
    /// There are no records, whatever the zone says.
    NoData,
    /// No answer.
    Silence,
    /// Over UDP, a truncated answer without records; over TCP the truth.
    Truncated,
    /// The right answer to another question: its id is wrong.
    WrongId,
    /// Bytes that are no DNS message.
    Garbage,
}

/// What to do with a question.
pub(super) enum Response {
    Message(Message),
    Bytes(Vec<u8>),
    Silence,
}

/// No zone cuts and no root: it knows everything that there is.
#[derive(Default)]
pub(super) struct Zone {
    names: BTreeMap<Name, BTreeMap<RecordType, Vec<Record>>>,
    faults: BTreeMap<Name, BTreeMap<RecordType, Fault>>,
    authentic: BTreeSet<Name>,
}

/// CNAMEs that are followed; a loop ends here, too.
const CHAIN_MAX: usize = 16;

/// A name as it is compared: absolute, in lower case.
pub(super) fn name(text: &str) -> Name {
    let mut name = Name::from_utf8(text).expect("a domain name").to_lowercase();
    name.set_fqdn(true);
    name
}

impl Zone {
    /// Adds records of a zone file, in place of those that were there with the same name and type.
    pub(super) fn put(&mut self, text: &str) {
        let lines: String = text.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        let parser = Parser::new(format!("$TTL 60\n{lines}"), None, Some(Name::root()));
        let (_, sets) = parser.parse().unwrap_or_else(|error| panic!("{error} in the zone\n{text}"));
        for (key, set) in sets {
            let records = set.records_without_rrsigs().cloned().collect();
            self.names.entry(key.name.into()).or_default().insert(key.record_type, records);
        }
    }

    pub(super) fn remove(&mut self, owner: &str) {
        self.names.remove(&name(owner));
    }

    pub(super) fn fault(&mut self, owner: &str, kind: RecordType, fault: Option<Fault>) {
        let faults = self.faults.entry(name(owner)).or_default();
        match fault {
            Some(fault) => faults.insert(kind, fault),
            None => faults.remove(&kind),
        };
    }

    pub(super) fn authenticate(&mut self, domain: &str) {
        self.authentic.insert(name(domain));
    }

    /// Answers a question. Over TCP, answers can be large.
    pub(super) fn answer(&self, request: &Message, tcp: bool) -> Response {
        let mut message = Message::response(request.metadata.id, request.metadata.op_code);
        message.metadata.recursion_desired = request.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        let [question] = request.queries.as_slice() else {
            message.metadata.response_code = ResponseCode::FormErr;
            return Response::Message(message);
        };
        message.add_query(question.clone());
        message.edns.clone_from(&request.edns);
        let (asked, kind) = (question.name().to_lowercase(), question.query_type());
        let fault = self.faults.get(&asked).and_then(|faults| faults.get(&kind));
        match fault {
            Some(Fault::Silence) => return Response::Silence,
            Some(Fault::Garbage) => return Response::Bytes(b"\x00nothing that anybody asked for".to_vec()),
            Some(Fault::ServFail) => message.metadata.response_code = ResponseCode::ServFail,
            Some(Fault::Refused) => message.metadata.response_code = ResponseCode::Refused,
            Some(Fault::NxDomain) => self.absent(&mut message, ResponseCode::NXDomain),
            Some(Fault::NoData) => self.absent(&mut message, ResponseCode::NoError),
            Some(Fault::Truncated) if !tcp => message.metadata.truncation = true,
            Some(Fault::WrongId) => {
                message.metadata.id = !message.metadata.id;
                self.look_up(&mut message, asked, kind);
            }
            Some(Fault::Truncated) | None => self.look_up(&mut message, asked, kind),
        }
        let wants_authentic = request.metadata.authentic_data
            || request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        message.metadata.authentic_data &= wants_authentic;
        debug_assert_eq!(message.metadata.message_type, MessageType::Response);
        Response::Message(message)
    }

    fn look_up(&self, message: &mut Message, asked: Name, kind: RecordType) {
        let mut owner = asked;
        message.metadata.authentic_data = true;
        for _ in 0..CHAIN_MAX {
            message.metadata.authentic_data &= self.authentic.iter().any(|zone| zone.zone_of(&owner));
            let Some(sets) = self.sets(&owner) else {
                return self.absent(message, ResponseCode::NXDomain);
            };
            let found = sets.get(&kind).or_else(|| sets.get(&RecordType::CNAME));
            let Some(records) = found else {
                return self.absent(message, ResponseCode::NoError);
            };
            message.add_answers(records.iter().map(|record| {
                // What a wildcard gave has the name that was asked for.
                Record::from_rdata(owner.clone(), record.ttl, record.data.clone())
            }));
            match records.first().map(|record| &record.data) {
                Some(RData::CNAME(target)) if kind != RecordType::CNAME => owner = target.to_lowercase(),
                _ => return,
            }
        }
    }

    /// The records of a name, perhaps those of a wildcard; none: it does not exist (RFC 4592).
    fn sets(&self, owner: &Name) -> Option<&BTreeMap<RecordType, Vec<Record>>> {
        static NOTHING: BTreeMap<RecordType, Vec<Record>> = BTreeMap::new();
        if self.exists(owner) {
            return Some(self.names.get(owner).unwrap_or(&NOTHING));
        }
        let mut encloser = owner.base_name();
        while !self.exists(&encloser) && !encloser.is_root() {
            encloser = encloser.base_name();
        }
        self.names.get(&encloser.prepend_label("*").expect("a short name"))
    }

    /// Whether the name, or one below it, has records: those below follow in the order of names.
    fn exists(&self, owner: &Name) -> bool {
        self.names.range(owner..).next().is_some_and(|(next, _)| owner.zone_of(next))
    }

    /// Says that there is nothing, for how long by an SOA (RFC 2308).
    fn absent(&self, message: &mut Message, code: ResponseCode) {
        message.metadata.response_code = code;
        let text = "ns.test. hostmaster.test. 1 3600 600 86400 60";
        let soa = RData::try_from_str(RecordType::SOA, text).expect("a good record");
        message.add_authority(Record::from_rdata(Name::root(), 60, soa));
    }
}
