//! What a day in the office is made of.

use segue_policy::{MessageWaiting, Profile, Ring, Subscriber, UnknownCallee};
use segue_sip::Protocol;

use crate::{
    callee::{CalleeScript, Reach, Word},
    caller::{CallerScript, GiveUp},
    dice::{Dice, MS, S, Time},
    media_model::MediaScript,
};

use super::provider::{self, ProviderScript};

/// How a phone is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// At its own address.
    Plain,
    /// Behind a NAT: its contact is an address of the other side.
    Nat,
    /// Behind an edge proxy (RFC 3327): by its Path.
    Path,
    /// By its connection.
    Tcp,
}

/// What somebody does with a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It takes its contact back, for so long.
    Leaves(Time),
    /// It takes back all contacts of its user.
    LeavesAll,
    Asks,
    /// Its plug is pulled, for so long; it knows nothing of before.
    Crashes(Time),
    /// Another port, which it registers; nothing is taken back.
    Moves,
    /// It no longer wants to be told of messages, for so long.
    Unwatches(Time),
    /// It is never seen again.
    Dies,
}

/// What a phone says to a NOTIFY that it has not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    Gladly,
    Refuses,
    Later,
}

#[derive(Debug, Clone)]
pub struct DeviceScript {
    pub user: usize,
    pub way: Way,
    pub boots: Time,
    pub expires_s: u64,
    pub q: Option<&'static str>,
    /// Says which device it is (`+sip.instance`).
    pub instance: bool,
    /// Registers again when this much of its time has passed, percent; past 100 it is late.
    pub again_percent: u64,
    pub acts: Vec<(Time, Act)>,
    /// For how long it subscribes, seconds.
    pub watches_s: Option<u64>,
    pub hears: Hears,
    pub callee: CalleeScript,
}

impl DeviceScript {
    fn by(dice: &mut Dice, user: usize, nat: bool, day: Time) -> DeviceScript {
        let ways = [
            (5, Way::Plain),
            (2, Way::Path),
            (2, Way::Tcp),
            (if nat { 4 } else { 0 }, Way::Nat),
        ];
        let mut callee = CalleeScript::by(dice);
        (callee.reach, callee.wants_tcp, callee.dies, callee.forks) = (Reach::Fine, false, None, 1);
        if dice.chance(40) {
            callee.word = Word::Never;
        }
        callee.habits.longest = 40 * S;
        let acts = dice.between(0, 3);
        DeviceScript {
            user,
            way: dice.weigh(&ways),
            boots: dice.between(0, 20 * S),
            expires_s: dice.pick(&[30, 60, 60, 90, 120, 300]),
            q: dice.pick(&[None, None, Some("1.0"), Some("0.5"), Some("0.1")]),
            instance: dice.chance(50),
            again_percent: dice.pick(&[40, 50, 90, 95, 110]),
            acts: (0..acts)
                .map(|_| {
                    let long = dice.between(S, 60 * S);
                    let act = dice.weigh(&[
                        (3, Act::Leaves(long)),
                        (1, Act::LeavesAll),
                        (1, Act::Asks),
                        (3, Act::Crashes(long)),
                        (2, Act::Moves),
                        (2, Act::Unwatches(long)),
                        (1, Act::Dies),
                    ]);
                    (dice.between(0, day), act)
                })
                .collect(),
            watches_s: dice.maybe(70, |d| d.pick(&[30, 60, 60, 120, 600])),
            hears: dice.weigh(&[(6, Hears::Gladly), (2, Hears::Refuses), (1, Hears::Later)]),
            callee,
        }
    }
}

/// What a command does beside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Heard,
    Unheard,
    Delete,
    Restore,
    /// The subscriber's registrations are removed.
    Unregister,
    /// Their PIN is unlocked.
    Unlock,
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At once, with all that it knew.
    Crash,
    /// In order.
    Orderly,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub script: CallerScript,
    pub media: MediaScript,
    pub to: String,
    /// It comes from the provider.
    pub from_line: bool,
    pub deposit_takes: Time,
}

