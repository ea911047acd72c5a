//! What a process takes, and whether that grows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub const MB: u64 = 1 << 20;
/// Descriptors of a server that has nothing to do, at the most.
pub const AT_REST: usize = 40;
/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Megabytes a minute by which memory may grow, and how much more the last third may take than the first. A kilobyte
/// that is lost with each request was found as fifteen megabytes a minute; the allocator's own drift is half of one.
const SLOPE: f64 = 2.0;
const RISE: f64 = 1.1;

/// One look.
#[derive(Clone, Copy)]
pub struct Sample {
    pub at: Instant,
    /// Bytes of its own and shared memory, and those that are its own.
    pub rss: u64,
    pub own: u64,
    pub descriptors: usize,
    pub threads: usize,
    /// Bytes of the store's file.
    pub file: u64,
}

impl Sample {
    pub fn take(pid: u32, file: &Path) -> Sample {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
        let rollup = fs::read_to_string(proc.join("smaps_rollup")).unwrap_or_default();
        let number = |text: &str, name: &str| -> u64 {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                .sum()
        };
        Sample {
            at: Instant::now(),
            rss: number(&status, "VmRSS:") * 1024,
            own: number(&rollup, "Private_") * 1024,
            descriptors: fs::read_dir(proc.join("fd")).map_or(0, Iterator::count),
            threads: number(&status, "Threads:") as usize,
            file: fs::metadata(file).map_or(0, |file| file.len()),
        }
    }
}

/// Looks every second.
pub struct Watch {
    stop: oneshot::Sender<()>,
    looking: JoinHandle<Vec<Sample>>,
}

impl Watch {
    pub fn begin(pid: u32, file: &Path) -> Watch {
        let (stop, mut stopped) = oneshot::channel();
        let file = file.to_owned();
        let looking = tokio::spawn(async move {
            let mut samples = Vec::new();
            loop {
                samples.push(Sample::take(pid, &file));
                if tokio::time::timeout(EVERY, &mut stopped).await.is_ok() {
                    return samples;
                }
            }
        });
        Watch { stop, looking }
    }

    pub async fn end(self) -> Vec<Sample> {
        let _ = self.stop.send(());
        self.looking.await.unwrap()
    }
}

/// The middle one, which no single outlier moves.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median of the slopes between all pairs of points (Theil and Sen).
fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (n, (x, y)) in points.iter().enumerate() {
        let later = points.iter().skip(n + 1);
        slopes.extend(later.map(|(later, higher)| (higher - y) / (later - x)));
    }
    median(slopes)
}

/// Says what was found, and remembers whether it is well.
pub struct Judge<'a> {
    samples: &'a [Sample],
    before: Sample,
    after: Sample,
    well: bool,
}

impl<'a> Judge<'a> {
    pub fn new(samples: &'a [Sample], before: Sample, after: Sample) -> Self {
        println!("\n{:<44}{:<44}", "what", "found");
        Judge {
            samples,
            before,
            after,
            well: true,
        }
    }

    pub fn says(&mut self, what: &str, found: String, well: bool) {
        println!(
            "{what:<44}{found:<44}{}",
            if well { "well" } else { "NOT WELL" }
        );
        self.well &= well;
    }

    pub fn is_well(&self) -> bool {
        self.well
    }

    /// Memory while it is busy; threads and descriptors when it is left alone again.
    pub fn growth(&mut self) {
        self.memory("memory (RSS)", |it| it.rss);
        self.memory("memory of its own", |it| it.own);
        let (before, after) = (self.before, self.after);
        let most = |of: fn(&Sample) -> usize| self.samples.iter().map(of).max().unwrap_or_default();
        let threads = most(|it| it.threads);
        let descriptors = most(|it| it.descriptors);
        self.says(
            "threads: before, at most, after",
            format!("{}, {threads}, {}", before.threads, after.threads),
            after.threads <= before.threads,
        );
        self.says(
            "descriptors: before, at most, after",
            format!(
                "{}, {descriptors}, {}",
                before.descriptors, after.descriptors
            ),
            after.descriptors <= before.descriptors,
        );
    }

    fn memory(&mut self, what: &str, of: fn(&Sample) -> u64) {
        let mega = |sample: &Sample| of(sample) as f64 / MB as f64;
        let third = self.samples.len() / 3;
        if third < 3 {
            return self.says(what, "too few samples".to_owned(), false);
        }
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .map(|it| ((it.at - self.before.at).as_secs_f64() / 60.0, mega(it)))
            .collect();
        let part = |points: &[(f64, f64)]| median(points.iter().map(|(_, it)| *it).collect());
        let (first, last) = (
            part(&points[..third]),
            part(&points[points.len() - third..]),
        );
        let slope = slope(&points);
        self.says(
            what,
            format!("{first:.1}, at last {last:.1} MB; {slope:+.2} MB/min"),
            slope < SLOPE && last <= first * RISE,
        );
    }
}
