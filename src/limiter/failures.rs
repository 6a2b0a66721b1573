//! The failed logins of the last day, and what follows from them: a pure structure over time.
//!
//! The failures of a wide network stand in one list, in order. Its limit for a day bounds the list, so that counting
//! the failures of any network inside, in a window that slides, is a short walk; and whoever has a whole wide network
//! to try from makes no more than one list of it.
//!
//! Lists are kept in two generations. When the young one has as many as it may, or is a day old, it becomes the old
//! one, which is forgotten. A list with a new failure is young again. To make the server forget a failure before its
//! time, one has to fail from as many other wide networks: someone with so many is not held up by these limits.

use mail::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// So many failures are allowed.
struct Limit {
    width: Width,
    within: Duration,
    failures: usize,
    /// Whether a success of the client takes its own failures out of the count. It does not for the wider networks over
    /// a day: whoever has an account of his own and logs in to it after every few guesses at others gets no more.
    forgives: bool,
}

/// How much of an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// IPv4 /32, IPv6 /64: a client.
    Narrow,
    /// IPv4 /26, IPv6 /48.
    Middle,
    /// IPv4 /21, IPv6 /32.
    Wide,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

const OF_A_MINUTE: &[Limit] = &[
    Limit { width: Width::Narrow, within: MINUTE, failures: 10, forgives: true },
    Limit { width: Width::Middle, within: MINUTE, failures: 30, forgives: true },
    Limit { width: Width::Wide, within: MINUTE, failures: 90, forgives: true },
];

const OF_A_DAY: &[Limit] = &[
    Limit { width: Width::Narrow, within: DAY, failures: 50, forgives: true },
    Limit { width: Width::Middle, within: DAY, failures: 150, forgives: false },
    Limit { width: Width::Wide, within: DAY, failures: 450, forgives: false },
];

/// Wide networks in one generation: a few kilobytes each when full, some 60 MiB for both generations at the very most.
const NETWORKS_MAX: usize = 4_096;

/// From where a client tries, as the limits see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    wide: Wide,
    /// The bits between the wide and the narrow prefix.
    host: u32,
}

/// A wide network: the bits of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wide {
    V4(u32),
    V6(u32),
}

impl Client {
    /// An IPv4 address mapped to IPv6 is the IPv4 address.
    pub(super) fn of(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits();
                Client { wide: Wide::V4(bits >> 11), host: bits & 0x7ff }
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments().map(u32::from);
                Client { wide: Wide::V6(a << 16 | b), host: c << 16 | d }
            }
        }
    }

    /// Whether another client of the wide network counts with this one.
    fn counts_with(self, host: u32, width: Width) -> bool {
        match (width, self.wide) {
            (Width::Narrow, _) => self.host == host,
            (Width::Middle, Wide::V4(_)) => self.host >> 6 == host >> 6,
            (Width::Middle, Wide::V6(_)) => self.host >> 16 == host >> 16,
            (Width::Wide, _) => true,
        }
    }
}

/// All clients that count together with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    client: Client,
    width: Width,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Client { wide, host } = self.client;
        match wide {
            Wide::V4(bits) => {
                let length = match self.width {
                    Width::Narrow => 32,
                    Width::Middle => 26,
                    Width::Wide => 21,
                };
                let address = (bits << 11 | host) & (u32::MAX << (32 - length));
                write!(f, "{}/{length}", Ipv4Addr::from_bits(address))
            }
            Wide::V6(bits) => {
                let length = match self.width {
                    Width::Narrow => 64,
                    Width::Middle => 48,
                    Width::Wide => 32,
                };
                let address =
                    (u128::from(bits) << 96 | u128::from(host) << 64) & (u128::MAX << (128 - length));
                write!(f, "{}/{length}", Ipv6Addr::from_bits(address))
            }
        }
    }
}

/// What a client that wants to try is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may.
    Go,
    /// It may or may not, depending on those under way.
    Wait,
    /// It may not before then.
    Refused { until: Timestamp },
}

/// All that failed or is under way.
pub(super) struct Failures {
    limits: Vec<&'static Limit>,
    young: HashMap<Wide, Neighbours>,
    old: HashMap<Wide, Neighbours>,
    /// When the young generation began.
    began: Timestamp,
}

impl Failures {
    pub(super) fn new() -> Failures {
        Failures::limited(OF_A_MINUTE.iter().chain(OF_A_DAY).collect())
    }