/// From where a service is called.
#[derive(Debug, Clone, Copy)]
pub enum From {
    /// One of a subscriber's phones.
    Device(usize),
    /// A phone that is nobody's here, at one of a few addresses.
    Elsewhere(u64),
}

/// Somebody calls a service.
#[derive(Debug, Clone)]
pub struct Visit {
    pub from: From,
    pub script: CallerScript,
    pub to: &'static str,
}

#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    pub profile: Profile,
    pub subscribers: Vec<Subscriber>,
    pub devices: Vec<DeviceScript>,
    pub calls: Vec<Call>,
    pub visits: Vec<Visit>,
    /// Who is in the group, if there is one.
    pub members: Vec<usize>,
    /// Who is busy to others while they are in a call, by user.
    pub busy: Vec<bool>,
    /// What the provider of the outside line does, if there is one.
    pub provider: Option<ProviderScript>,
    /// When, whose, and with which message.
    pub deeds: Vec<(Time, usize, u64, Deed)>,
    /// When, how, and for how long it is away.
    pub stops: Vec<(Time, Stop, Time)>,
    /// Nothing is begun after this.
    pub day: Time,
}

/// How many subscribers there are.
pub const USERS: usize = 3;

/// The group.
pub const TEAM: &str = "team";

/// A number, so that it can be typed.
pub fn name(user: usize) -> String {
    format!("{}", 100 + user)
}

