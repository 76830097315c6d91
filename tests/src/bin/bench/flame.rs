//! Where the time goes: `perf` samples the server while a round is measured; its stacks become a table of groups, a file of folded
//! stacks and a flame graph. Sampling costs time itself: figures of such a run are not to be quoted.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// No divisor of the 1,000 ticks a second that everything here goes by.
const SAMPLES_A_SECOND: &str = "997";

/// Kinds of work, told by a function's name within a stack; the first that fits counts.
const GROUPS: [(&str, &[&str]); 15] = [
    (
        "waking and sleeping",
        &[
            // Not `schedule`: the scheduler of tokio is no wake-up.
            "__schedule",
            "finish_task_switch",
            "try_to_wake_up",
            "wake_up_process",
            "wake_up_q",
        ],
    ),
    ("sending", &["sys_sendmmsg", "sys_sendto", "sys_sendmsg"]),
    ("receiving", &["sys_recvmmsg", "sys_recvfrom", "sys_recvmsg"]),
    ("epoll and timers", &["sys_epoll", "sys_timerfd", "nanosleep"]),
    (
        "sockets opened and closed",
        &["sys_socket", "sys_bind", "sys_close", "sock_close"],
    ),
    (
        "files",
        &[
            "sys_write",
            "sys_pwrite",
            "sys_pread",
            "sys_read",
            "sys_fsync",
            "sys_fdatasync",
            "sys_open",
            "sys_fcntl",
        ],
    ),
    (
        "other kernel",
        &["entry_SYSCALL_64", "asm_sysvec", "asm_exc", "ret_from_fork"],
    ),
    ("SQLite", &["sqlite3", "rusqlite"]),
    ("logging", &["tracing_subscriber", "tracing_core"]),
    ("memory", &["malloc", "free", "realloc", "calloc"]),
    ("media", &["segue_media"]),
    ("SIP texts", &["segue_sip_wire", "rsip"]),
    ("SIP", &["segue_sip"]),
    ("calls", &["segue_call", "segue_sdp", "segue_policy"]),
    ("between them", &["segue_b2bua", "segue_store", "segue"]),
];

/// A running `perf record`.
pub struct Flame {
    perf: Child,
    data: PathBuf,
}

impl Flame {
    /// Samples a process for so long.
    pub fn start(pid: u32, wanted: Duration, name: &str) -> Flame {
        let folder = folder();
        fs::create_dir_all(&folder).expect("a folder for flame graphs");
        let data = folder.join(format!("{name}.perf"));
        let perf = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "-F", SAMPLES_A_SECOND])
            .args(["--call-graph", "dwarf,8192", "-p", &pid.to_string(), "-o"])
            .arg(&data)
            .args(["sleep", &wanted.as_secs_f64().to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("perf (Debian's linux-perf) runs");
        Flame { perf, data }
    }

    /// Prints the table, writes `target/flame/NAME.folded` and `.svg`.
    pub fn finish(mut self) {
        assert!(self.perf.wait().is_ok_and(|status| status.success()), "perf record");
        let script = Command::new("perf")
            .args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"])
            .arg(&self.data)
            .stderr(Stdio::null())
            .output()
            .expect("perf script runs");
        let stacks = folded(&String::from_utf8_lossy(&script.stdout));
        let total: u64 = stacks.values().sum();
        println!("\n| where {total} samples were | % |\n|:--|--:|");
        for (group, count) in groups(&stacks) {
            println!("| {group} | {:.1} |", share(count, total));
        }
        let text: String = stacks
            .iter()
            .map(|(stack, count)| format!("{} {count}\n", stack.join(";")))
            .collect();
        write(&self.data.with_extension("folded"), &text);
        write(&self.data.with_extension("svg"), &svg(&stacks));
        let _ = fs::remove_file(&self.data);
        println!("\nFlame graph: {}\n", self.data.with_extension("svg").display());
    }
}

type Stacks = BTreeMap<Vec<String>, u64>;

fn folder() -> PathBuf {
    segue_tests::segue::repository().join("target/flame")
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a writable target folder");
}