    /// Without the limits of a day.
    pub(super) fn of_a_minute() -> Failures {
        Failures::limited(OF_A_MINUTE.iter().collect())
    }

    fn limited(limits: Vec<&'static Limit>) -> Failures {
        Failures { limits, young: HashMap::new(), old: HashMap::new(), began: Timestamp::default() }
    }

    /// When the client may try again, when it may not now.
    pub(super) fn refused(&self, client: Client, now: Timestamp) -> Option<Timestamp> {
        self.full(client, now).map(|(_, until)| until)
    }

    /// The network around the client that failed too often, and until when it is refused; of several, the one that is
    /// refused for longest.
    pub(super) fn full(&self, client: Client, now: Timestamp) -> Option<(Network, Timestamp)> {
        let neighbours = self.young.get(&client.wide).or_else(|| self.old.get(&client.wide))?;
        let full = self.limits.iter().filter_map(|limit| {
            Some((Network { client, width: limit.width }, neighbours.full_until(client, limit, now)?))
        });
        full.max_by_key(|(_, until)| *until)
    }

    /// Notes a try as under way, if the client may.
    pub(super) fn begin(&mut self, client: Client, now: Timestamp) -> Verdict {
        if let Some(until) = self.refused(client, now) {
            return Verdict::Refused { until };
        }
        self.make_room(client.wide, now);
        let neighbours = self.young.entry(client.wide).or_default();
        if self.limits.iter().any(|limit| neighbours.may_become_full(client, limit, now)) {
            return Verdict::Wait;
        }
        neighbours.under_way.push(client.host);
        Verdict::Go
    }

    /// A try that was under way failed.
    pub(super) fn fail(&mut self, client: Client, now: Timestamp) {
        self.make_room(client.wide, now);
        let kept = self.limits.iter().map(|limit| limit.within).max().unwrap_or_default();
        let neighbours = self.young.entry(client.wide).or_default();
        neighbours.give_back(client);
        // Where the clock was set back, what lies ahead of it would count for much too long.
        neighbours.failed.retain(|failure| failure.at <= now && now.since(failure.at) < kept);
        neighbours.failed.push_back(Failure { at: now, host: client.host, is_forgiven: false });
    }

    /// A try that was under way is no more, and had no outcome.
    pub(super) fn give_back(&mut self, client: Client) {
        self.on_neighbours(client, |neighbours| neighbours.give_back(client));
    }

    /// The client logged in.
    pub(super) fn forgive(&mut self, client: Client) {
        let remembers = self.limits.iter().any(|limit| !limit.forgives);
        self.on_neighbours(client, |neighbours| {
            if remembers {
                let own = neighbours.failed.iter_mut().filter(|failure| failure.host == client.host);
                own.for_each(|failure| failure.is_forgiven = true);
            } else {
                neighbours.failed.retain(|failure| failure.host != client.host);
            }
        });
    }

    /// Leaves nothing of neighbours of whom nothing is known any more.
    fn on_neighbours(&mut self, client: Client, act: impl FnOnce(&mut Neighbours)) {
        let generation = if self.young.contains_key(&client.wide) { &mut self.young } else { &mut self.old };
        let Some(neighbours) = generation.get_mut(&client.wide) else { return };
        act(neighbours);
        if neighbours.failed.is_empty() && neighbours.under_way.is_empty() {
            generation.remove(&client.wide);
        }
    }

    /// Makes the list of a wide network young, where there is one, and sees to it that the young ones are not too many.
    fn make_room(&mut self, wide: Wide, now: Timestamp) {
        if now.since(self.began) >= DAY {
            self.next_generation(now);
        }
        if self.young.contains_key(&wide) {
            return;
        }
        let moved = self.old.remove(&wide);
        if self.young.len() >= NETWORKS_MAX {
            self.next_generation(now);
        }
        self.young.extend(moved.map(|neighbours| (wide, neighbours)));
    }

    fn next_generation(&mut self, now: Timestamp) {
        self.old = std::mem::take(&mut self.young);
        self.began = now;
    }
}

/// What is known of a wide network.
#[derive(Default)]
struct Neighbours {
    /// The latest last.
    failed: VecDeque<Failure>,
    /// Who has a try under way, as often as there are.
    under_way: Vec<u32>,
}

struct Failure {
    at: Timestamp,
    host: u32,
    is_forgiven: bool,
}