impl Setup {
    pub fn by(seed: u64) -> Setup {
        let mut dice = Dice::new(seed, 20);
        let mut dice_of_busy = Dice::new(seed, 25);
        let day = dice.between(120, 300) * S;
        let nat = dice.chance(50);
        let mut profile = Profile {
            align: false,
            transcode: segue_policy::Transcode::Off,
            name: "office".into(),
            sources: vec!["10.0.0.0/8".parse().expect("a network")],
            registrar: true,
            nat,
            nat_ping_ms: dice.pick(&[0, 30_000]),
            mwi: dice.pick(&[
                MessageWaiting::Subscribed,
                MessageWaiting::Unsolicited,
                MessageWaiting::Both,
            ]),
            menu: dice.chance(50),
            service_codes: ["*97 -> mailbox", "*98 -> greetings", "*78 -> dnd-on"]
                .map(|code| code.to_owned().try_into().expect("a code"))
                .to_vec(),
            hold_ms: 1_000,
            hold_max_ms: 10_000,
            no_answer_ms: dice.pick(&[5_000, 15_000]),
            ..Profile::default()
        };
        let subscribers = (0..USERS).map(|user| Subscriber {
            user: name(user),
            ring: dice.pick(&[Ring::Together, Ring::Together, Ring::InOrder]),
            ring_ms: dice.maybe(50, |d| d.between(500, 8_000)),
            hold_ms: dice.maybe(50, |d| d.pick(&[0, 2_000, 8_000])),
            ..Subscriber::default()
        });
        let mut subscribers: Vec<_> = subscribers.collect();
        let mut members: Vec<usize> = (0..USERS).filter(|_| dice.chance(60)).collect();
        if members.len() < 2 {
            members.clear();
        } else {
            subscribers.push(Subscriber {
                user: TEAM.into(),
                ..Subscriber::default()
            });
        }
        let devices = dice.between(1, 5);
        let devices = (0..devices).map(|_| {
            let user = usize::try_from(dice.between(0, USERS as u64 - 1)).expect("few");
            DeviceScript::by(&mut dice, user, nat, day)
        });
        let devices: Vec<DeviceScript> = devices.collect();
        let calls = dice.between(1, 6);
        let calls = (0..calls).map(|_| {
            let mut script = CallerScript::by(&mut dice);
            script.starts = dice.between(0, day);
            script.habits.longest = 40 * S;
            if dice.chance(50) {
                // Somebody who leaves a message.
                (script.give_up, script.dies) = (GiveUp::Never, None);
                script.talks = Some(dice.between(5, 40) * S);
            }
            if profile.menu {
                let keys = dice.between(0, 6);
                let key = |dice: &mut Dice| (dice.between(0, 60 * S), dice.pick(&['1', '2', '3', '9', '#', '#', '1']));
                script.keys = (0..keys).map(|_| key(&mut dice)).collect();
            }
            Call {
                script,
                media: MediaScript::by(&mut dice),
                to: match !members.is_empty() && dice.chance(40) {
                    true => TEAM.into(),
                    false => name(usize::try_from(dice.between(0, USERS as u64 - 1)).expect("few")),
                },
                from_line: false,
                deposit_takes: dice.between(5 * MS, 4 * S),
            }
        });
        let mut calls: Vec<Call> = calls.collect();
        // At times one comes while another is likely to be up.
        for at in 1..calls.len() {
            if dice_of_busy.chance(35) {
                calls[at].to = calls[at - 1].to.clone();
                calls[at].script.starts = calls[at - 1].script.starts + dice_of_busy.between(1, 12) * S;
            }
        }
        let visits = (0..devices.len()).filter(|_| dice.chance(60)).collect::<Vec<_>>();
        let visits = visits.into_iter().map(|device| {
            let mut script = CallerScript::plain();
            script.starts = dice.between(day / 3, day);
            script.talks = Some(dice.between(5, 90) * S);
            script.habits.longest = 100 * S;
            let keys = dice.between(0, 12);
            let all = ['1', '1', '4', '6', '6', '7', '7', '9', '#', '#', '*', '0', '3', '2'];
            script.keys = (0..keys).map(|_| (dice.between(S, 80 * S), dice.pick(&all))).collect();
            let to = dice.weigh(&[(8, "*97"), (2, "*98"), (1, "*78")]);
            let from = From::Device(device);
            Visit { from, script, to }
        });
        let mut visits: Vec<Visit> = visits.collect();
        let (strangers, unlocked) = strangers(&mut Dice::new(seed, 24), day);
        visits.extend(strangers);
        let busy = (0..USERS).map(|_| dice_of_busy.chance(40)).collect();
        let deeds = dice.between(0, 6);
        let deeds = (0..deeds).map(|_| {
            let deed = dice.weigh(&[
                (4, Deed::Heard),
                (2, Deed::Unheard),
                (3, Deed::Delete),
                (2, Deed::Restore),
                (1, Deed::Unregister),
            ]);
            let user = usize::try_from(dice.between(0, USERS as u64 - 1)).expect("few");
            (dice.between(0, day + 60 * S), user, dice.between(0, 9), deed)
        });
        let mut deeds: Vec<_> = deeds.collect();
        deeds.extend(unlocked.into_iter().map(|at| (at, 0, 0, Deed::Unlock)));
        // What was deleted is at times wanted back.
        for (at, user, which, deed) in deeds.clone() {
            if deed == Deed::Delete && dice.chance(60) {
                deeds.push((at + dice.between(S, 40 * S), user, which, Deed::Restore));
            }
        }
        let stops = dice.weigh(&[(6, 0), (3, 1), (1, 2)]);
        let stops = (1..=stops).map(|at| {
            let how = dice.pick(&[Stop::Crash, Stop::Crash, Stop::Orderly]);
            (
                day / 3 * at + dice.between(0, day / 4),
                how,
                dice.between(50 * MS, 8 * S),
            )
        });
        let stops = stops.collect();
        let provider = line(
            &mut Dice::new(seed, 26),
            day,
            &mut profile,
            &mut subscribers,
            &mut calls,
            &mut visits,
        );
        Setup {
            seed,
            profile,
            subscribers,
            devices,
            calls,
            visits,
            members,
            busy,
            provider,
            deeds,
            stops,
            day,
        }
    }
}

