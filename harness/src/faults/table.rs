//! The rows of the catalogue, by family. A kind that is added here asks for its reader, its rules, its strike and its paragraph
//! in the reference of scenario files: the compiler and the tests name what is missing.

use super::Class::{FailedLoudly, FellBack, Masked};
use super::Family::{Control, Network, Process, Storage, Time};
use super::{
    CHECKPOINT_STORE, Class, Family, LEADER, LEADER_LINK, OUTPUT_STORE, Param, STANDBY, Spec, TASK_LINK, TASK_MANAGER,
};

macro_rules! kinds {
    ($($variant:ident = $name:literal: $family:ident, $effect:literal, $classes:expr, $roles:expr, $params:expr;)*) => {
        /// A kind of fault, as scenario files name it.
        #[allow(missing_docs, reason = "the effect in the table says what each of them is")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = $effect] $variant),* }

        impl Kind {
            /// All of them, family by family.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),*];

            /// Its row.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Kind::$variant => {
                        const FAMILY: Family = $family;
                        const CLASSES: &[Class] = &$classes;
                        const ROLES: &[&str] = &$roles;
                        const PARAMS: &[Param] = &$params;
                        &Spec {
                            name: $name, family: FAMILY, effect: $effect, classes: CLASSES, roles: ROLES, params: PARAMS,
                        }
                    }),*
                }
            }
        }
    };
}

const fn must(name: &'static str, form: &'static str) -> Param {
    Param { name, form, optional: false }
}

const fn may(name: &'static str, form: &'static str) -> Param {
    Param { name, form, optional: true }
}

const TARGET: Param = must("target", "node");
const LINK: Param = must("link", "\"tm-1 - tm-2\"");
const ARROW: Param = must("link", "\"tm-1 -> tm-2\"");
const HEAL_AFTER: Param = may("heal_after", "duration");
const BY: Param = must("by", "duration");
const AGE: Param = must("age", "duration");
const MESSAGE: Param = must("message", "kind");
const NODE: Param = may("node", "node");
const COUNT: Param = may("count", "number");
const STORE: Param = may("store", "checkpoints|output");

const NODES: [&str; 3] = [LEADER, STANDBY, TASK_MANAGER];
const LINKS: [&str; 2] = [LEADER_LINK, TASK_LINK];
const STORES: [&str; 2] = [CHECKPOINT_STORE, OUTPUT_STORE];