impl Neighbours {
    /// When there are fewer failures than the limit again, where there are as many.
    fn full_until(&self, client: Client, limit: &Limit, now: Timestamp) -> Option<Timestamp> {
        let leaves_first = self.counted(client, limit, now).nth(limit.failures - 1)?;
        Some(leaves_first.at.after(limit.within))
    }

    /// Whether there would be as many failures as the limit if all failed that is under way.
    fn may_become_full(&self, client: Client, limit: &Limit, now: Timestamp) -> bool {
        let under_way = self.under_way.iter().filter(|host| client.counts_with(**host, limit.width)).count();
        self.counted(client, limit, now).count() + under_way >= limit.failures
    }

    /// The failures that count for a limit, the latest first.
    fn counted(&self, client: Client, limit: &Limit, now: Timestamp) -> impl Iterator<Item = &Failure> {
        let counts = move |failure: &&Failure| {
            client.counts_with(failure.host, limit.width)
                && failure.at <= now
                && now.since(failure.at) < limit.within
                && !(failure.is_forgiven && limit.forgives)
        };
        self.failed.iter().rev().filter(counts)
    }

    fn give_back(&mut self, client: Client) {
        if let Some(at) = self.under_way.iter().position(|host| *host == client.host) {
            self.under_way.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(1_795_341_600_000 + secs * 1000)
    }

    fn client(address: &str) -> Client {
        Client::of(address.parse().unwrap())
    }

    impl Failures {
        /// One wrong try; whether it was let through.
        fn try_wrong(&mut self, client: Client, now: Timestamp) -> bool {
            let goes = self.begin(client, now) == Verdict::Go;
            if goes {
                self.fail(client, now);
            }
            goes
        }

        fn try_right(&mut self, client: Client, now: Timestamp) -> bool {
            let goes = self.begin(client, now) == Verdict::Go;
            if goes {
                self.give_back(client);
                self.forgive(client);
            }
            goes
        }

        fn lists(&self) -> usize {
            self.young.len() + self.old.len()
        }
    }

    #[test]
    fn addresses_count_together_up_to_the_length_of_a_prefix() {
        for (one, other, together) in [
            ("192.0.2.1", "192.0.2.1", &[Width::Narrow, Width::Middle, Width::Wide][..]),
            ("192.0.2.1", "::ffff:192.0.2.1", &[Width::Narrow, Width::Middle, Width::Wide]),
            ("192.0.2.0", "192.0.2.63", &[Width::Middle, Width::Wide]),
            ("192.0.2.0", "192.0.2.64", &[Width::Wide]),
            ("192.0.0.0", "192.0.7.255", &[Width::Wide]),
            ("192.0.0.0", "192.0.8.0", &[]),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", &[Width::Narrow, Width::Middle, Width::Wide]),
            ("2001:db8::1", "2001:db8:0:1::1", &[Width::Middle, Width::Wide]),
            ("2001:db8::1", "2001:db8:1::1", &[Width::Wide]),
            ("2001:db8::1", "2001:db9::1", &[]),
            ("0.0.0.0", "::", &[]),
        ] {
            let (one, other) = (client(one), client(other));
            for width in [Width::Narrow, Width::Middle, Width::Wide] {
                let counted = one.wide == other.wide && one.counts_with(other.host, width);
                assert_eq!(counted, together.contains(&width), "{one:?} {other:?} {width:?}");
            }
        }
    }

    #[test]
    fn the_network_that_failed_too_often_is_named() {
        for (clients, named) in [
            (&["192.0.14.77"; 10][..], "192.0.14.77/32"),
            (&["192.0.14.77", "192.0.14.78", "192.0.14.79", "192.0.14.65"].repeat(8), "192.0.14.64/26"),
            (&["2001:db8:1:2::3", "2001:db8:1:2::4"].repeat(5), "2001:db8:1:2::/64"),
            (
                &["2001:db8:1:2::3", "2001:db8:1:3::3", "2001:db8:1:4::3", "2001:db8:1:5::3"].repeat(8),
                "2001:db8:1::/48",
            ),
        ] {
            let mut failures = Failures::new();
            let mut clients = clients.iter().map(|address| client(address));
            let full = clients.find_map(|client| {
                failures.fail(client, at(0));
                failures.full(client, at(0))
            });
            assert_eq!(full.map(|(network, _)| network.to_string()).as_deref(), Some(named));
        }
        for (width, named) in [(Width::Narrow, "192.0.14.77/32"), (Width::Wide, "192.0.8.0/21")] {
            assert_eq!(Network { client: client("192.0.14.77"), width }.to_string(), named);
        }
        let network = Network { client: client("2001:db8:1:2::3"), width: Width::Wide };
        assert_eq!(network.to_string(), "2001:db8::/32");
    }

    #[test]
    fn each_width_has_its_limits_for_a_minute_and_a_day() {
        let v4 = |number: u32| Client::of(Ipv4Addr::from_bits(0xc000_0000 + number).into());
        let v6 = |number: u128| Client::of(Ipv6Addr::from_bits((0x2001_0db8 << 96) + number).into());
        let in_64 = |number: u32| v6(number.into());
        let in_48 = |number: u32| v6(u128::from(number % 0x1_0000) << 64);
        // Each time another /48.
        let in_32 = |number: u32| v6(u128::from(number % 0x1_0000) << 80);
        let cases: [(_, &dyn Fn(u32) -> Client, _, _); 6] = [
            ("one address", &|_| v4(1), 10, 50),
            ("a /26", &|number| v4(number % 64), 30, 150),
            ("a /21", &|number| v4(number % 2048), 90, 450),
            ("a /64", &in_64, 10, 50),
            ("a /48", &in_48, 30, 150),
            ("a /32", &in_32, 90, 450),
        ];
        for (what, client, minute, day) in cases {
            // A step that takes the tries through all of the network.
            let mut numbers = (0..).map(|number: u32| number.wrapping_mul(67));
            let mut failures = Failures::new();
            let mut through = |now, tries: usize| {
                numbers.by_ref().take(tries).filter(|n| failures.try_wrong(client(*n), now)).count()
            };
            assert_eq!(through(at(0), 500), minute, "{what}");
            assert_eq!(through(at(59), 500), 0, "{what}");
            let rest: usize = (1..60).map(|number| through(at(60 * number), 100)).sum();
            assert_eq!(minute + rest, day, "{what}");
            assert_eq!(through(at(86_399), 500), 0, "{what}");
            assert_eq!(through(at(86_400), 500), minute, "{what}");
        }
    }

    #[test]
    fn a_success_takes_the_clients_own_failures_out_of_what_forgives() {
        let mut failures = Failures::new();
        let (own, neighbour) = (client("192.0.2.1"), client("192.0.2.2"));
        for _ in 0..10 {
            assert!(failures.try_wrong(neighbour, at(0)));
        }
        // 150 a day in the /26 are the end for who logs in to an account of his own all the time.
        let guesses = (0..40).map(|round| {
            let guesses = (0..9).filter(|_| failures.try_wrong(own, at(round))).count();
            failures.try_right(own, at(round));
            guesses
        });
        assert_eq!(guesses.sum::<usize>(), 140);
        assert_eq!(failures.refused(neighbour, at(40)), Some(at(86_400)), "the count of the day is full");
    }

    #[test]
    fn those_who_log_in_and_never_fail_leave_nothing_behind() {
        let mut failures = Failures::new();
        for number in 0..10_000 {
            assert!(failures.try_right(Client::of(Ipv4Addr::from_bits(number << 11).into()), at(0)));
        }
        assert_eq!(failures.lists(), 0);
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_addresses() {
        let mut failures = Failures::new();
        // One wide network, all of whose clients fail.
        for number in 0..10_000_u128 {
            failures.try_wrong(Client::of(Ipv6Addr::from_bits(number << 82).into()), at(0));
        }
        assert_eq!(failures.lists(), 1);
        assert_eq!(failures.young.values().map(|list| list.failed.len()).sum::<usize>(), 90);

        let guilty = client("2001:db8::1");
        while failures.try_wrong(guilty, at(0)) {}
        let others = |from: u32| (from..).map(|number| Client::of(Ipv4Addr::from_bits(number << 11).into()));
        for client in others(0).take(NETWORKS_MAX - 1) {
            failures.try_wrong(client, at(1));
        }
        assert!(failures.refused(guilty, at(1)).is_some(), "so many others do not make it forgotten");
        for client in others(10_000).take(3 * NETWORKS_MAX) {
            failures.try_wrong(client, at(2));
            assert!(failures.lists() <= 2 * NETWORKS_MAX);
        }
    }

    #[test]
    fn what_is_a_day_old_is_forgotten() {
        let mut failures = Failures::new();
        failures.try_wrong(client("192.0.2.1"), at(0));
        for day in 1..=3 {
            failures.try_wrong(client("2001:db8::1"), at(day * 86_400));
        }
        assert_eq!(failures.lists(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody_for_longer() {
        let mut failures = Failures::new();
        let client = client("192.0.2.1");
        while failures.try_wrong(client, at(1_000_000)) {}
        assert!(failures.try_wrong(client, at(0)));
        assert_eq!(failures.refused(client, at(1)), None);
    }

    #[test]
    fn a_try_whose_list_was_forgotten_meanwhile_still_counts() {
        let mut failures = Failures::new();
        let client = client("192.0.2.1");
        assert_eq!(failures.begin(client, at(0)), Verdict::Go);
        failures.next_generation(at(0));
        failures.next_generation(at(0));
        failures.give_back(client);
        failures.fail(client, at(0));
        assert_eq!(failures.young[&client.wide].failed.len(), 1);
    }

    /// The same, said plainly.
    #[derive(Default)]
    struct Model(Vec<(i64, IpAddr, bool)>);

    impl Model {
        /// The earliest second, from `now` on, at which no limit is reached.
        fn allowed_at(&self, address: IpAddr, now: i64) -> i64 {
            let expiries = self.0.iter().flat_map(|(at, ..)| [at + 60, at + 86_400]);
            let mut candidates: Vec<_> = expiries.filter(|time| *time > now).chain([now]).collect();
            candidates.sort_unstable();
            candidates.into_iter().find(|time| self.allows(address, *time)).expect("everything expires")
        }

        fn allows(&self, address: IpAddr, now: i64) -> bool {
            let prefixes = if address.is_ipv4() { [32, 26, 21] } else { [64, 48, 32] };
            let limits = prefixes.into_iter().zip([(10, 50), (30, 150), (90, 450)]);
            limits.enumerate().all(|(width, (prefix, (minute, day)))| {
                let count = |length: i64, even_forgiven: bool| {
                    let counted = self.0.iter().filter(|(at, other, forgiven)| {
                        now - at < length
                            && same_network(*other, address, prefix)
                            && (!forgiven || even_forgiven)
                    });
                    counted.count()
                };
                count(60, false) < minute && count(86_400, width > 0) < day
            })
        }
    }

    fn same_network(one: IpAddr, other: IpAddr, prefix: u32) -> bool {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()) >> (32 - prefix) == 0,
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()) >> (128 - prefix) == 0,
            _ => false,
        }
    }

    /// Few addresses, of which many share a network.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        let bit = || prop::sample::select(vec![0u8, 1]);
        prop_oneof![
            (bit(), bit(), bit()).prop_map(|(a, b, c)| IpAddr::from([192, 0, 8 * a + b, 64 * c + b])),
            (bit(), bit(), bit()).prop_map(|(a, b, c)| {
                IpAddr::from([0x2001, u16::from(a), u16::from(b), u16::from(c), 0, 0, 0, u16::from(a + b)])
            }),
        ]
    }

    proptest! {
        #[test]
        fn it_decides_as_a_plain_list_of_failures_would(
            steps in prop::collection::vec((addresses(), prop::sample::select(vec![0i64, 0, 1, 7, 61, 4000, 90_000]), 0..12u8), 1..80)
        ) {
            let (mut failures, mut model, mut now) = (Failures::new(), Model::default(), 0);
            for (address, pause, kind) in steps {
                now += pause;
                let client = Client::of(address);
                // Mostly bursts of wrong tries, so that limits are reached.
                for _ in 0..if kind == 0 { 1 } else { kind } {
                    let expected = model.allowed_at(address, now);
                    let until = failures.refused(client, at(now)).map_or(now, |until| (until.as_millis() - at(0).as_millis()) / 1000);
                    prop_assert_eq!(until, expected);
                    let goes = if kind == 0 { failures.try_right(client, at(now)) } else { failures.try_wrong(client, at(now)) };
                    prop_assert_eq!(goes, expected == now);
                    if !goes {
                        break;
                    }
                    if kind == 0 {
                        let prefix = if address.is_ipv4() { 32 } else { 64 };
                        for (_, other, forgiven) in &mut model.0 {
                            *forgiven |= same_network(*other, address, prefix);
                        }
                    } else {
                        model.0.push((now, address, false));
                    }
                }
            }
        }
    }
}