/// The PIN that each subscriber has at first.
pub const PIN: &str = "2580";

/// Who calls the mailbox from a phone of somebody else, and types: at times one after the other guesses at one subscriber's PIN;
/// and when that one is unlocked.
fn strangers(dice: &mut Dice, day: Time) -> (Vec<Visit>, Vec<Time>) {
    let victim = name(0);
    let guesses = dice.chance(40);
    let count = if guesses { 6 } else { dice.between(0, 2) };
    let visit = |_| {
        let mut script = CallerScript::plain();
        script.starts = dice.between(day / 4, day);
        script.talks = Some(dice.between(20, 60) * S);
        script.habits.longest = 100 * S;
        let mut at = dice.between(500 * MS, 3 * S);
        for _ in 0..dice.between(1, 5) {
            let others = if guesses { 1 } else { 5 };
            let number = dice.weigh(&[(10, victim.clone()), (others, name(1)), (1, "999".into())]);
            let right = if guesses { 1 } else { 6 };
            let pin = dice.weigh(&[(right, PIN), (3, "1357"), (2, "9876"), (1, "12")]);
            for key in format!("{number}#{pin}#").chars() {
                script.keys.push((at, key));
                at += dice.between(80 * MS, 200 * MS);
            }
            at += dice.between(300 * MS, 4 * S);
        }
        for _ in 0..dice.between(0, 4) {
            script.keys.push((at, dice.pick(&['1', '1', '7', '9', '#'])));
            at += dice.between(500 * MS, 6 * S);
        }
        let from = From::Elsewhere(dice.between(0, 2));
        Visit {
            from,
            script,
            to: "*97",
        }
    };
    let visits = (0..count).map(visit).collect();
    let unlocked = (0..if guesses { 2 } else { 0 }).map(|_| dice.between(day / 2, day + 30 * S));
    (visits, unlocked.collect())
}

/// In half of the offices there is an outside line: at times it is called by calls that were the subscribers', and calls others.
fn line(
    dice: &mut Dice,
    day: Time,
    profile: &mut Profile,
    subscribers: &mut [Subscriber],
    calls: &mut [Call],
    visits: &mut Vec<Visit>,
) -> Option<ProviderScript> {
    if dice.chance(50) {
        return None;
    }
    profile.country_code = "49".into();
    profile.unknown_callee = UnknownCallee::Forward;
    profile.next_hop = Some("trunk:main".parse().expect("a trunk"));
    profile.destinations = vec!["+49*".parse().expect("numbers")];
    subscribers[0].numbers = vec![provider::NUMBER.into()];
    for call in calls {
        if dice.chance(40) {
            (call.to, call.from_line) = (provider::NUMBER.into(), true);
            call.script.protocol = Protocol::Udp;
        }
    }
    let devices = visits.iter().filter_map(|visit| match visit.from {
        From::Device(device) => Some(device),
        From::Elsewhere(_) => None,
    });
    for device in devices.collect::<Vec<_>>() {
        if dice.chance(60) {
            let mut script = CallerScript::by(dice);
            script.starts = dice.between(day / 4, day);
            script.habits.longest = 40 * S;
            // By the device's connection, if it has one.
            (script.merged, script.again) = (None, None);
            let from = From::Device(device);
            visits.push(Visit {
                from,
                script,
                to: provider::OUTSIDE,
            });
        }
    }
    let mut callee = CalleeScript::by(dice);
    (callee.reach, callee.wants_tcp, callee.dies, callee.forks) = (Reach::Fine, false, None, 1);
    callee.habits.longest = 40 * S;
    Some(ProviderScript {
        grants_s: dice.pick(&[60, 90, 120, 600]),
        dark: dice.maybe(25, |d| {
            let from = d.between(0, day);
            (from, from + d.between(5 * S, 100 * S))
        }),
        ping_ms: dice.pick(&[0, 30_000]),
        callee,
    })
}