kinds! {
    Kill = "kill": Process, "the process dies; its connections are reset at once", [Masked], NODES,
        [may("target", "node"), may("targets", "[nodes]"), may("restart_after", "duration"), may("disk", "wiped|kept")];
    MachineLoss = "machine-loss": Process,
        "the machine is gone: silence, told by missing heartbeats only", [Masked], NODES,
        [may("target", "node"), may("targets", "[nodes]"), may("restart_after", "duration"), may("disk", "wiped|kept")];
    Pause = "pause": Process, "the process stands still, then goes on as if nothing had happened", [Masked], NODES,
        [TARGET, may("resume_after", "duration")];
    SlowCpu = "slow-cpu": Process, "all work takes longer", [Masked], [LEADER, TASK_MANAGER],
        [TARGET, must("factor", "number"), HEAL_AFTER];
    CrashLoop = "crash-loop": Process, "the process dies again and again", [Masked, FailedLoudly], NODES,
        [TARGET, must("times", "number"), must("up", "duration"), must("down", "duration")];
    UserPanic = "user-panic": Process, "user code panics at the next record", [Masked, FailedLoudly], [TASK_MANAGER],
        [TARGET];
    UserError = "user-error": Process, "user code returns an error at the next record", [Masked, FailedLoudly],
        [TASK_MANAGER], [TARGET];
    PoisonRecord = "poison-record": Process, "user code fails whenever it is given this record",
        [Masked, FailedLoudly], [TASK_MANAGER],
        [must("split", "number"), must("position", "number"), may("times", "number")];
    SlowOperator = "slow-operator": Process, "records take longer through operator chains", [Masked], [TASK_MANAGER],
        [TARGET, must("factor", "number"), HEAL_AFTER];
    HangSnapshot = "hang-snapshot": Process, "the synchronous part of snapshots hangs", [Masked], [TASK_MANAGER],
        [TARGET, HEAL_AFTER];

    Cut = "cut": Network, "what is sent between two sets of nodes stays away; connections survive", [Masked],
        LINKS, [must("link", "\"tm-1,tm-2 - tm-3\""), HEAL_AFTER];
    CutOneWay = "cut-one-way": Network, "what is sent from one set of nodes to another stays away", [Masked], LINKS,
        [must("link", "\"tm-1,tm-2 -> tm-3\""), HEAL_AFTER];
    Isolate = "isolate": Network, "a node is cut off from every other node", [Masked], NODES,
        [TARGET, may("stores", "true|false"), HEAL_AFTER];
    Flap = "flap": Network, "a link comes and goes", [Masked], LINKS,
        [LINK, must("times", "number"), must("up", "duration"), must("down", "duration")];
    Latency = "latency": Network, "a link has another latency", [Masked], LINKS,
        [LINK, must("latency", "duration range"), HEAL_AFTER];
    Bandwidth = "bandwidth": Network, "a link has another bandwidth", [Masked], LINKS,
        [LINK, must("bandwidth", "bandwidth"), HEAL_AFTER];
    ResetConnection = "reset-connection": Network, "one connection of a link is torn down at both ends", [Masked], LINKS,
        [LINK];
    ResetConnections = "reset-connections": Network, "all connections of a node are torn down at both ends", [Masked],
        [LEADER, TASK_MANAGER], [TARGET];
    RefuseConnections = "refuse-connections": Network, "new connections to a node are refused", [Masked],
        [LEADER, TASK_MANAGER], [TARGET, HEAL_AFTER];
    HalfOpen = "half-open": Network, "the first node loses its end of their connections, the second is not told",
        [Masked], LINKS, [ARROW];
    LoseMessage = "lose-message": Network, "control messages of a kind never arrive", [Masked], [LEADER_LINK],
        [MESSAGE, NODE, COUNT];
    DelayMessage = "delay-message": Network, "control messages of a kind arrive late; later ones overtake them",
        [Masked], [LEADER_LINK], [MESSAGE, BY, NODE, COUNT];
    DuplicateMessage = "duplicate-message": Network, "control messages of a kind arrive twice, at once or late", [Masked],
        [LEADER_LINK], [MESSAGE, may("by", "duration"), NODE, COUNT];
    SlowReceiver = "slow-receiver": Network, "a node reads the records that it receives slowly", [Masked], [TASK_MANAGER],
        [TARGET, must("rate", "bandwidth"), HEAL_AFTER];

    Damage = "damage": Storage, "a file of a checkpoint is damaged in the store", [Masked, FellBack, FailedLoudly],
        [CHECKPOINT_STORE], [may("file", "table"), must("how", "flip-byte|truncate|delete|swap")];
    DamageLocal = "damage-local": Storage, "a local file of the state backend is damaged while it is in use", [Masked],
        [TASK_MANAGER], [TARGET, must("how", "flip-byte|truncate|delete")];
    StoreUnavailable = "store-unavailable": Storage, "requests are not answered; at the end they fail", [Masked], STORES,
        [STORE, NODE, COUNT, HEAL_AFTER];
    FailedWrite = "failed-write": Storage, "writes fail and write nothing", [Masked], STORES,
        [STORE, NODE, COUNT, HEAL_AFTER];
    AmbiguousWrite = "ambiguous-write": Storage, "writes take effect and are answered with an error", [Masked], STORES,
        [STORE, NODE, COUNT, HEAL_AFTER];
    TornWrite = "torn-write": Storage, "writes are acknowledged, but only half of the bytes is there",
        [Masked, FellBack, FailedLoudly], STORES, [STORE, NODE, COUNT, HEAL_AFTER];
    LostWrite = "lost-write": Storage, "writes are acknowledged, and gone when the fault ends (a missing fsync)",
        [Masked, FellBack, FailedLoudly], STORES, [STORE, NODE, COUNT, HEAL_AFTER];
    NoSpace = "no-space": Storage, "writes fail for lack of space; reads and deletions work", [Masked], STORES,
        [STORE, NODE, COUNT, HEAL_AFTER];
    SlowStore = "slow-store": Storage, "each request takes longer", [Masked], STORES,
        [BY, STORE, NODE, COUNT, HEAL_AFTER];
    ThrottledStore = "throttled-store": Storage, "transfers to and from the store are slow", [Masked], STORES,
        [must("rate", "bandwidth"), STORE, NODE, COUNT, HEAL_AFTER];
    StaleRead = "stale-read": Storage, "reads see the store as it was a while ago", [Masked, FellBack, FailedLoudly],
        STORES, [AGE, STORE, NODE, COUNT, HEAL_AFTER];
    LaggingList = "lagging-list": Storage, "listings see the store as it was a while ago",
        [Masked, FellBack, FailedLoudly], STORES, [AGE, STORE, NODE, COUNT, HEAL_AFTER];

    ClockForward = "clock-forward": Time, "a node's clock jumps ahead", [Masked], [LEADER, TASK_MANAGER], [TARGET, BY];
    ClockBack = "clock-back": Time, "a node's clock jumps back", [Masked], NODES, [TARGET, BY];
    ClockDrift = "clock-drift": Time, "a node's clock gains or loses", [Masked], NODES,
        [TARGET, must("rate", "\"50ms/s\" or \"-50ms/s\""), HEAL_AFTER];

    LoseLeadership = "lose-leadership": Control,
        "the leader cannot reach the checkpoint store while a standby takes over", [Masked],
        [LEADER], [must("heal_after", "duration")];
    RivalLeader = "rival-leader": Control,
        "a standby's clock jumps ahead: it opens a term while the leader lives",
        [Masked], [STANDBY], [BY];
}