fn share(count: u64, total: u64) -> f64 {
    count as f64 * 100.0 / total.max(1) as f64
}

/// Samples as `perf script` prints them: the thread's name, then a line a frame from the innermost out, then an empty line.
fn folded(script: &str) -> Stacks {
    let mut stacks = Stacks::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.is_empty());
        let Some(thread) = lines.next() else { continue };
        let mut stack: Vec<String> = lines.map(|line| function(line.trim())).collect();
        stack.push(thread.trim().to_owned());
        stack.reverse();
        *stacks.entry(stack).or_default() += 1;
    }
    stacks
}

/// The function of `ADDRESS NAME`, without its generics and hash.
fn function(frame: &str) -> String {
    let name = frame.split_once(' ').map_or(frame, |(_, name)| name);
    let mut depth = 0_u32;
    let mut short: String = name
        .replace("->", "")
        .chars()
        .filter(|letter| match letter {
            '<' => {
                depth += 1;
                false
            }
            '>' => {
                depth = depth.saturating_sub(1);
                false
            }
            ';' => false,
            // `<T as Trait>::method` keeps its type.
            _ => depth == 0 || name.starts_with('<') && depth == 1,
        })
        .collect();
    if let Some(at) = short.rfind("::h").filter(|at| short.len() - at == 19) {
        short.truncate(at);
    }
    short
}

/// Samples by kind of work, most first.
fn groups(stacks: &Stacks) -> Vec<(&'static str, u64)> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for (stack, count) in stacks {
        let has = |words: &[&str]| stack.iter().any(|frame| words.iter().any(|word| frame.contains(word)));
        // The outermost frame is the thread's name.
        let group = GROUPS
            .iter()
            .find(|(_, words)| has(words))
            .map_or("rest", |(group, _)| group);
        *counts.entry(group).or_default() += count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

const WIDTH: f64 = 1_200.0;
const ROW: usize = 16;
/// Narrower boxes are left out, pixels.
const NARROWEST: f64 = 2.0;

/// A node of the graph: what is called from the same stack.
#[derive(Default)]
struct Node {
    count: u64,
    calls: BTreeMap<String, Node>,
}

/// Width is time, callers stand below what they call.
fn svg(stacks: &Stacks) -> String {
    let mut root = Node::default();
    for (stack, count) in stacks {
        root.count += count;
        let mut node = &mut root;
        for frame in stack {
            node = node.calls.entry(frame.clone()).or_default();
            node.count += count;
        }
    }
    let unit = WIDTH / root.count.max(1) as f64;
    let height = (depth(&root, unit) + 1) * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n"
    );
    draw(&mut out, "all", &root, 0.0, height - ROW, unit, root.count);
    out.push_str("</svg>\n");
    out
}

fn depth(node: &Node, unit: f64) -> usize {
    let wide = node.calls.values().filter(|node| node.count as f64 * unit >= NARROWEST);
    wide.map(|node| depth(node, unit) + 1).max().unwrap_or(0)
}

fn draw(out: &mut String, name: &str, node: &Node, x: f64, y: usize, unit: f64, total: u64) {
    let width = node.count as f64 * unit;
    if width < NARROWEST {
        return;
    }
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // The same function has the same warm colour.
    let hue = name
        .bytes()
        .fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
        % 55;
    let _ = write!(
        out,
        "<g><title>{} {:.1} %</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"15\" fill=\"hsl({hue},80%,65%)\"/>",
        escaped(name),
        share(node.count, total),
    );
    let room = (width / 7.0) as usize;
    if room >= 4 {
        let last = name.rsplit("::").next().unwrap_or(name);
        let label: String = if name.len() <= room { name } else { last }
            .chars()
            .take(room)
            .collect();
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\">{}</text>",
            x + 2.0,
            y + 12,
            escaped(&label)
        );
    }
    out.push_str("</g>\n");
    let mut x = x;
    for (name, node) in &node.calls {
        draw(out, name, node, x, y.saturating_sub(ROW), unit, total);
        x += node.count as f64 * unit;
    }
}
